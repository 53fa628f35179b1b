package edge

import (
	"syscall"

	"backline"
	"backline/dispatch"
	"backline/h1"
	"backline/wire"
)

// Answer implements dispatch.Client.
func (c *conn) Answer(ex *dispatch.Exchange, m *wire.Message) {
	if m.Kind == wire.KindAct || m.Kind == wire.KindActed {
		c.heard(ex, m)
		return
	}
	file, ok := c.server.fileFor(ex, m)
	c.mu.Lock()
	switch {
	case c.ex != ex || c.phase != phaseAnswer:
		file.Close()
	case !ok:
		c.page(500, dispatch.FailApp.Reason, 0)
		c.answer.failed = dispatch.FailApp.Name
		c.endAnswer()
	case file != nil:
		c.sendFile(file, m)
	case c.server.instructs(&c.answer, m):
		if g := gather(m); m.Kind == wire.KindStart {
			c.unfinished = g
			c.answer.held += len(m.Data)
			c.credit(0)
		} else {
			c.obey(g)
		}
	default:
		c.startAnswer(m)
	}
	c.proceed()
}

// startAnswer writes the head of an answer and what came with it of the body.
func (c *conn) startAnswer(m *wire.Message) {
	compressed := c.server.compress(c.ex, &c.answer, m)
	buffer := c.server.answerBuffer()
	dst := c.appendHead((*buffer)[:0], m, knownLength(m))
	dst = c.appendBody(dst, m.Data)
	c.write(dst)
	whole := m.Kind != wire.KindStart
	if whole {
		c.write(c.appendEnd(dst[:0])) // after the rest: it cuts the connection if the body is too short
	}
	c.answer.held += len(m.Data)
	c.credit(0)
	*buffer = dst
	c.server.recycleAnswer(buffer)
	if compressed != nil {
		c.server.recycleAnswer(compressed)
	}
	if whole {
		c.endAnswer()
	}
}

// Data implements dispatch.Client.
func (c *conn) Data(ex *dispatch.Exchange, data []byte) {
	c.mu.Lock()
	switch {
	case c.ex != ex || c.phase != phaseAnswer:
	case c.unfinished != nil:
		c.gather(data)
	default:
		c.writePiece(data)
		c.answer.held += len(data)
		c.credit(0)
	}
	c.proceed()
}

// End implements dispatch.Client.
func (c *conn) End(ex *dispatch.Exchange) {
	c.mu.Lock()
	switch {
	case c.ex != ex || c.phase != phaseAnswer:
	case c.unfinished != nil:
		c.obey(c.unfinished)
	default:
		var last [len(h1.LastChunk)]byte
		c.write(c.appendEnd(last[:0]))
		c.endAnswer()
	}
	c.proceed()
}

// Hint implements dispatch.Client (RFC 8297).
func (c *conn) Hint(ex *dispatch.Exchange, fields []backline.Field) {
	c.mu.Lock()
	if c.ex == ex && c.phase == phaseAnswer && !c.answer.begun && c.answer.minor > 0 {
		dst := h1.AppendStatusLine(nil, 103, nil)
		for _, f := range fields {
			if hintable(f) {
				dst = h1.AppendField(dst, f.Name, f.Value)
			}
		}
		c.write(append(dst, "\r\n"...))
	}
	c.proceed()
}

// Fail implements dispatch.Client. An answer that has begun is cut, so that the client sees that it is not whole.
func (c *conn) Fail(ex *dispatch.Exchange, why *dispatch.Failure) {
	c.mu.Lock()
	if t := c.talk; t != nil {
		c.mu.Unlock()
		t.fail(why)
		return
	}
	if c.ex == ex && c.phase == phaseSocket {
		c.ws.told = true
		c.answer.failed = why.Name
		c.closeSocket(why.Close, "")
	}
	if c.ex == ex && c.phase == phaseGiven {
		c.ws.told, c.ws.over = true, true
		c.answer.failed = why.Name
	}
	if c.ex == ex && c.phase == phaseAnswer {
		c.answer.failed = why.Name
		if c.answer.begun || why.Status == 0 {
			c.abort()
		} else {
			c.page(why.Status, why.Reason, why.Wait)
			c.endAnswer()
		}
	}
	c.proceed()
}

// endAnswer says that nothing more will be added to the answer.
func (c *conn) endAnswer() {
	c.phase = phaseFlush
	if !c.body.done && !c.body.spooled {
		c.answer.keepAlive = false // what is left of the body must not be read as a request
	}
}

// flush waits until the client has taken everything. It tells whether the connection moved on.
func (c *conn) flush() bool {
	if c.out.empty() || c.broken {
		c.finish()
		return true
	}
	return false
}

// credit notes what the worker may send again, now that sent bytes have left.
func (c *conn) credit(sent int) {
	a := &c.answer
	a.credit(&c.out, sent, &c.server.options)
	if c.phase != phaseAnswer && c.phase != phaseSocket {
		a.owed = 0
	}
}

// appendBody frames a piece of the body.
func (c *conn) appendBody(dst, data []byte) []byte {
	a := &c.answer
	data, excess := a.take(data)
	if excess {
		c.server.complain(c.ex, complaintExcess)
		a.keepAlive = false
	}
	if a.encoder != nil {
		scratch := c.server.answerBuffer()
		defer c.server.recycleAnswer(scratch)
		data = a.encode(scratch, data)
	}
	return a.appendPiece(dst, data)
}

// appendPiece frames what goes to the client.
func (a *outgoing) appendPiece(dst, data []byte) []byte {
	if a.chunked {
		return h1.AppendChunk(dst, data)
	}
	return append(dst, data...)
}

// appendEnd ends the body. Too short a body cannot be mended: the connection is cut.
func (c *conn) appendEnd(dst []byte) []byte {
	a := &c.answer
	if a.short() {
		c.server.complain(c.ex, complaintShort)
		a.failed = dispatch.FailApp.Name
		c.abort()
		return dst
	}
	if a.encoder != nil {
		scratch := c.server.answerBuffer()
		defer c.server.recycleAnswer(scratch)
		dst = a.appendPiece(dst, a.encodeEnd(scratch))
	}
	if a.chunked && !a.bodiless {
		dst = append(dst, h1.LastChunk...)
	}
	return dst
}

// abort cuts the connection after what has been written.
func (c *conn) abort() {
	c.phase = phaseFlush
	c.answer.keepAlive = false
	c.broken = true
	if a := &c.answer; a.begun && !a.chunked && !a.bodiless && a.left < 0 {
		// The end of the connection would say that this body is whole; a reset does not.
		_ = syscall.SetsockoptLinger(c.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	}
}
