package edge

import (
	"errors"
	"syscall"

	"backline/dispatch"
	"backline/static"
	"backline/wire"
)

// serveFile answers a request for a file without the application, and so also while no worker is up. It opens the
// file under mu: package static calls nobody back, and another connection is at most kept from this one's deadline.
func (c *conn) serveFile() bool {
	answer := c.server.options.Files.Serve(&c.ex.Scope)
	if answer == nil {
		return false
	}
	c.phase = phaseAnswer
	c.touch()
	c.sendFile(answer, localMessage(answer))
	return true
}

// localMessage gives a file's answer the form of a worker's, because heads are written of those.
func localMessage(answer *static.Answer) *wire.Message {
	return &wire.Message{Kind: wire.KindFile, Status: answer.Status, Fields: answer.Fields}
}

// fileFor opens the file that a worker's message names: the one that is the body, or, in a header field, the one that
// is to be sent in place of the body; then m becomes that file's answer. nil: none is named. False: it cannot be
// sent.
func (s *Server) fileFor(ex *dispatch.Exchange, m *wire.Message) (answer *static.Answer, ok bool) {
	var err error
	if m.Kind == wire.KindFile {
		answer, err = s.options.Files.Send(string(m.Data), m.Offset, m.Length)
	} else if answer, err = s.options.Files.Named(&ex.Scope, m.Status, m.Fields); answer != nil {
		if m.Fields = answer.Fields; m.Status != answer.Status {
			m.Status, m.Reason = answer.Status, nil
		}
	}
	if err != nil {
		s.options.Log.Error("the file that the application sends as its answer cannot be opened",
			"path", string(ex.Scope.Path), "worker", ex.WorkerName, "error", err)
	}
	return answer, err == nil
}

// sendFile answers with m's head and a file, whose bytes do not come into this process where that can be helped.
func (c *conn) sendFile(file *static.Answer, m *wire.Message) {
	a := &c.answer
	buffer := c.server.answerBuffer()
	*buffer = c.appendHead((*buffer)[:0], m, file.Length)
	size, short := a.takeFile(file.Length)
	if short {
		c.server.complain(c.ex, complaintShortFile)
		a.failed, a.keepAlive = dispatch.FailApp.Name, false
	}
	// One packet less, and one time less that the client is woken.
	if size > 0 {
		c.writeAhead(*buffer)
	} else {
		c.write(*buffer)
	}
	c.server.recycleAnswer(buffer)
	if size == 0 || c.broken {
		file.Close()
	} else {
		c.out.send(file, size)
		c.drain()
	}
	if m.Kind == wire.KindStart {
		a.replaced = true // the answer ends when the application's own does, of which nothing is sent
		return
	}
	c.endAnswer()
}

// writeAhead sends p, which a file follows.
func (c *conn) writeAhead(p []byte) {
	if c.secure == nil && c.out.empty() && !c.broken {
		if n, err := writeAhead(c.fd, p); err == nil {
			p = p[n:]
		} // else write meets the same error
	}
	c.write(p)
}

// sendNext sends some of what waits. more says that the socket may take more at once.
func (c *conn) sendNext() (n int, more bool) {
	if part, length := c.out.filePart(); part != nil && c.secure == nil && !c.out.copies && !c.server.options.CopyFiles {
		n, err := sendFile(c.fd, part.File.FD(), part.Offset, min(length, c.budget))
		switch {
		case n > 0:
			c.out.advance(n)
			return n, true // whether there is room for more, the next call finds out
		case err == nil:
			c.unreadable(errShorter)
			return 0, false
		case !cannotSendFile(err):
			c.broken = !errors.Is(err, syscall.EAGAIN)
			return 0, false
		}
		c.out.copies = true // for this answer; others may lie on another file system
	}
	if c.out.gathers() {
		return c.sendShared()
	}
	piece, err := c.out.peek(c.server)
	if err != nil {
		c.unreadable(err)
		return 0, false
	}
	n, err = c.transmit(piece)
	n = max(n, 0)
	c.out.advance(n)
	c.broken = c.broken || err != nil && !errors.Is(err, syscall.EAGAIN)
	return n, err == nil && n == len(piece)
}

// unreadable cuts a connection whose answer cannot be read to its end: a file that has become shorter, a disk that
// fails.
func (c *conn) unreadable(err error) {
	c.server.unreadable(c.ex, &c.answer, err)
	c.broken = true
}

func (s *Server) unreadable(ex *dispatch.Exchange, a *outgoing, err error) {
	s.options.Log.Error("what a client is sent cannot be read; its connection is cut",
		"path", string(ex.Scope.Path), "error", err)
	a.failed = failedFile
}

// failedFile is the access log's word for it.
const failedFile = "file"
