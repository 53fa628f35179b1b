package edge

import "backline"

// Page is a short answer of the server's own.
type Page struct {
	Status   int
	Text     string
	Location string // empty: none
}

// unencrypted lets Options.Plain answer what came without TLS. A request over a Unix socket came through a proxy, which
// has decided about https already; and where a trusted one says that its client used https, so it is.
func (s *Server) unencrypted(scope *backline.Scope) *refusal {
	if s.options.Plain == nil || scope.Scheme != "http" || scope.Server.Port == 0 {
		return nil
	}
	page := s.options.Plain(scope)
	if page == nil {
		return nil
	}
	no := &refusal{status: page.Status, reason: page.Text}
	if page.Location != "" {
		no.fields = []backline.Field{{Name: []byte("Location"), Value: []byte(page.Location)}}
	}
	return no
}
