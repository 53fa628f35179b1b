package edge

import (
	"sync"
	"syscall"

	"backline"
	"backline/dispatch"
	"backline/h1"
)

// conn is one client's connection. Whatever happens to it (its socket has bytes or room, the application answers, time
// passes) is noted under mu, and then proceed looks what is to be done. One goroutine at a time proceeds; others that
// come while it does only leave their note. So no method of another package is called under mu, and the connection's
// buffers have one owner.
type conn struct {
	server        *Server
	client, local backline.Addr
	watcher       watcher
	slot          uint64          // the watcher's, to find the connection again
	first         phase           // after a PROXY header
	overTLS       bool            // the client's connection is encrypted, as that header says, though ours is not
	counted       bool            // in its address's share
	raw           syscall.RawConn // where the runtime's poller watches; nil on Linux

	mu         sync.Mutex
	fd         int
	release    func() // gives the descriptor back
	phase      phase
	proceeding bool
	canRead    bool // the socket may have bytes that have not been read
	ending     bool // the end of input is in the socket, behind what has not been read
	eof        bool // the client will send nothing more
	broken     bool // the socket failed; nothing can be written
	budget     int  // bytes that may be moved before the other connections have their turn
	since      int64
	in         []byte // bytes read and not yet used: in[off:]
	off        int
	parser     h1.Parser
	ex         *dispatch.Exchange // the request being read or answered
	route      *Route             // where it goes, once that is known
	body       incoming
	answer     outgoing
	unfinished *unfinished // an answer that says something to the edge, of which more is to come
	hold       *hold       // what the answer waits for, in phaseHold
	out        outbox
	ws         *socket  // nil for HTTP
	talk       *talk    // what the application's events of that go through; nil where it is told of the socket once
	secure     *secure  // nil without TLS
	tunnel     *session // whose stream the connection stands for; nil for one of its own
}

// phase is where a connection stands.
type phase uint8

const (
	phaseIdle      phase = iota // nothing of the next request has come
	phaseHead                   // some of its head has
	phaseCollect                // its body is collected before the application is called
	phaseAnswer                 // the application has it; its body may still stream
	phaseFlush                  // the answer is complete, but not all of it has been taken
	phaseHold                   // the answer, or the rest of it, is what will be published
	phaseSocket                 // it has become a WebSocket
	phaseGiven                  // its worker has it: there is nothing left here but what has to be known of it
	phaseAnnounced              // a PROXY header may come before everything else
	phaseSecure                 // TLS: its handshake comes before everything else
	phaseLinger                 // we have said our last word and let the client finish its own
	phaseClosed
)

// operation is what proceed does without the lock.
type operation uint8

const (
	opNone operation = iota
	opSubmit
	opSendBody
	opSendSpool
	opTook
	opDisconnect
	opHearEnd
	opSendMessage
	opTellGap
	opTellClosed
	opGive
	opKeep
	opJoin
	opFetch
)

// proceed does what is to be done, until nothing is. It is called with mu held and gives it back.
func (c *conn) proceed() {
	if c.proceeding {
		c.mu.Unlock()
		return
	}
	c.proceeding = true
	for op := c.next(); op != opNone; op = c.next() {
		c.perform(op)
	}
	c.proceeding = false
	c.mu.Unlock()
}

// perform does op without the lock, on values that only the one who proceeds changes.
func (c *conn) perform(op operation) {
	ex := c.ex
	switch op {
	case opSubmit:
		c.mu.Unlock()
		c.route.Handler.Submit(ex)
		c.mu.Lock()
	case opSendBody:
		c.sendBody(ex)
	case opSendSpool:
		c.sendSpool(ex)
	case opTook:
		n := c.answer.owed
		c.answer.owed = 0
		c.mu.Unlock()
		ex.Took(n)
		c.mu.Lock()
	case opSendMessage:
		c.sendMessage(ex)
	case opTellGap:
		c.tellGap(ex)
	case opTellClosed:
		c.tellClosed(ex)
	case opGive:
		c.give(ex)
	case opKeep:
		c.mu.Unlock()
		ex.Keep()
		c.mu.Lock()
	case opJoin, opFetch:
		c.performHold(op)
	case opHearEnd:
		c.mu.Unlock()
		gone := !c.answer.wsgi || ex.Waiting()
		if gone {
			ex.Disconnect()
		}
		c.mu.Lock()
		if gone {
			c.gone()
		}
	case opDisconnect:
		c.mu.Unlock()
		ex.Disconnect()
		c.mu.Lock()
		c.gone()
	}
}

// next decides under the lock what is to be done without it.
func (c *conn) next() operation {
	for {
		op, again := opNone, false
		switch c.phase {
		case phaseIdle, phaseHead:
			op, again = c.readHead()
		case phaseCollect:
			op, again = c.collect()
		case phaseAnswer:
			op, again = c.exchangeBytes()
		case phaseHold:
			op, again = c.keepHold()
		case phaseSocket:
			op, again = c.exchangeFrames()
		case phaseGiven:
			op = c.awaitEnd()
		case phaseAnnounced:
			again = c.readAnnouncement()
		case phaseSecure:
			again = c.readHello()
		case phaseFlush:
			again = c.flush()
		case phaseLinger:
			again = c.discard()
		case phaseClosed:
		}
		if !again {
			return op
		}
	}
}

// readHead parses what has come of the next request and begins it once it is whole.
func (c *conn) readHead() (operation, bool) {
	if c.off < len(c.in) && c.ex != nil {
		if may, whole := c.isPreface(); whole {
			c.turnToHTTP2()
			return opNone, true
		} else if may {
			return opNone, c.fill(c.server.headRoom)
		}
		n, op, err := c.parse()
		if err != nil {
			c.reject(err)
			return opNone, true
		}
		if n > 0 {
			return op, op == opNone
		}
	}
	return opNone, c.fill(c.server.headRoom)
}

// parse looks for a whole head in what has come.
func (c *conn) parse() (int, operation, *h1.Error) {
	req := h1.Request{Fields: c.ex.Scope.Fields[:0]}
	n, err := c.parser.Parse(c.in[c.off:], &req)
	if err != nil {
		if req.Method != nil {
			c.ex.Scope.Method, c.ex.Scope.Target = req.Method, req.Target
		}
		return 0, opNone, asH1Error(err)
	}
	if n == 0 {
		return 0, opNone, nil
	}
	c.parser.Reset()
	return n, c.begin(&req, n), nil
}

// begin takes a parsed head over into the exchange. The buffer it was parsed from becomes the exchange's.
func (c *conn) begin(req *h1.Request, n int) operation {
	ex, scope := c.ex, &c.ex.Scope
	rest := c.in[c.off+n:]
	ex.Head = c.in[:c.off+n]
	ex.Client = c
	scope.Method, scope.Target, scope.Path, scope.Query = req.Method, req.Target, req.Path, req.Query
	scope.Fields, scope.Version = req.Fields, versions[req.Minor]
	scope.Scheme, scope.RootPath = c.scheme(), c.server.options.RootPath
	scope.Client, scope.Server = c.client, c.local
	switch {
	case c.secure != nil:
		scope.Scheme, scope.TLS = "https", c.secure.about
	case c.tunnel != nil:
		scope.Scheme, scope.TLS = c.tunnel.scheme, c.tunnel.tls
	}
	c.in, c.off = nil, 0
	if len(rest) > 0 {
		c.in = append(make([]byte, 0, max(2*len(rest), 512)), rest...) // mostly the first bytes of a body
	}
	c.answer = outgoing{
		minor: req.Minor, head: string(req.Method) == "HEAD",
		keepAlive: req.KeepAlive && c.server.options.KeepAlive > 0,
	}
	return c.beginBody(req)
}

var versions = [2]string{"1.0", "1.1"} //nolint:gochecknoglobals // never written; Go has no constant arrays

// submit hands the request to the application's side.
func (c *conn) submit() operation {
	c.phase = phaseAnswer
	c.touch()
	return opSubmit
}

// exchangeBytes moves what can be moved while the application has the request: body to it, answer to the client.
func (c *conn) exchangeBytes() (operation, bool) {
	switch {
	case c.broken:
		return opDisconnect, false
	case c.answer.owed > 0:
		return opTook, false
	case c.ws != nil && c.ws.asked:
		return c.answerTake(), false
	case c.body.spooled && c.body.window > 0 && !c.body.done:
		return opSendSpool, false
	case !c.body.done && !c.body.spooled:
		return c.stream()
	case c.canRead && !c.eof && len(c.in)-c.off < pipelined:
		return opNone, c.fill(c.server.headRoom)
	case c.eof && !c.answer.deaf:
		return c.hearEnd(), false
	}
	return opNone, false
}

// pipelined is how many bytes of further requests are taken while one is answered; the rest waits in the kernel.
const pipelined = 16 << 10

// hearEnd deals with a client that has closed its side while the application works. For ASGI that is the disconnect
// that the application may wait for. A WSGI application could not be told; it goes on until a write fails, and clients
// that only half close (HTTP/1.0 ones, "nc -N") get their answer, as they do from gunicorn. One that still waits for a
// worker is dropped, as nginx does, so that nobody works for those who have given up.
func (c *conn) hearEnd() operation {
	c.answer.deaf = true
	if c.off == len(c.in) {
		c.answer.keepAlive = false // else its next requests are already here
	}
	return opHearEnd
}

// gone ends a connection whose client has left before its answer.
func (c *conn) gone() {
	c.record("client")
	c.close()
}

// finish ends an exchange whose answer has been taken whole.
func (c *conn) finish() {
	if c.out.empty() {
		c.record("")
	} else {
		c.record("client")
	}
	parted := c.ws != nil && c.ws.parted // then the server closes, and at once (RFC 6455 7.1.1)
	c.dropExchange()
	switch {
	case c.broken || c.eof && c.off == len(c.in) || parted:
		c.close()
	case !c.answer.keepAlive || c.server.draining.Load():
		c.linger()
	default:
		c.phase = phaseIdle
		c.touch()
		if c.off < len(c.in) {
			c.startExchange()
		} else {
			c.in, c.off = nil, 0
		}
	}
}

func (c *conn) dropExchange() {
	c.answer.release()
	c.unfinished = nil
	if c.ex != nil {
		c.ex.Release()
		c.leaveGroups()
		c.ex, c.ws = nil, nil
	}
	c.body.reset(c.server)
}

// startExchange makes room for the next request when its first bytes are here.
func (c *conn) startExchange() {
	c.ex = c.server.exchanges.New()
	c.ex.Start = c.server.now()
	c.answer = outgoing{minor: 1} // for the error of a head that is never whole; not what the last request left
	c.phase = phaseHead
}

// touch notes that something happened, for the deadlines.
func (c *conn) touch() { c.since = c.server.clock.Load() }
