package edge

import (
	"bytes"
	"net/url"

	"backline"
	"backline/dispatch"
	"backline/grip"
	"backline/h1"
	"backline/wire"
)

// inquiry is a request of the edge's own for a link that an answer has named (Grip-Link), on behalf of the client whose
// answer that was. It implements dispatch.Client, whose methods are never called two at once.
type inquiry struct {
	server *Server
	hold   *hold // who waits; nil: nobody, as when the client has gone
	ex     *dispatch.Exchange
	cursor uint64

	got *unfinished
	bad bool
}

// ask sends a request for uri. scope is the client's request, of which this one has the fields that say who asks. It is
// called without any lock.
func (s *Server) ask(h *hold, scope *backline.Scope, uri string, last []string) {
	f := &inquiry{server: s, hold: h, ex: s.exchanges.New()}
	target, ok := resolve(string(scope.Target), uri)
	ex := f.ex
	ex.Client, ex.Start, ex.More = f, s.now(), wire.BodyWhole
	var req h1.Request
	if ok {
		ex.Head = appendAsk(ex.Head[:0], target, scope.Fields)
		req.Fields = ex.Scope.Fields[:0]
		var parser h1.Parser
		n, err := parser.Parse(ex.Head, &req)
		ok = err == nil && n == len(ex.Head)
	}
	if !ok {
		s.complain(ex, "names a link that cannot be asked for: "+uri)
		f.bad = true
		f.finish()
		return
	}
	own := &ex.Scope
	own.Method, own.Target, own.Path, own.Query, own.Fields = req.Method, req.Target, req.Path, req.Query, req.Fields
	own.Version, own.Scheme, own.Client, own.Server, own.TLS = "1.1", scope.Scheme, scope.Client, scope.Server, scope.TLS
	a := outgoing{minor: 1}
	route := s.choose(ex, &a)
	f.cursor = a.cursor
	for _, each := range last {
		own.Fields = appendLast(own.Fields, each)
	}
	route.Handler.Submit(ex)
}

// resolve gives the target of a link, which must lead to the server that named it.
func resolve(base, link string) (string, bool) {
	from, err := url.ParseRequestURI(base)
	if err != nil {
		return "", false
	}
	to, err := from.Parse(link)
	if err != nil || to.Opaque != "" {
		return "", false
	}
	return to.RequestURI(), true
}

// appendAsk writes the request's head: with the client's fields but for those that are about its body, or about which
// part of an answer, or whether any, it wanted.
func appendAsk(dst []byte, target string, fields []backline.Field) []byte {
	dst = append(append(append(dst, "GET "...), target...), " HTTP/1.1\r\n"...)
	for _, f := range fields {
		switch string(bytes.ToLower(f.Name)) {
		case "content-length", "content-type", "content-encoding", "transfer-encoding", "expect", "connection", "upgrade",
			"te", "trailer", "keep-alive", "range", "if-range", "if-match", "if-none-match", "if-modified-since",
			"if-unmodified-since", "last-event-id", "accept-encoding":
		default:
			dst = h1.AppendField(dst, f.Name, f.Value)
		}
	}
	return append(dst, "\r\n"...)
}

// finish hands over what has come.
func (f *inquiry) finish() {
	h := f.hold
	f.ex.Release()
	f.ex = nil
	if h == nil {
		return
	}
	h.mu.Lock()
	h.fetched = f
	h.mu.Unlock()
	h.wake()
}

// instruct reads the answer to a link; nil if there is none that could be followed.
func (f *inquiry) instruct() *grip.Instruct {
	in := f.read()
	if in == nil || f.got.status != 200 || in.Mode == grip.Response {
		return nil
	}
	return in
}

// read reads the answer, of any kind.
func (f *inquiry) read() *grip.Instruct {
	if f.bad || f.got == nil {
		return nil
	}
	in, err := grip.Read(f.got.status, f.got.reason, f.got.fields, f.got.body)
	if err != nil || len(in.Channels) > f.server.holds.Channels {
		return nil
	}
	return in
}

// Answer implements dispatch.Client.
func (f *inquiry) Answer(_ *dispatch.Exchange, m *wire.Message) {
	f.got = gather(m)
	f.bad = m.Kind == wire.KindFile || len(m.Data) > f.server.holds.Body
	if m.Kind != wire.KindStart {
		f.finish()
	}
}

// Data implements dispatch.Client.
func (f *inquiry) Data(ex *dispatch.Exchange, data []byte) {
	ex.Took(len(data))
	if f.bad = f.bad || len(f.got.body)+len(data) > f.server.holds.Body; !f.bad {
		f.got.body = append(f.got.body, data...)
	}
}

// End implements dispatch.Client.
func (f *inquiry) End(*dispatch.Exchange) { f.finish() }

// Fail implements dispatch.Client.
func (f *inquiry) Fail(*dispatch.Exchange, *dispatch.Failure) {
	f.bad = true
	f.finish()
}

// Hint and Wanted implement dispatch.Client: there is neither a client for hints nor a body.
func (f *inquiry) Hint(*dispatch.Exchange, []backline.Field) {}

// Wanted is documented with Hint.
func (f *inquiry) Wanted(*dispatch.Exchange, int, bool) {}

// goodbye asks for the link that an application has named for when its client is gone.
type goodbye struct {
	server *Server
	scope  backline.Scope
	uri    string
}

// resume implements waiter.
func (f *goodbye) resume() { f.server.ask(nil, &f.scope, f.uri, nil) }

// sayGone has the application hear that a held answer has ended, where it wants to.
func (s *Server) sayGone(h *hold, scope *backline.Scope) {
	if h.in.Gone != "" {
		own := *scope // what it points at may be another request's by then
		own.Target, own.Fields = bytes.Clone(scope.Target), nil
		for _, f := range scope.Fields {
			own.Fields = append(own.Fields, backline.Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)})
		}
		own.Method, own.Path, own.Query, own.Protocols = nil, nil, nil, nil
		s.holds.ready.add(&goodbye{s, own, h.in.Gone})
	}
}
