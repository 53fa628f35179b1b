package edge

import (
	"bytes"
	"errors"
	"syscall"

	"backline/dispatch"
	"backline/websocket"
)

// exchangeFrames moves what can be moved while the connection is a WebSocket.
func (c *conn) exchangeFrames() (operation, bool) {
	ws := c.ws
	if c.broken {
		ws.end(dispatch.CloseLost, "")
		ws.over = true
	}
	if p := ws.posts; p != nil && p.sieve != nil && p.sieve.full && c.out.empty() {
		p.sieve.advance()
	}
	switch {
	case ws.code != 0 && !ws.told:
		ws.told = true
		return opTellClosed, false
	case ws.over:
		c.returnBuffer()
		c.phase = phaseFlush
		return opNone, true
	case c.owesGap():
		return opTellGap, false
	case c.answer.owed >= c.server.options.WebSockets.Window/4:
		return opTook, false
	case ws.window <= 0 && !ws.closing, c.out.waiting() > int64(c.server.options.WebSockets.Window):
		// The worker has not taken the last messages, or the client does not take what its pings are answered with.
		c.returnBuffer()
		return opNone, false
	}
	if c.off < len(c.in) {
		return c.readFrame()
	}
	if c.fillFrames() {
		return opNone, true
	}
	c.returnBuffer()
	return opNone, false
}

// readFrame takes the next event from what has been read.
func (c *conn) readFrame() (operation, bool) {
	ws := c.ws
	event, used, failure := ws.parser.Next(c.in[c.off:])
	c.off += used
	if failure != nil {
		c.closeSocket(failure.Code, failure.Reason)
		ws.over = true
		return opNone, true
	}
	switch event.Kind {
	case websocket.Text, websocket.Binary:
		if ws.closing {
			break
		}
		ws.message, ws.text = event.Data, event.Kind == websocket.Text
		ws.window -= c.costOf(ws.message, ws.text)
		return opSendMessage, false
	case websocket.Ping:
		if ws.closing {
			break
		}
		if ws.posts != nil && ws.posts.listens() {
			return c.tellPosts("PING", event.Data) // the application answers: two pongs would be one too many
		}
		var pong [128]byte
		c.write(websocket.AppendFrame(pong[:0], websocket.Pong, event.Data))
	case websocket.Close:
		c.closeSocket(event.Code, "") // the client's own code is the answer (RFC 6455 5.5.1)
		ws.reason = string(event.Data)
		ws.over, ws.parted = true, true
		if ws.posts != nil {
			ws.posts.parted = true
		}
	case websocket.Pong:
		if !ws.closing && len(event.Data) > 0 { // our own pings have no content
			return c.tellPosts("PONG", event.Data)
		}
	case websocket.None:
	}
	return opNone, true
}

// sendMessage passes a message on, without the lock.
func (c *conn) sendMessage(ex *dispatch.Exchange) {
	data, text, t, p := c.ws.message, c.ws.text, c.talk, c.ws.posts
	c.mu.Unlock()
	switch {
	case p != nil:
		p.receive(data, text)
	case t != nil:
		t.receive(data, text)
	default:
		ex.SendMessage(data, text)
	}
	c.mu.Lock()
	c.ws.message = nil
}

// tellClosed tells the worker how the socket has ended, without the lock.
func (c *conn) tellClosed(ex *dispatch.Exchange) {
	code, reason, t, p := c.ws.code, c.ws.reason, c.talk, c.ws.posts
	c.mu.Unlock()
	switch {
	case p != nil:
		p.end(code, reason)
	case t != nil:
		t.end(code, reason)
	default:
		ex.CloseSocket(code, reason)
	}
	c.mu.Lock()
}

// fillFrames reads into a borrowed buffer: an idle socket has none. False: nothing to do before the next event.
func (c *conn) fillFrames() bool {
	ws := c.ws
	if c.eof {
		ws.end(dispatch.CloseLost, "")
		ws.over = true
		return true
	}
	if !c.canRead || c.pause() {
		return false
	}
	if ws.read == nil {
		ws.read = c.server.bodyBuffer()
	}
	c.in, c.off = (*ws.read)[:0], 0
	n, err := c.receive(c.in[:cap(c.in)])
	switch {
	case n > 0:
		c.canRead = c.mayHaveMore(n, cap(c.in))
		c.budget -= n
		c.in = c.in[:n]
		ws.heard, ws.pinged = c.server.clock.Load(), 0
	case errors.Is(err, syscall.EAGAIN):
		c.canRead = false
		return false
	default:
		c.broken = c.broken || err != nil
		c.eof = true
	}
	return true
}

// returnBuffer gives the borrowed buffer back; what has not been parsed is kept apart.
func (c *conn) returnBuffer() {
	ws := c.ws
	_, _, _ = ws.parser.Next(nil) //nolint:dogsled // gives back what the last message lay in, where that was not c.in
	rest := c.in[c.off:]
	switch {
	case len(rest) == 0:
		rest = nil
	case ws.read != nil:
		rest = bytes.Clone(rest)
	default:
		return
	}
	c.in, c.off = rest, 0
	if ws.read != nil {
		c.server.recycle(ws.read)
		ws.read = nil
	}
}
