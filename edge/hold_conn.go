package edge

import (
	"bytes"
	"time"

	"backline"
	"backline/channel"
	"backline/dispatch"
	"backline/grip"
	"backline/wire"
)

// unfinished is an answer that says something to the edge and whose body comes in pieces.
type unfinished struct {
	status int
	reason []byte
	fields []backline.Field
	body   []byte
}

func gather(m *wire.Message) *unfinished {
	g := &unfinished{status: m.Status, reason: bytes.Clone(m.Reason), body: bytes.Clone(m.Data)}
	for _, f := range m.Fields {
		g.fields = append(g.fields, backline.Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)})
	}
	return g
}

// instructs tells whether an answer says something to the edge.
func (s *Server) instructs(a *outgoing, m *wire.Message) bool {
	return s.holds.Hub != nil && !a.begun && grip.Present(m.Fields)
}

// read gives the instruction in an answer, or the page that the client gets instead.
func (s *Server) read(ex *dispatch.Exchange, a *outgoing, g *unfinished) (*grip.Instruct, *refusal) {
	in, err := grip.Read(g.status, g.reason, g.fields, g.body)
	if err == nil {
		s.holds.known.learn(&ex.Scope, &in.Session, s.clock.Load())
	}
	switch h := &s.holds; {
	case err != nil:
		s.complain(ex, "gives an instruction (Grip-...) that cannot be followed: "+err.Error())
	case in.Mode == grip.Pass && in.Next.URI == "", a.head:
		in.Mode, in.Next = grip.Pass, grip.Link{}
		return in, nil
	case in.Mode == grip.Stream && in.Next.URI == "" && in.Resumes():
		s.complain(ex, "holds a stream from a prev-id on, and no Grip-Link; rel=next says where to ask for what is missed")
	case len(in.Channels) > h.Channels:
		s.complain(ex, "waits for more channels with one answer than hold_channels allows")
	case len(in.Answer.Body) > h.Body:
		s.complain(ex, complaintHeldBody)
	case !h.enter():
		if h.full.due(s.clock.Load(), time.Minute) {
			s.options.Log.Warn("as many answers are held as limit_holds allows; further ones become 503", "limit", h.Most)
		}
		return nil, &refusal{status: 503, reason: "Too many clients wait here.", wait: 1}
	default:
		return in, nil
	}
	return nil, &refusal{status: 500, reason: dispatch.FailApp.Reason}
}

// asMessage gives an answer the form of a worker's, because heads are written of those. One that stays open has no
// length, whatever the application thinks.
func asMessage(r *channel.Response, open bool) *wire.Message {
	m := &wire.Message{Kind: wire.KindAnswer, Status: r.Status, Data: r.Body}
	if open {
		m.Kind = wire.KindStart
	}
	if r.Reason != "" {
		m.Reason = []byte(r.Reason)
	}
	for _, f := range r.Header {
		field := backline.Field{Name: []byte(f[0]), Value: []byte(f[1])}
		if open && backline.EqualFold(field.Name, "content-length") {
			continue
		}
		m.Fields = append(m.Fields, field)
	}
	return m
}

// obey does what an answer says.
func (c *conn) obey(g *unfinished) {
	c.unfinished = nil
	in, no := c.server.read(c.ex, &c.answer, g)
	switch {
	case no != nil:
		c.page(no.status, no.reason, no.wait)
		c.answer.failed = dispatch.FailApp.Name
		c.endAnswer()
	case in.Mode == grip.Pass && in.Next.URI == "":
		c.startAnswer(asMessage(&in.Answer, false))
	default:
		c.beginHold(in)
	}
}

// gather keeps a piece of an answer that is not yet whole.
func (c *conn) gather(data []byte) {
	c.answer.held += len(data)
	c.credit(0)
	if len(c.unfinished.body)+len(data) <= c.server.holds.Body {
		c.unfinished.body = append(c.unfinished.body, data...)
		return
	}
	c.unfinished = nil
	c.server.complain(c.ex, complaintHeldBody)
	c.page(500, dispatch.FailApp.Reason, 0)
	c.answer.failed = dispatch.FailApp.Name
	c.answer.keepAlive = false // the rest of the answer is still to come
	c.endAnswer()
}

// beginHold holds an answer.
func (c *conn) beginHold(in *grip.Instruct) {
	s := c.server
	now := s.clock.Load()
	h := s.holds.newHold(in, c.answer.cursor, now, func() { s.holds.ready.add(c) })
	c.hold = h
	if in.Mode == grip.Response {
		h.self = selfOf(c.ex)
	} else {
		m, err := h.opening()
		if err != nil {
			s.complain(c.ex, complaintFilters+err.Error())
		}
		c.startAnswer(m)
	}
	c.answer.held, c.answer.owed = 0, 0
	c.phase = phaseHold
	c.touch()
}

// resume implements waiter.
func (c *conn) resume() {
	c.mu.Lock()
	c.budget = turnBytes
	c.proceed()
}

// leavingHolds tells whether those who wait had better ask again: another process serves, or none soon.
func (s *Server) leavingHolds() bool { return s.draining.Load() || s.retiring.Load() }

// opening gives what a stream begins with.
func (h *hold) opening() (m *wire.Message, err error) {
	m = asMessage(&h.in.Answer, true)
	m.Data, err = h.listener.RenderBody(h.in.Answer.Body)
	h.in.Answer = channel.Response{}
	return m, err
}

const (
	complaintFilters  = "sends an answer to which its filters cannot be applied: "
	complaintHeldBody = "holds an answer whose body is longer than hold_body allows"
)

// keepHold does what a held answer waits for.
func (c *conn) keepHold() (operation, bool) {
	h, s := c.hold, c.server
	now := s.clock.Load()
	switch {
	case c.broken:
		c.endHold()
		c.gone()
		return opNone, true
	case !c.out.empty(): // the client has not taken what there was
		return opNone, false
	case c.canRead && !c.eof && len(c.in)-c.off < pipelined:
		if c.fill(s.headRoom) {
			return opNone, true
		}
		if len(c.in) == 0 {
			c.in, c.off = nil, 0
		}
	}
	if c.eof {
		c.broken = true // whoever waits and closes has gone: nothing else tells
		return opNone, true
	}
	if s.leavingHolds() {
		h.expire()
	}
	h.shrink(c.ex)
	what, answer, data := h.next(now)
	switch what {
	case verdictJoin:
		return opJoin, false
	case verdictFetch:
		return opFetch, false
	case verdictFilter:
		h.passage.ask(s, &c.ex.Scope, h.wake)
	case verdictAnswer:
		c.endHold()
		c.phase = phaseAnswer
		c.startAnswer(asMessage(answer, false))
	case verdictSend:
		c.writePiece(data)
	case verdictEnd:
		c.endHold()
		c.phase = phaseAnswer
		buffer := s.answerBuffer()
		*buffer = c.appendEnd((*buffer)[:0])
		c.write(*buffer)
		s.recycleAnswer(buffer)
		c.endAnswer()
	case verdictWait:
		return opNone, false
	}
	return opNone, true
}

// writePiece sends a piece of the body.
func (c *conn) writePiece(data []byte) {
	buffer := c.server.answerBuffer()
	*buffer = c.appendBody((*buffer)[:0], data)
	c.write(*buffer)
	c.server.recycleAnswer(buffer)
}

// performHold does without the lock what a held answer needs of others.
func (c *conn) performHold(op operation) {
	h, scope := c.hold, &c.ex.Scope
	c.mu.Unlock()
	if op == opJoin {
		h.join()
	} else {
		c.server.ask(h, scope, h.asks(), h.last())
	}
	c.mu.Lock()
}

// endHold ends the memberships.
func (c *conn) endHold() {
	if c.hold == nil {
		return
	}
	c.hold.leave()
	c.server.sayGone(c.hold, &c.ex.Scope)
	c.hold = nil
	c.watcher.hurry(c)
}

// checkHold looks at a held answer's deadlines and gives when it wants to be looked at again.
func (c *conn) checkHold(now int64, waited time.Duration) (again int64) {
	if !c.out.empty() {
		if waited > c.server.options.WriteTimeout {
			c.answer.failed = "client"
			c.broken = true
		}
		return now
	}
	return c.hold.due
}
