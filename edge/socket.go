package edge

import (
	"errors"
	"syscall"

	"backline/forwarded"
)

// headBuffer is what a request's head is read into at first; nearly all heads fit.
const headBuffer = 4 << 10

// turnBytes is how many bytes a connection may move before the others of its poller have their turn: a client on a fast
// network would otherwise keep them waiting for as long as its upload takes.
const turnBytes = 1 << 20

// receive reads what the client has sent into p, without waiting: EAGAIN when there is nothing.
func (c *conn) receive(p []byte) (int, error) {
	if c.secure != nil {
		return c.secure.receive(p)
	}
	return readSocket(c.fd, p)
}

// transmit sends as much of p as the socket takes at once: EAGAIN when that is nothing.
func (c *conn) transmit(p []byte) (int, error) {
	if c.secure != nil {
		return c.secure.transmit(p)
	}
	return writeSocket(c.fd, p)
}

// fill reads what the socket has into in, which may grow to limit bytes. It tells whether bytes came or the connection
// moved on: false means that there is nothing to do before the next event.
func (c *conn) fill(limit int) bool {
	if !c.canRead || c.eof {
		return c.eof && c.endOfInput()
	}
	if c.ex == nil && c.phase != phaseSecure {
		c.startExchange()
		c.in, c.off = c.ex.Head[:0], 0
		c.phase = phaseHead
		c.touch()
	}
	if !c.makeRoom(limit) || c.pause() {
		return false
	}
	n, err := c.receive(c.in[len(c.in):cap(c.in)])
	switch {
	case n > 0:
		c.canRead = c.mayHaveMore(n, cap(c.in)-len(c.in))
		c.budget -= n
		c.in = c.in[:len(c.in)+n]
		c.body.arrived += n
		return true
	case errors.Is(err, syscall.EAGAIN):
		c.canRead = false
		c.becomeIdle()
		return false
	case err != nil:
		c.broken = true
	}
	c.eof = true
	return c.endOfInput()
}

// mayHaveMore tells whether bytes may be left after n were read into a buffer of room. A short read has emptied the
// socket; the next bytes come with a new event: that saves a call per request. The end of input has no event of its own
// where it came together with the last bytes; the portable watcher cannot tell.
func (c *conn) mayHaveMore(n, room int) bool { return n == room || c.ending || c.raw != nil }

// pause tells whether it is the other connections' turn. Then this one is told again of what it leaves.
func (c *conn) pause() bool {
	if c.budget > 0 {
		return false
	}
	c.watcher.again(c)
	return true
}

// becomeIdle lets go of the exchange when nothing of a request has come after all.
func (c *conn) becomeIdle() {
	if c.phase == phaseHead && len(c.in) == 0 {
		c.ex.Release()
		c.ex, c.in, c.off = nil, nil, 0
		c.phase = phaseIdle
	}
}

// endOfInput deals with a client that will send nothing more, where that ends something. It tells whether the
// connection moved on.
func (c *conn) endOfInput() bool {
	switch c.phase {
	case phaseIdle, phaseHead, phaseLinger, phaseSecure:
		c.close()
		return true
	case phaseCollect:
		c.record("client")
		c.close()
		return true
	case phaseAnswer:
		return c.broken || !c.answer.deaf
	}
	return false
}

// makeRoom makes in able to take more bytes, within limit. A buffer that was filled to the brim grows even though all
// of it has been used: more is likely to wait in the socket.
func (c *conn) makeRoom(limit int) bool {
	if c.off > 0 && c.off == len(c.in) {
		if full := len(c.in) == cap(c.in); full && c.canRead && cap(c.in) < limit {
			c.in = make([]byte, 0, min(4*cap(c.in), limit))
		}
		c.in, c.off = c.in[:0], 0
	}
	if len(c.in) < cap(c.in) {
		return true
	}
	if c.off > 0 {
		n := copy(c.in, c.in[c.off:])
		c.in, c.off = c.in[:n], 0
		return true
	}
	if len(c.in) >= limit {
		return false
	}
	grown := make([]byte, len(c.in), min(max(headBuffer, 2*cap(c.in)), limit))
	copy(grown, c.in)
	c.in = grown
	return true
}

// write sends p as far as the socket takes it, after what already waits; the rest waits too.
func (c *conn) write(p []byte) {
	if c.broken || len(p) == 0 {
		return
	}
	if c.out.empty() {
		n, err := c.transmit(p)
		if err != nil && !errors.Is(err, syscall.EAGAIN) {
			c.broken = true
			return
		}
		if n > 0 {
			p = p[n:]
			c.touch()
		}
	}
	if len(p) > 0 {
		if c.out.empty() {
			c.touch()
		}
		if err := c.out.add(p, c.server); err != nil {
			c.server.options.Log.Error("an answer cannot be kept for a slow client; its connection is cut", "error", err)
			c.broken = true
		}
	}
}

// drain sends what waits. It gives the number of bytes that left.
func (c *conn) drain() (sent int) {
	for !c.out.empty() && !c.broken && !c.pause() {
		n, more := c.sendNext()
		c.budget -= n
		sent += n
		if !more {
			break
		}
	}
	if c.out.empty() {
		c.out.settle(c.server)
	}
	if sent > 0 {
		c.touch()
	}
	return sent
}

// event is what a watcher has noticed. More than one thing may come at once.
type event struct {
	readable bool
	ended    bool // the client has closed its side
	writable bool
	hangup   bool // the connection is dead
}

// onEvent is what the watcher calls.
func (c *conn) onEvent(e event) {
	c.mu.Lock()
	if c.phase == phaseClosed || c.phase == phaseGiven {
		c.mu.Unlock()
		return
	}
	c.budget = turnBytes
	c.canRead = c.canRead || e.readable || e.ended
	c.ending = c.ending || e.ended
	if e.hangup || e.writable && c.secure != nil && !c.secure.resume() {
		c.broken = true
		switch c.phase {
		case phaseIdle, phaseHead, phaseLinger, phaseAnnounced:
			c.close()
		case phaseSecure:
			if c.secure == nil { // else the handshake hears of it from the socket, behind what its client has said last
				c.close()
			}
		}
	}
	if e.writable && !c.out.empty() {
		c.credit(c.drain())
	}
	c.proceed()
}

// close ends the connection at once. The descriptor is only used under mu and not after phaseClosed, so it can be
// closed from any goroutine.
func (c *conn) close() {
	if c.phase == phaseClosed {
		return
	}
	if c.secure != nil {
		c.secure.end()
	}
	c.endHold()
	c.phase = phaseClosed
	c.dropExchange()
	c.out.discard()
	c.in, c.off = nil, 0
	c.watcher.remove(c)
	if c.counted {
		c.server.crowd.Leave(forwarded.Address(c.client))
	}
	c.release()
}

// linger says that nothing more comes and reads on for a while: closing with unread bytes would make the kernel reset
// the connection, and the client might never see our answer (RFC 9112 9.6).
func (c *conn) linger() {
	if c.phase == phaseClosed {
		return
	}
	c.phase = phaseLinger
	c.touch()
	c.endOutput()
	c.dropExchange()
	c.in, c.off = nil, 0
}

// endOutput closes our side. TLS has a last word before that, which may have to wait; then resume comes here again.
func (c *conn) endOutput() {
	if c.secure == nil || c.secure.finish() {
		_ = syscall.Shutdown(c.fd, syscall.SHUT_WR)
	}
}

// discard reads and forgets.
func (c *conn) discard() bool {
	if c.eof || c.broken {
		c.close()
		return false
	}
	if !c.canRead || c.pause() {
		return false
	}
	scratch := c.server.bodyBuffer()
	defer c.server.recycle(scratch)
	n, err := c.receive((*scratch)[:cap(*scratch)])
	switch {
	case n > 0:
		c.budget -= n
		return true
	case errors.Is(err, syscall.EAGAIN):
		c.canRead = false
		return false
	}
	c.close()
	return false
}
