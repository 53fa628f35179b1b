package edge

import (
	"bytes"
	"container/list"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"backline"
	"backline/dispatch"
	"backline/grip"
	"backline/h1"
	"backline/wire"
)

// question is a filter's POST about one publication, on behalf of one listener. It implements dispatch.Client, and
// waiter: whoever has its turn is asked by those who serve held answers.
type question struct {
	payload
	server *Server
	wake   func() // says to the listener that there is an outcome
	scope  backline.Scope
	host   []byte
	fields [][2]string
	last   []string // Grip-Last
	url    string
	modify bool
	place  *list.Element // among those that wait; filters.mu guards it

	mu     sync.Mutex
	ex     *dispatch.Exchange // while somebody works on it
	asked  bool               // the dispatcher has it, so that it may be given up
	began  int64
	over   bool
	why    string // why there is no answer
	status int
	got    []backline.Field
	reply  []byte
}

// question makes one of what a filter wants to know. from is the listener's request, of which what says where it went
// is kept. It is called with the listener's lock held.
func (s *Server) question(q *grip.Question, from *backline.Scope, last []string, wake func()) *question {
	own := &question{
		server: s, wake: wake, host: hostField(from.Fields), fields: q.Fields, last: last, url: q.URL, modify: q.Modify,
	}
	own.body = q.Body
	own.scope = backline.Scope{
		Target: bytes.Clone(from.Target), Scheme: from.Scheme, Client: from.Client, Server: from.Server, TLS: from.TLS,
	}
	s.holds.filters.take(own)
	return own
}

// hostField gives a copy of the Host among fields.
func hostField(fields []backline.Field) []byte {
	for _, f := range fields {
		if backline.EqualFold(f.Name, "host") {
			return bytes.Clone(f.Value)
		}
	}
	return nil
}

// resume implements waiter: it is this one's turn.
func (q *question) resume() {
	s := q.server
	ex := s.exchanges.New()
	q.mu.Lock()
	q.ex, q.began = ex, s.clock.Load()
	q.mu.Unlock()
	ex.Client, ex.Start = q, s.now()
	target, err := q.target()
	if err == nil {
		err = q.write(ex, target)
	}
	if err != nil {
		q.finish(err.Error())
		return
	}
	own := &ex.Scope
	by := &q.scope
	own.Version, own.Scheme, own.Client, own.Server, own.TLS = "1.1", by.Scheme, by.Client, by.Server, by.TLS
	q.load(ex, s.options.WholeBody)
	a := outgoing{minor: 1}
	route := s.choose(ex, &a)
	for _, each := range q.last {
		own.Fields = append(own.Fields, backline.Field{Name: []byte("Grip-Last"), Value: []byte(each)})
	}
	route.Handler.Submit(ex)
	q.mu.Lock()
	q.asked = true
	q.mu.Unlock()
}

// write makes the request's head. It has nothing of the client's but the host: as Pushpin has it, a filter answers for
// what the meta of both sides says, and no cookie makes the POST one that could be forged.
func (q *question) write(ex *dispatch.Exchange, target string) error {
	dst := append(append(append(ex.Head[:0], "POST "...), target...), " HTTP/1.1\r\n"...)
	dst = h1.AppendField(dst, []byte("Host"), q.host)
	dst = append(strconv.AppendInt(append(dst, "Content-Length: "...), int64(len(q.body)), 10), "\r\n"...)
	for _, f := range q.fields {
		dst = h1.AppendField(dst, f[0], f[1])
	}
	dst = append(dst, "\r\n"...)
	ex.Head = dst
	req := h1.Request{Fields: ex.Scope.Fields[:0]}
	var parser h1.Parser
	if n, err := parser.Parse(ex.Head, &req); err != nil || n != len(ex.Head) {
		return errors.New("its URL or its meta makes no request, or one whose header is too long")
	}
	own := &ex.Scope
	own.Method, own.Target, own.Path, own.Query, own.Fields = req.Method, req.Target, req.Path, req.Query, req.Fields
	return nil
}

// target gives where the URL leads to, which must be the server that the listener has come to: the request goes to the
// application, never over the network, so that nobody who gets a say in a URL can send requests to others from here.
func (q *question) target() (string, error) {
	base, err := url.ParseRequestURI(string(q.scope.Target))
	if err != nil {
		return "", errors.New("its listener's own URL cannot be read")
	}
	base.Scheme, base.Host = q.scope.Scheme, string(q.host)
	to, err := base.Parse(q.url)
	if err != nil {
		return "", errors.New("its URL cannot be read")
	}
	if to.Opaque != "" || to.User != nil || origin(to) != origin(base) {
		return "", errors.New("its URL leads to another server; expected a path, or the URL of the server itself")
	}
	return to.RequestURI(), nil
}

// origin gives the scheme, host and port of a URL. A WebSocket's are those of the request that it began with.
func origin(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	if rest, is := strings.CutPrefix(scheme, "ws"); is {
		scheme = "http" + rest
	}
	port := u.Port()
	switch {
	case port != "":
	case scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// late tells whether an answer has not come in time.
func (q *question) late(now int64, patience time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.asked && !q.over && now-q.began > int64(patience)
}

// giveUp ends one that is late. What the application still says comes to nobody.
func (q *question) giveUp() { q.end("it is not answered within filter_timeout", true) }

// finish ends one that has been answered, or cannot be. why is empty if it has.
func (q *question) finish(why string) { q.end(why, false) }

// end is the end of it, if that has not come before.
func (q *question) end(why string, late bool) {
	q.mu.Lock()
	ex, ended := q.ex, q.over
	q.over, q.ex = true, nil
	if !ended && why != "" {
		q.why = why
	}
	q.mu.Unlock()
	if ended {
		return
	}
	if late {
		ex.Disconnect()
	}
	ex.Release()
	q.server.holds.filters.done(q)
	q.wake()
}

// outcome gives what has come of it; over is false while nothing has.
func (q *question) outcome(w *grip.Passage) (sent, over, failed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.over {
		return false, false, false
	}
	why := q.why
	if why == "" {
		var err error
		if sent, err = w.Take(q.status, q.got, q.reply); err != nil {
			why = err.Error()
		}
	}
	if why != "" {
		q.server.filterFailed(q.url, why)
	}
	return sent, true, why != ""
}

// filterFailed says why a publication has not reached a listener.
func (s *Server) filterFailed(uri, why string) {
	if s.holds.filters.failed.due(s.clock.Load(), time.Minute) {
		s.options.Log.Error("a filter that asks the application has failed, and its publication is left out for one who "+
			"listens; what fails within a minute is not logged again", "url", uri, "why", why)
	}
}

// Answer implements dispatch.Client.
func (q *question) Answer(_ *dispatch.Exchange, m *wire.Message) {
	q.mu.Lock()
	q.status = m.Status
	for _, f := range m.Fields {
		if backline.EqualFold(f.Name, "action") {
			q.got = append(q.got, backline.Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)})
		}
	}
	if m.Kind == wire.KindFile && q.modify {
		q.why = "it is answered with a file"
	}
	q.keep(m.Data)
	q.mu.Unlock()
	if m.Kind != wire.KindStart {
		q.finish("")
	}
}

// keep adds to the answer's body, where that counts.
func (q *question) keep(data []byte) {
	switch {
	case !q.modify || q.over || q.why != "":
	case len(q.reply)+len(data) > q.server.holds.Filters.Reply:
		q.why, q.reply = "its answer is longer than filter_reply allows", nil
	default:
		q.reply = append(q.reply, data...)
	}
}

// Data implements dispatch.Client.
func (q *question) Data(ex *dispatch.Exchange, data []byte) {
	q.mu.Lock()
	q.keep(data)
	q.mu.Unlock()
	ex.Took(len(data))
}

// End implements dispatch.Client.
func (q *question) End(*dispatch.Exchange) { q.finish("") }

// Fail implements dispatch.Client.
func (q *question) Fail(_ *dispatch.Exchange, why *dispatch.Failure) {
	q.finish("it is not answered: " + why.Name)
}

// Hint implements dispatch.Client.
func (*question) Hint(*dispatch.Exchange, []backline.Field) {}
