package edge

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"backline"
	"backline/dispatch"
	"backline/grip"
	"backline/websocket"
	"backline/wire"
)

// Posts are the bounds of WebSocket-over-HTTP, where Route.Posts asks for it.
type Posts struct {
	// Reply is how many bytes one answer may have. Default 1 MiB.
	Reply int
	// Retries is how often a POST that no worker could take is made again. Default 5.
	Retries int
	// Wait is how long it waits before that; up to as much is added at random. Default 1 s.
	Wait time.Duration
}

func (o *Posts) setDefaults() {
	setDefault(&o.Reply, 1<<20)
	setDefault(&o.Retries, 5)
	setDefault(&o.Wait, time.Second)
}

// posts is a WebSocket whose application is asked with a POST for everything that happens to it (GRIP's
// WebSocket-over-HTTP). The connection holds the socket, as for a talk; there is one POST at a time, by any worker, and
// what happens meanwhile goes with the next one, in order.
type posts struct {
	conn   *conn
	server *Server
	route  *Route         // where the POSTs go
	scope  backline.Scope // who asks, without what is the request's own
	head   []byte         // header fields of every POST
	target []byte
	host   []byte

	kind string // of the event that receive passes on; the one who proceeds alone has it

	// Guarded by the connection's mu.
	opened   bool // accepted
	control  bool // messages may be controls, and others begin with the prefix
	prefix   string
	closed   bool          // by the application, which needs not be told
	parted   bool          // by the client, with a close frame
	inbox    grip.Listener // the channels it is subscribed to
	session  string        // that it is in
	sieve    *sieve        // nil while no filter of theirs has asked the application
	interval int64         // Keep-Alive-Interval, 0: none
	asked    int64         // when the last POST ended
	keep     later         // what is sent when nothing else is
	delayed  later

	// mu may be taken with the connection's mu held, and nothing is called under it.
	mu       sync.Mutex
	id       string
	meta     [][2]string
	waiting  []grip.Event // nil when none does
	sending  []grip.Event // what the POST that is under way carries
	replayed int          // bytes at the beginning of what waits that were in an earlier POST
	tries    int
	idle     bool // the application has accepted nothing of the last POST
	busy     bool // a POST is under way, or will be made again
	detached bool // the application wants no more of them
	last     bool // no further event will be added
	done     bool
}

// later is a message for the client that is sent in time. due is 0 where there is none.
type later struct {
	grip.Control
	due int64
}

// posting is the Handler of a route's WebSockets: it makes POSTs for the route's own.
type posting struct {
	server *Server
	route  *Route
}

// posts gives where WebSockets of a route go whose application is asked with POSTs.
func (s *Server) posts(route *Route) *Route {
	return &Route{Handler: &posting{s, route}, RootPath: route.RootPath}
}

// WSGI implements Handler.
func (*posting) WSGI() bool { return false }

// WebSockets implements Handler.
func (*posting) WebSockets() bool { return true }

// Submit implements Handler.
func (h *posting) Submit(ex *dispatch.Exchange) {
	c, ok := ex.Socket.(*conn)
	if !ok {
		return
	}
	c.mu.Lock()
	if c.ex != ex || c.phase != phaseAnswer {
		c.mu.Unlock()
		return
	}
	p := &posts{conn: c, server: h.server, route: h.route, id: rand.Text(), target: bytes.Clone(ex.Scope.Target)}
	p.scope = ex.Scope
	p.scope.Scheme = "http" + ex.Scope.Scheme[len("ws"):]
	p.scope.Method, p.scope.Target, p.scope.Path, p.scope.Query = nil, nil, nil, nil
	p.scope.Fields, p.scope.Protocols = nil, nil
	p.scope.WebSocket = false
	p.head, p.host = appendPostFields(nil, ex.Scope.Fields), hostField(ex.Scope.Fields)
	c.ws.posts = p
	c.mu.Unlock()
	p.push(grip.Event{Type: "OPEN"})
}

// push has the application told of an event. False: it will not be.
func (p *posts) push(e grip.Event) bool {
	p.mu.Lock()
	if p.last || p.done {
		p.mu.Unlock()
		return false
	}
	ends := e.Type == "CLOSE" || e.Type == "DISCONNECT"
	if p.detached && !ends {
		p.mu.Unlock()
		return false
	}
	p.last = ends
	if !p.detached && e.Type != "" {
		p.waiting = append(p.waiting, e)
	}
	if p.busy {
		p.mu.Unlock()
		return true
	}
	p.busy = true
	detached := p.detached
	p.mu.Unlock()
	if detached {
		p.finish()
	} else {
		p.send()
	}
	return true
}

// receive has the application told of a message, or of what tellPosts has found in its place. What it does not want
// takes no room of what may wait.
func (p *posts) receive(data []byte, text bool) {
	e := grip.Event{Type: p.kind, Content: append([]byte{}, data...)}
	p.kind = ""
	switch {
	case e.Type != "":
	case text:
		e.Type = "TEXT"
	default:
		e.Type = "BINARY"
	}
	if !p.push(e) {
		p.conn.regain(len(data) + wire.MessageCost)
	}
}

// listens tells whether the application is still told of what happens. It may be called with the connection's mu held.
func (p *posts) listens() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.detached && !p.last && !p.done
}

// tellPosts passes on a ping or a pong, where the application is asked by POST.
func (c *conn) tellPosts(kind string, data []byte) (operation, bool) {
	ws := c.ws
	if ws.posts == nil {
		return opNone, true
	}
	ws.posts.kind, ws.message = kind, data
	ws.window -= c.costOf(data, false)
	return opSendMessage, false
}

// resume implements waiter: the application has not been asked for as long as it wants.
func (p *posts) resume() { p.push(grip.Event{}) }

// end has the application told how the socket ended.
func (p *posts) end(code int, reason string) {
	p.conn.mu.Lock()
	p.sieve.drop()
	closed, parted := p.closed, p.parted
	p.conn.mu.Unlock()
	switch {
	case closed:
		p.mu.Lock()
		p.detached = true
		p.mu.Unlock()
		p.push(grip.Event{Type: "DISCONNECT"}) // of which it is not told
	case !parted:
		p.push(grip.Event{Type: "DISCONNECT"})
	case code == websocket.CloseNoStatus:
		p.push(grip.Event{Type: "CLOSE"})
	default:
		p.push(grip.Event{Type: "CLOSE", Content: append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)})
	}
}

// finish goes on to the next POST, where there is something to tell.
func (p *posts) finish() {
	p.mu.Lock()
	p.sending = nil
	if p.detached {
		p.waiting = nil
	}
	if len(p.waiting) > 0 {
		p.mu.Unlock()
		p.send()
		return
	}
	p.waiting, p.busy = nil, false
	ended := p.last && !p.done
	p.done = p.last
	p.mu.Unlock()
	p.conn.mu.Lock()
	opened := p.opened
	p.conn.mu.Unlock()
	if ended && opened {
		p.server.talkOver()
	}
}

// drop forgets what waits: the socket ends because of what came before. The end itself is told, unless all is true.
func (p *posts) drop(all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(e grip.Event) bool {
		return all || e.Type != "CLOSE" && e.Type != "DISCONNECT"
	})
	p.detached = p.detached || all
}

// closeFor closes the socket because of a failure.
func (p *posts) closeFor(code int) {
	c := p.conn
	c.mu.Lock()
	if c.ws != nil && c.ws.posts == p && c.phase == phaseSocket {
		c.closeSocket(code, "")
	}
	c.proceed()
}

// contentOf is how many bytes of messages there are.
func contentOf(events []grip.Event) (n int) {
	for _, e := range events {
		n += len(e.Content)
	}
	return n
}

// hasMessages tells whether events carry something that cannot be had again.
func hasMessages(events []grip.Event) bool {
	return slices.ContainsFunc(events, func(e grip.Event) bool { return e.Type == "TEXT" || e.Type == "BINARY" })
}
