package edge

import (
	"context"
	"sync"
	"time"

	"backline/dispatch"
)

// This file is how a server lets go of its clients when another process already serves on the same listening sockets.
// Nobody is waiting for this one's end, so it can afford what a server that stops cannot: no connection is closed in
// which a request may be under way.

// lastCall is how long an idle connection is left open for one more request, whose answer then says that it is the
// last. A client that sends into a connection while it is being closed sees an error; whoever sends more often than
// this does not.
const lastCall = 5 * time.Second

// Retire makes Run stop accepting, and connections end: after the next answer, or when they have idled for a while, or
// are cut after Run's grace. WebSockets stay for the workers to close. Run, which must be under way, goes on until its
// context ends. Who connects after Retire has returned is not accepted here.
func (s *Server) Retire() {
	s.retireOnce.Do(func() { close(s.retired) })
	<-s.shut
}

// Released is closed when, after Retire, nothing is left but WebSockets.
func (s *Server) Released() <-chan struct{} { return s.released }

// letGo is Run's part of Retire, once nobody new comes in.
func (s *Server) letGo(ctx context.Context, grace time.Duration) {
	s.retiring.Store(true)
	var leaving sync.WaitGroup
	defer leaving.Wait()
	leaving.Go(func() { s.http3.release(ctx) })
	begun, told := time.Now(), false
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		patience := min(lastCall, grace-time.Since(begun))
		held := s.holding(patience)
		if !told && (held == 0 || patience < lastCall || time.Since(begun) > lastCall) {
			// Not before: a handshake under way may still become a connection of HTTP/2, which would then be refused.
			told = true
			leaving.Go(func() { _ = s.http2.net.Shutdown(ctx) })
		}
		if held += s.http2.holding(); held == 0 {
			break
		}
		if patience <= 0 {
			s.warnOfCut(held, grace)
			s.each((*conn).cutRequest)
			s.streams.each((*stream).cutRequest)
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	close(s.released)
	s.fallSilent(ctx)
	<-ctx.Done()
}

// Silent is closed when, after Released, no application gets events of WebSockets any more.
func (s *Server) Silent() <-chan struct{} { return s.silent }

// fallSilent lets the sockets go whose application is called with events. They are this server's and not a worker's, so
// it is the one who closes them, evenly from the last quarter of their time on: their clients come back all the same,
// and are not to come all at once.
func (s *Server) fallSilent(ctx context.Context) {
	defer close(s.silent)
	begun, drain := time.Now(), s.options.WebSockets.Drain
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for s.talks.Load() > 0 {
		if left := drain - time.Since(begun); left <= drain/4 {
			turns := max(1, int64(left/tick))
			s.closeTalks((s.talks.Load() + turns - 1) / turns)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// closeTalks closes up to n of them.
func (s *Server) closeTalks(n int64) {
	s.each(func(c *conn) {
		if n <= 0 {
			return
		}
		c.mu.Lock()
		if c.phase == phaseSocket && (c.talk != nil || c.ws.posts != nil) && !c.ws.closing {
			n--
			c.answer.failed = dispatch.FailRestart.Name
			c.closeSocket(dispatch.FailRestart.Close, "")
		}
		c.proceed()
	})
}

// holding counts the connections that still keep a server that retires, after closing those that have idled for longer
// than patience.
func (s *Server) holding(patience time.Duration) (held int) {
	s.each(func(c *conn) {
		if c.holds(patience) {
			held++
		}
	})
	return held
}

// holding counts requests of HTTP/2 and 3, and connections of HTTP/2 where there are none.
func (h *http2) holding() (held int) {
	streams := 0
	h.server.streams.each(func(st *stream) {
		streams++
		if _, tunnel := isTunnel(st.r); !tunnel { // one that carries a WebSocket has a conn, which is counted above
			held++
		}
	})
	if streams == 0 {
		h.carriers.each(func(*carrier) { held++ })
	}
	return held
}

// release gives the UDP ports up once their last client has left: no other process can have them before.
func (h *http3) release(ctx context.Context) {
	giveUp := h.leave()
	defer context.AfterFunc(ctx, h.cut)()
	h.sessions.end()
	giveUp()
}

// holds tells whether the connection still keeps the server, after closing it if it has idled for too long.
func (c *conn) holds(patience time.Duration) bool {
	if c.idleFor(c.server.clock.Load()) > patience && c.closeIfIdle() {
		return false
	}
	c.mu.Lock()
	if c.phase == phaseHold {
		c.proceed() // whoever waits is answered, and asks the process that serves now
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	return c.phase != phaseSocket && c.phase != phaseGiven && c.phase != phaseLinger && c.phase != phaseClosed
}

// cutRequest is cut, except for WebSockets.
func (c *conn) cutRequest() {
	c.mu.Lock()
	socket := c.phase == phaseSocket || c.phase == phaseGiven
	c.mu.Unlock()
	if !socket {
		c.cut()
	}
}

// cutRequest resets the stream unless it carries a WebSocket.
func (st *stream) cutRequest() {
	if _, tunnel := isTunnel(st.r); !tunnel {
		st.breakOff()
		notify(st.woken)
	}
}
