package edge

import (
	"syscall"

	"golang.org/x/sys/unix"

	"backline/dispatch"
	"backline/websocket"
)

// WSGI libraries that speak RFC 6455 themselves want the client's socket. Where the connection is nothing but that,
// they get it: its descriptor goes to the worker, and what stays here is the exchange, which ends when the application
// does. So it is still counted, listed, drained and logged (docs/decisions/0020-raw-sockets.md).

// Take implements dispatch.Socket.
func (c *conn) Take(ex *dispatch.Exchange) {
	c.mu.Lock()
	if c.ex == ex && c.phase == phaseAnswer && c.ws != nil {
		c.ws.asked = true
	}
	c.proceed()
}

// answerTake decides whether the worker can have the connection. It cannot where somebody has to stay between it and
// the client (TLS, a stream of HTTP/2 or 3), nor where bytes would be lost: those of the client that have been read
// already, which no client sends before it has been answered (RFC 6455 4.1), or ours that it has not taken.
func (c *conn) answerTake() operation {
	c.ws.asked = false
	bare := c.secure == nil && c.tunnel == nil
	untouched := c.body.done && c.off == len(c.in) && !c.eof && c.out.empty()
	if !bare || !untouched || c.server.options.WebSockets.Keep {
		return opKeep
	}
	return opGive
}

// give hands the connection to the worker. Nobody reads from it meanwhile: only the one who proceeds does. Called with
// the lock, which it gives back in between.
func (c *conn) give(ex *dispatch.Exchange) {
	descriptor, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	c.mu.Unlock()
	if err != nil {
		c.server.options.Log.Error("a connection cannot be given to its worker, and stays here", "error", err)
		ex.Keep()
		c.mu.Lock()
		return
	}
	claimed := ex.Claim()
	c.mu.Lock()
	if !claimed || c.phase != phaseAnswer { // another worker has the request now, or it has failed
		_ = syscall.Close(descriptor)
		return
	}
	c.surrender()
	c.mu.Unlock()
	ex.Give(descriptor)
	c.mu.Lock()
}

// surrender closes the connection's own descriptor, so that its end is the worker's to bring about, also by dying. It
// stays among the connections that are counted.
func (c *conn) surrender() {
	left := c.passOn()
	c.watcher.detach(c)
	c.release()
	c.release, c.fd = left, -1
	c.in, c.off = nil, 0
	c.answer.begun, c.answer.status, c.answer.keepAlive = true, 101, false
	c.ex.Shrink()
	c.phase = phaseGiven
	if c.server.draining.Load() {
		c.leave()
	}
}

// endGiven says that a connection which the worker has is to end. It is the worker that ends it, when it is told.
func (c *conn) endGiven(code int) {
	c.ws.end(code, "")
	c.ws.over = true
}

// leave ends a socket because the server does.
func (c *conn) leave() {
	if c.phase == phaseGiven {
		c.endGiven(websocket.CloseGoingAway)
		return
	}
	c.closeSocket(websocket.CloseGoingAway, "")
}

// awaitEnd deals with the end of a connection that the worker has.
func (c *conn) awaitEnd() operation {
	switch ws := c.ws; {
	case ws.code != 0 && !ws.told:
		ws.told = true
		return opTellClosed
	case ws.over:
		c.record("")
		c.close()
	}
	return opNone
}
