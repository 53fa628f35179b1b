package edge

import (
	"slices"

	"backline/dispatch"
	"backline/grip"
)

// choose decides where a request goes, which says how its body gets there and what its application is told.
func (s *Server) choose(ex *dispatch.Exchange, a *outgoing) *Route {
	route := &s.only
	if s.options.Route != nil {
		route = s.options.Route(&ex.Scope, false)
	}
	s.mark(ex, a)
	if route.Posts {
		s.disown(ex)
	}
	return route.take(ex, a)
}

// chooseSocket is choose for a request whose client asks for a WebSocket; nil if it cannot have one, and the request is
// like any other.
func (s *Server) chooseSocket(ex *dispatch.Exchange, a *outgoing) *Route {
	route := &s.only
	if s.options.Route != nil {
		route = s.options.Route(&ex.Scope, true)
	}
	switch {
	case route != nil && route.Posts && s.holds.Hub != nil:
		route = s.posts(route)
	case route == nil || !route.Handler.WebSockets():
		return nil
	}
	s.mark(ex, a)
	return route.take(ex, a)
}

func (r *Route) take(ex *dispatch.Exchange, a *outgoing) *Route {
	ex.Scope.RootPath, ex.Urgent, a.wsgi = r.RootPath, r.Urgent, r.Handler.WSGI()
	return r
}

// disown takes from a client's request what would make it one of the edge's own, of WebSocket-over-HTTP: applications
// believe what stands in those.
func (*Server) disown(ex *dispatch.Exchange) {
	if slices.ContainsFunc(ex.Scope.Fields, grip.IsEvents) {
		ex.Scope.Fields = slices.DeleteFunc(ex.Scope.Fields, grip.IsEvents)
	}
}
