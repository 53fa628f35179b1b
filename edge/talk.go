package edge

import (
	"bytes"
	"sync"
	"time"

	"backline"
	"backline/channel"
	"backline/dispatch"
	"backline/wire"
)

// talk is a WebSocket whose application is called with events, in place of being told of it for as long as it lasts.
// The connection holds the socket; each event is an exchange of its own, with any worker, and there is one at a time:
// the next ones wait here, in order. A worker's death is no more than the end of one event.
//
// It begins when the application accepts the socket and ends with the event that says how that ended, which may be
// after the connection has gone.
type talk struct {
	conn    *conn
	handler Handler
	id      string
	target  []byte // for logs

	// mu is held together with no other lock.
	mu      sync.Mutex
	state   []byte       // the application's; replaced, never changed
	waiting []wire.Event // nil when none does
	busy    bool         // an event is with the dispatcher
	last    bool         // no further event will be added
	done    bool         // nor will there be another one for the application
}

// act carries out what the application does in answer to an event, in order. It is called without c.mu, on the
// goroutine that reads the worker's socket.
func (c *conn) act(t *talk, ex *dispatch.Exchange, m *wire.Message) *talk {
	for i := range m.Actions {
		a := &m.Actions[i]
		switch {
		case a.Do == wire.DoAccept && t == nil:
			t = c.beginTalk(ex, &wire.Message{Kind: wire.KindAccept, Data: a.Data, Fields: m.Fields})
		case a.Do == wire.DoClose && t == nil:
			c.refuseTalk(ex, a.Code)
		case t == nil || a.Do == wire.DoAccept:
			// The worker package does not let applications do so, and another worker only harms itself.
		case a.Do == wire.DoSend:
			c.say(a.Data, a.Text)
		case a.Do == wire.DoClose:
			c.endTalk(a.Code, string(a.Data))
		case a.Do == wire.DoJoin:
			c.joinTalk(a.Group)
		case a.Do == wire.DoEnter:
			c.enterTalk(t, a)
		case a.Do == wire.DoLeave:
			c.leaveTalk(a.Group)
		case a.Do == wire.DoPublish:
			c.publishTalk(a)
		}
	}
	return t
}

// heard delivers what the application does when it is asked whether it accepts the socket.
func (c *conn) heard(ex *dispatch.Exchange, m *wire.Message) {
	t := c.act(c.talking(), ex, m)
	switch {
	case m.Kind != wire.KindActed:
		t.keep(m.Data)
	case t == nil:
		c.refuseTalk(ex, 403) // it has not said anything
	default:
		t.finish(m.Data)
	}
}

func (c *conn) talking() *talk {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.talk
}

// beginTalk accepts the socket. Its client may have left meanwhile: the application, which has it for accepted, is then
// told so like of any other end.
func (c *conn) beginTalk(ex *dispatch.Exchange, m *wire.Message) *talk {
	t := &talk{conn: c, id: ex.Event.ID, busy: true}
	c.server.talks.Add(1)
	c.mu.Lock()
	c.talk = t
	t.handler = c.route.Handler
	if c.ex == ex && c.phase == phaseAnswer {
		if c.server.options.Access == nil {
			ex.Scope.Fields, ex.Scope.Query = nil, nil // nobody asks for them any more
		}
		c.accept(m)
		t.target = ex.Scope.Target
		c.ws.window = c.server.options.WebSockets.Queue
		c.proceed()
		return t
	}
	c.mu.Unlock()
	t.target = bytes.Clone(ex.Scope.Target)
	t.end(dispatch.CloseLost, "")
	return t
}

// refuseTalk answers the handshake in the application's name.
func (c *conn) refuseTalk(ex *dispatch.Exchange, status int) {
	c.mu.Lock()
	if c.ex == ex && c.phase == phaseAnswer {
		if status < 400 || status > 599 {
			status = 403
		}
		c.page(status, "The application refused this WebSocket.", 0)
		c.endAnswer()
	}
	c.proceed()
}

// say sends a message to the client. What waits is bounded as answers are, and by WriteTimeout.
func (c *conn) say(data []byte, text bool) {
	c.mu.Lock()
	if c.phase == phaseSocket && !c.ws.closing {
		buffer := c.server.answerBuffer()
		*buffer = c.ws.writer.Append((*buffer)[:0], kindOf(text), data, true)
		waited := !c.out.empty()
		c.write(*buffer)
		c.answer.sent += int64(len(*buffer))
		c.server.recycleAnswer(buffer)
		if !waited && !c.out.empty() {
			c.watcher.hurry(c)
		}
	}
	c.proceed()
}

// endTalk closes the socket.
func (c *conn) endTalk(code int, reason string) {
	c.mu.Lock()
	if c.phase == phaseSocket {
		c.closeSocket(code, reason)
	}
	c.proceed()
}

// receive has the application called with a message.
func (t *talk) receive(data []byte, text bool) {
	t.push(wire.Event{What: wire.EventReceive, Data: bytes.Clone(data), Text: text})
}

// end has the application told how the socket ended, when it has dealt with what came before.
func (t *talk) end(code int, reason string) {
	t.push(wire.Event{What: wire.EventDisconnect, Code: code, Reason: reason})
}

func (t *talk) push(e wire.Event) {
	t.mu.Lock()
	if t.last || t.done {
		t.mu.Unlock()
		return
	}
	t.last = e.What == wire.EventDisconnect
	if t.busy {
		t.waiting = append(t.waiting, e)
		t.mu.Unlock()
		t.conn.server.events.Add(1)
		return
	}
	t.busy = true
	t.mu.Unlock()
	t.submit(&e)
}

func (t *talk) submit(e *wire.Event) {
	ex := t.conn.server.exchanges.New()
	ex.Client, ex.Event, ex.Start = t, e, t.conn.server.now()
	e.ID, e.State = t.id, t.state // nobody changes the state while an event is under way
	ex.Scope.Method, ex.Scope.Target, ex.Scope.Path = []byte(eventNames[e.What]), t.target, t.target
	t.handler.Submit(ex)
}

//nolint:gochecknoglobals // never written; Go has no constant arrays
var eventNames = [...]string{"CONNECT", "RECEIVE", "DISCONNECT", "GAP"}

// finish goes on to the next event.
func (t *talk) finish(state []byte) {
	t.keep(state)
	t.mu.Lock()
	if len(t.waiting) == 0 {
		t.waiting, t.busy = nil, false
		ended := t.last && !t.done
		t.done = t.last
		t.mu.Unlock()
		if ended {
			t.conn.server.talkOver()
		}
		return
	}
	next := t.waiting[0]
	t.waiting = t.waiting[1:]
	t.mu.Unlock()
	t.conn.server.events.Add(-1)
	t.submit(&next)
}

// keep takes what the application leaves with the socket, nil where that is as before.
func (t *talk) keep(state []byte) {
	if t != nil && state != nil {
		t.mu.Lock()
		t.state = bytes.Clone(state)
		t.mu.Unlock()
	}
}

// drop forgets the messages that wait: the socket is closed because of one before them.
func (t *talk) drop(all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.waiting[:0]
	for _, e := range t.waiting {
		if e.What == wire.EventDisconnect && !all {
			kept = append(kept, e)
		}
	}
	t.conn.server.events.Add(int64(len(kept) - len(t.waiting)))
	t.waiting = kept
	t.last = t.last || all
}

// Answer implements dispatch.Client.
func (t *talk) Answer(ex *dispatch.Exchange, m *wire.Message) {
	t.conn.act(t, ex, m)
	if m.Kind == wire.KindActed {
		t.over(ex, m.Data)
	} else {
		t.keep(m.Data)
	}
}

// over is the end of an event.
func (t *talk) over(ex *dispatch.Exchange, state []byte) {
	if ex.Event.What == wire.EventReceive {
		t.conn.regain(len(ex.Event.Data) + wire.MessageCost)
	}
	ex.Release()
	t.finish(state)
}

// Fail implements dispatch.Client. A message that has gone with its worker does not end the socket: its client is well,
// and so will the next worker be.
func (t *talk) Fail(ex *dispatch.Exchange, why *dispatch.Failure) {
	c := t.conn
	switch {
	case why == dispatch.FailStopping:
		c.endTalk(why.Close, "")
		t.drop(true)
	case ex.Event.What == wire.EventReceive && why == dispatch.FailWorker:
		c.server.messageLost(t.target)
	case ex.Event.What == wire.EventReceive, ex.Event.What == wire.EventGap:
		t.drop(false)
		c.endTalk(why.Close, "")
	}
	t.over(ex, nil)
}

// fail is Fail for the handshake, whose exchange is the connection's, after it was accepted.
func (t *talk) fail(why *dispatch.Failure) {
	t.drop(why == dispatch.FailStopping)
	t.conn.endTalk(why.Close, "")
	t.finish(nil)
}

// Data, End, Hint and Wanted implement dispatch.Client; no worker sends them for an event.

func (*talk) Data(*dispatch.Exchange, []byte)           {}
func (*talk) End(*dispatch.Exchange)                    {}
func (*talk) Hint(*dispatch.Exchange, []backline.Field) {}
func (*talk) Wanted(*dispatch.Exchange, int, bool)      {}

// regain lets the connection be read on when an event has made room.
func (c *conn) regain(n int) {
	c.mu.Lock()
	if c.phase == phaseSocket {
		c.ws.window += n
	}
	c.proceed()
}

// costOf is what a message from the client takes of what may wait.
func (c *conn) costOf(data []byte, text bool) int {
	if c.talk != nil || c.ws.posts != nil {
		return len(data) + wire.MessageCost
	}
	return wire.Cost(data, text)
}

// talkOver counts a socket out.
func (s *Server) talkOver() {
	s.talks.Add(-1)
	if s.draining.Load() && s.empty() {
		notify(s.emptied)
	}
}

// messageLost says that a worker has ended with a message in its hands.
func (s *Server) messageLost(target []byte) {
	lost := s.lost.Add(1)
	if s.notices.lost.due(s.clock.Load(), time.Second) {
		s.options.Log.Error("a worker ended in the middle of a WebSocket's message, which is lost; the socket goes on",
			"target", string(target), "lost_so_far", lost)
	}
}

// Talks is how many WebSockets there are whose application is called with events; LostMessages how many of their
// messages went with a worker. WaitingEvents is what waits for those that are dealt with, one for each socket.
func (s *Server) Talks() int { return int(s.talks.Load()) }

// WaitingEvents is documented with Talks.
func (s *Server) WaitingEvents() int { return int(s.events.Load()) }

// LostMessages is documented with Talks.
func (s *Server) LostMessages() uint64 { return s.lost.Load() }

// joinTalk puts the socket into a group, leaveTalk takes it out, publishTalk sends to one: the application's actions.

func (c *conn) joinTalk(group []byte) {
	c.mu.Lock()
	if c.phase == phaseSocket && !c.ws.closing && c.server.options.Layer != nil {
		c.join(group)
	}
	c.proceed()
}

func (c *conn) leaveTalk(group []byte) {
	c.mu.Lock()
	if i := c.index(group); i >= 0 && c.phase == phaseSocket {
		c.leaveGroup(i)
	}
	c.proceed()
}

func (c *conn) publishTalk(a *wire.Action) {
	layer := c.server.options.Layer
	if layer == nil {
		return
	}
	p := &channel.Publication{Socket: &channel.SocketMessage{Data: bytes.Clone(a.Data), Text: a.Text}}
	if a.Others {
		p.Except = c
	}
	layer.Publish(string(a.Group), p)
}
