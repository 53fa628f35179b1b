package edge

import (
	"os"
	"syscall"

	"backline"
	"backline/dispatch"
	"backline/h1"
	"backline/wire"
)

// outgoing is what is known of the answer under way.
type outgoing struct {
	minor     int  // of the request's HTTP/1.x
	head      bool // the request was HEAD
	keepAlive bool
	wsgi      bool // the answer is taken as fast as it is made
	deaf      bool // the client's end of input has been dealt with

	begun    bool // a status line has been written
	chunked  bool
	bodiless bool  // no body may follow, whatever the application sends
	left     int64 // bytes that Content-Length still promises; -1: no promise

	status int
	sent   int64 // body bytes
	fields []backline.Field
	failed string // why it ended early, for the access log

	held int // body bytes taken from the worker and not yet credited
	owed int // body bytes to credit now
}

// Answer implements dispatch.Client.
func (c *conn) Answer(ex *dispatch.Exchange, m *wire.Message) {
	c.mu.Lock()
	if c.ex != ex || c.phase != phaseAnswer {
		c.mu.Unlock()
		return
	}
	whole := m.Kind == wire.KindAnswer || m.Kind == wire.KindAnswerOpen
	file, size := c.openFile(m)
	if m.Kind == wire.KindFile && file == nil {
		c.page(500, dispatch.FailApp.Reason, 0)
		c.endAnswer()
		c.proceed()
		return
	}
	known := int64(-1)
	if whole {
		known = int64(len(m.Data))
	} else if file != nil {
		known = size
	}
	buffer := c.server.answerBuffer()
	dst := c.appendHead((*buffer)[:0], m, known)
	if file != nil {
		c.write(dst)
		c.sendFile(file, size)
	} else {
		dst = c.appendBody(dst, m.Data)
		c.write(dst)
		if whole {
			c.write(c.appendEnd(dst[:0])) // after the rest: it cuts the connection if the body is too short
		}
		c.answer.held += len(m.Data)
		c.credit(0)
	}
	*buffer = dst
	c.server.recycleAnswer(buffer)
	if whole || file != nil {
		c.endAnswer()
	}
	c.proceed()
}

// Data implements dispatch.Client.
func (c *conn) Data(ex *dispatch.Exchange, data []byte) {
	c.mu.Lock()
	if c.ex == ex && c.phase == phaseAnswer {
		buffer := c.server.answerBuffer()
		*buffer = c.appendBody((*buffer)[:0], data)
		c.write(*buffer)
		c.server.recycleAnswer(buffer)
		c.answer.held += len(data)
		c.credit(0)
	}
	c.proceed()
}

// End implements dispatch.Client.
func (c *conn) End(ex *dispatch.Exchange) {
	c.mu.Lock()
	if c.ex == ex && c.phase == phaseAnswer {
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
			if backline.ValidFieldName(f.Name) && backline.ValidFieldValue(f.Value) {
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

// credit decides which of the held bytes the worker may send again. WSGI answers are taken off its hands at once, so
// that a slow download holds no worker; an ASGI application's send() waits for the client. sent bytes have just left.
func (c *conn) credit(sent int) {
	a, n := &c.answer, 0
	switch {
	case c.out.empty():
		n = a.held
	case a.wsgi:
		if c.out.waiting() < int64(c.server.options.AnswerMemory)+c.server.options.AnswerFile {
			n = a.held
		}
	default:
		n = min(sent, a.held)
	}
	a.held -= n
	if a.owed += n; c.phase != phaseAnswer {
		a.owed = 0
	}
}

// appendBody frames a piece of the body and holds the application to its Content-Length (RFC 9112 6.3, 8).
func (c *conn) appendBody(dst, data []byte) []byte {
	a := &c.answer
	if a.bodiless || len(data) == 0 {
		return dst
	}
	if a.left >= 0 {
		if int64(len(data)) > a.left {
			c.complain("sent more body than its Content-Length promised; the rest is dropped")
			data = data[:a.left]
			a.keepAlive = false
		}
		a.left -= int64(len(data))
	}
	a.sent += int64(len(data))
	if a.chunked {
		return h1.AppendChunk(dst, data)
	}
	return append(dst, data...)
}

// appendEnd ends the body. Too short a body cannot be mended: the connection is cut.
func (c *conn) appendEnd(dst []byte) []byte {
	a := &c.answer
	switch {
	case a.bodiless:
	case a.left > 0:
		c.complain("sent less body than its Content-Length promised; the connection is cut")
		a.failed = dispatch.FailApp.Name
		c.abort()
	case a.chunked:
		return append(dst, h1.LastChunk...)
	}
	return dst
}

func (c *conn) complain(text string) {
	c.server.options.Log.Error("the application "+text, "path", string(c.ex.Scope.Path), "worker", c.ex.WorkerName)
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

// openFile opens the file that is to be the body (ASGI http.response.pathsend).
func (c *conn) openFile(m *wire.Message) (*os.File, int64) {
	if m.Kind != wire.KindFile {
		return nil, 0
	}
	file, err := os.Open(string(m.Data))
	if err == nil {
		var info os.FileInfo
		if info, err = file.Stat(); err == nil && info.Mode().IsRegular() {
			return file, info.Size()
		}
		_ = file.Close()
	}
	c.server.options.Log.Error("the file that the application sends as its answer cannot be opened",
		"file", string(m.Data), "error", err)
	return nil, 0
}

// sendFile sends the file's bytes without bringing them into this process's memory all at once.
func (c *conn) sendFile(file *os.File, size int64) {
	a := &c.answer
	if a.left >= 0 {
		size = min(size, a.left)
	}
	if a.bodiless || size == 0 || c.broken {
		_ = file.Close()
		return
	}
	a.sent, a.left = size, a.left-size
	if a.left > 0 {
		c.complain("promised more in Content-Length than its file has; the connection is cut")
		a.failed, a.keepAlive = dispatch.FailApp.Name, false
	}
	c.out.sendFile(file, size)
	c.drain()
}
