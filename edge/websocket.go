package edge

import (
	"bytes"
	"time"

	"backline/dispatch"
	"backline/h1"
	"backline/websocket"
	"backline/wire"
)

// WebSockets are the bounds and habits for connections that have become WebSockets.
type WebSockets struct {
	// Settings bound messages (16 MiB, then close 1009) and say how they are compressed.
	websocket.Settings
	// Window is how much of what the application sends may wait for the client, in units of wire.Cost; then its send()
	// waits. The workers are told the same. Default 64 KiB.
	Window int
	// Queue is how much of what a client sends may wait for its application, where that is called with events: bytes, and
	// wire.MessageCost for each message. Then the socket is not read. Default 256 KiB.
	Queue int
	// Drain is how long sockets whose application is called with events stay after Retire. In the last quarter of this
	// time they are closed, a few at a time. 0: at once.
	Drain time.Duration
	// Groups is how many groups one socket may be in. The workers are told the same. Default 100.
	Groups int
	// WriteTimeout is how long a client may take nothing of what waits for it; then it is cut off. Default 30 s.
	WriteTimeout time.Duration
	// PingInterval is after how long a silent client is asked for a sign of life, and PingTimeout how long it has to give
	// it; then it is cut off. Defaults 20 s; negative: never.
	PingInterval, PingTimeout time.Duration
	// Keep keeps connections from workers that ask for them because their applications speak RFC 6455 themselves.
	Keep bool
}

func (o *WebSockets) setDefaults() {
	setDefault(&o.Window, 64<<10)
	setDefault(&o.Queue, 256<<10)
	setDefault(&o.Groups, 100)
	setDefault(&o.WriteTimeout, 30*time.Second)
	setDefault(&o.PingInterval, 20*time.Second)
	setDefault(&o.PingTimeout, 20*time.Second)
}

// closeTime is how long a client has to answer our close frame.
const closeTime = 10 * time.Second

// socket is what a connection knows of its WebSocket, from the handshake on.
type socket struct {
	offer  websocket.Offer
	parser websocket.Parser
	writer websocket.Writer

	window  int // units that the worker can take; frames wait while there are none
	message []byte
	text    bool
	read    *[]byte // the borrowed buffer that in points into

	closing bool   // our close frame has been written
	over    bool   // nothing more is expected of the client
	parted  bool   // its close frame has come
	code    int    // how it ended, 0 before
	reason  string // the client's
	told    bool   // the worker knows

	asked bool // the worker wants the connection

	posts *posts // nil unless the application is asked by POST

	heard  int64 // when the client last sent anything
	pinged int64 // when it was last asked for a sign of life, 0 when it has given one

	membership *membership // nil for one that is in no group
}

// end notes how the socket ended; the first end counts.
func (ws *socket) end(code int, reason string) {
	if ws.code == 0 {
		ws.code, ws.reason = code, reason
	}
}

// handshake begins a WebSocket where the client asks for one and the application can have one. For WSGI it is a request
// like any other (RFC 9110 7.8), which the application may make a WebSocket of: offerUpgrade. False: it is an ordinary
// request.
func (c *conn) handshake(req *h1.Request) (operation, bool) {
	if len(req.Upgrade) == 0 {
		return opNone, false
	}
	scope := &c.ex.Scope
	offer, wanted, no := websocket.Upgrade(scope)
	if wanted {
		c.route = c.server.chooseSocket(c.ex, &c.answer)
		wanted = c.route != nil
	}
	switch {
	case !wanted:
		if offer.Key != nil && no == nil {
			c.ws = &socket{offer: offer}
		}
		return opNone, false
	case no != nil:
		return c.refuse(&refusal{status: no.Status, reason: reasonFor(&h1.Error{Reason: no.Reason}), fields: no.Fields}), true
	}
	return c.offerSocket(&offer), true
}

// offerSocket hands a WebSocket's handshake to the application, which accepts or refuses it.
func (c *conn) offerSocket(offer *websocket.Offer) operation {
	ex, scope := c.ex, &c.ex.Scope
	if c.tunnel != nil {
		c.tunnel.unwrap(scope)
	}
	scope.WebSocket, scope.Protocols = true, offer.Protocols
	scope.Scheme = "ws" + scope.Scheme[len("http"):]
	ex.Socket, ex.More = c, wire.BodyFollows
	c.ws = &socket{offer: *offer}
	return c.submit()
}

// offerUpgrade lets a WSGI application make a WebSocket of its request. The request stays as its client has sent it,
// also behind a tunnel: libraries that speak RFC 6455 themselves look for its fields.
func (c *conn) offerUpgrade() {
	if !c.answer.wsgi {
		c.ws = nil
		return
	}
	c.ex.Scope.WebSocket, c.ex.Scope.Protocols, c.ex.Socket = true, c.ws.offer.Protocols, c
	c.ws.window = wire.Window
}

// Accept implements dispatch.Socket (RFC 6455 4.2.2).
func (c *conn) Accept(ex *dispatch.Exchange, m *wire.Message) {
	c.mu.Lock()
	if c.ex != ex || c.phase != phaseAnswer {
		c.mu.Unlock()
		return
	}
	c.accept(m)
	c.proceed()
}

// accept answers the handshake.
func (c *conn) accept(m *wire.Message) {
	ws := c.ws
	deflate, extensions := ws.offer.Negotiate(c.server.options.WebSockets.Deflate)
	buffer := c.server.answerBuffer()
	*buffer = c.appendUpgrade((*buffer)[:0], m, extensions)
	c.write(*buffer)
	c.server.recycleAnswer(buffer)
	ws.parser = websocket.NewParser(c.server.codecs, deflate)
	ws.writer = websocket.NewWriter(c.server.codecs, deflate)
	ws.offer = websocket.Offer{}
	ws.heard = c.server.clock.Load()
	c.answer.begun, c.answer.status, c.answer.keepAlive = true, 101, false
	if c.server.needsAnswer {
		c.answer.keep(m)
	}
	c.ex.Shrink()
	c.phase = phaseSocket
	c.joinGroups()
	if c.server.draining.Load() {
		c.leave()
	}
}

// appendUpgrade writes the answer that makes the connection a WebSocket.
func (c *conn) appendUpgrade(dst []byte, m *wire.Message, extensions []byte) []byte {
	dst = h1.AppendStatusLine(dst, 101, nil)
	dst = append(dst, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = append(websocket.AppendAccept(dst, c.ws.offer.Key), "\r\n"...)
	if m.Data != nil {
		dst = h1.AppendField(dst, []byte("Sec-WebSocket-Protocol"), m.Data)
	}
	if extensions != nil {
		dst = h1.AppendField(dst, []byte("Sec-WebSocket-Extensions"), extensions)
	}
	var seen seenFields
	for _, f := range m.Fields {
		switch h1.Lookup(f.Name) {
		case h1.ContentLength, h1.TransferEncoding, h1.KeepAlive, h1.Upgrade, h1.Trailer, h1.Connection:
			continue
		case h1.Date:
			seen.date = true
		case h1.Server:
			seen.server = true
		}
		if !isHandshakeField(f.Name) {
			dst = h1.AppendField(dst, f.Name, f.Value)
		}
	}
	return append(c.appendOwn(dst, seen), "\r\n"...)
}

// isHandshakeField tells whether a field belongs to the handshake, which is the edge's business.
func isHandshakeField(name []byte) bool {
	const prefix = "sec-websocket-"
	return len(name) > len(prefix) && bytes.EqualFold(name[:len(prefix)], []byte(prefix))
}

// Message implements dispatch.Socket.
func (c *conn) Message(ex *dispatch.Exchange, data []byte, text, last bool) {
	c.mu.Lock()
	if c.ex == ex && c.phase == phaseSocket && !c.ws.closing {
		buffer := c.server.answerBuffer()
		*buffer = c.ws.writer.Append((*buffer)[:0], kindOf(text), data, last)
		waited := !c.out.empty()
		c.write(*buffer)
		c.answer.sent += int64(len(*buffer))
		c.server.recycleAnswer(buffer)
		c.answer.held += wire.Cost(data, text)
		c.credit(0)
		c.encloseLater()
		if !waited && !c.out.empty() {
			c.watcher.hurry(c) // its deadline is now how long nothing is taken
		}
	}
	c.proceed()
}

// Close implements dispatch.Socket. Before it is accepted, closing is refusing (ASGI www 2.4.6).
func (c *conn) Close(ex *dispatch.Exchange, code int, reason []byte) {
	c.mu.Lock()
	switch {
	case c.ex != ex:
	case c.phase == phaseAnswer:
		c.page(403, "The application refused this WebSocket.", 0)
		c.endAnswer()
	case c.phase == phaseSocket:
		c.ws.told = true // it is the worker who says so
		c.closeSocket(code, string(reason))
	case c.phase == phaseGiven:
		c.ws.told, c.ws.over = true, true
	}
	c.proceed()
}

// closeSocket begins the closing handshake from our side (RFC 6455 7.1.2).
func (c *conn) closeSocket(code int, reason string) {
	ws := c.ws
	if ws.closing {
		return
	}
	ws.closing = true
	c.leaveGroups()
	ws.end(code, reason)
	c.write(websocket.AppendClose(nil, code, reason))
	c.touch()
	c.watcher.hurry(c)
}

// checkSocket looks at a socket's deadlines and gives when it wants to be looked at again.
func (c *conn) checkSocket(now int64, waited time.Duration) (again int64) {
	again = c.checkLife(now, waited)
	if p := c.ws.posts; p != nil {
		again = min(again, p.check(now))
	}
	return again
}

// checkLife is checkSocket for what all sockets have.
func (c *conn) checkLife(now int64, waited time.Duration) (again int64) {
	ws, o := c.ws, &c.server.options.WebSockets
	switch {
	case ws.closing && waited > closeTime, !c.out.empty() && waited > o.WriteTimeout:
		c.answer.failed = "client"
		c.broken = true
	case ws.closing || !c.out.empty() || o.PingInterval < 0 || ws.window <= 0:
	case ws.pinged == 0 && now-ws.heard >= int64(o.PingInterval):
		ws.pinged = now
		var ping [2]byte
		c.write(websocket.AppendFrame(ping[:0], websocket.Ping, nil))
		return now + int64(max(o.PingTimeout, 0))
	case ws.pinged == 0:
		return ws.heard + int64(o.PingInterval)
	case o.PingTimeout >= 0 && now-ws.pinged >= int64(o.PingTimeout):
		c.answer.failed = "client"
		c.broken = true // whoever does not answer a ping will not answer a close frame
	}
	return now
}
