package edge

import (
	"backline/channel"
	"backline/dispatch"
	"backline/grip"
)

// obey does what an answer says, as conn.obey.
func (st *stream) obey(g *unfinished) {
	st.unfinished = nil
	in, no := st.server.read(st.ex, &st.answer, g)
	switch {
	case no != nil:
		st.page(no.status, no.reason, no.wait)
		st.answer.failed = dispatch.FailApp.Name
	case in.Mode == grip.Pass && in.Next.URI == "":
		st.begun(asMessage(&in.Answer, false))
	default:
		st.beginHold(in)
	}
}

// gather keeps a piece of an answer that is not yet whole.
func (st *stream) gather(data []byte) {
	st.answer.held += len(data)
	if len(st.unfinished.body)+len(data) <= st.server.holds.Body {
		st.unfinished.body = append(st.unfinished.body, data...)
		return
	}
	st.unfinished = nil
	st.server.complain(st.ex, complaintHeldBody)
	st.page(500, dispatch.FailApp.Reason, 0)
	st.answer.failed = dispatch.FailApp.Name
}

func (st *stream) beginHold(in *grip.Instruct) {
	s := st.server
	h := s.holds.newHold(in, st.answer.cursor, s.clock.Load(), func() { notify(st.woken) })
	st.hold = h
	if in.Mode == grip.Response {
		h.self = selfOf(st.ex)
	} else {
		m, err := h.opening()
		if err != nil {
			s.complain(st.ex, complaintFilters+err.Error())
		}
		st.begun(m)
	}
	st.answer.held, st.answer.owed = 0, 0
	st.phase = phaseHold
}

// keepHold does what a held answer waits for. The caller holds mu.
func (st *stream) keepHold() step {
	h, s := st.hold, st.server
	if s.leavingHolds() {
		h.expire()
	}
	h.shrink(st.ex)
	what, answer, data := h.next(s.clock.Load())
	switch what {
	case verdictWait:
		return stepWait
	case verdictJoin:
		return stepJoin
	case verdictFetch:
		return stepFetch
	case verdictFilter:
		h.passage.ask(s, &st.ex.Scope, h.wake)
	case verdictSend:
		st.add(data)
		st.answer.held = 0
	case verdictAnswer:
		st.endHold()
		st.begun(asMessage(answer, false))
	case verdictEnd:
		st.endHold()
		st.finish()
	}
	return stepAgain
}

func (st *stream) endHold() {
	if st.hold != nil {
		st.hold.leave()
		st.server.sayGone(st.hold, &st.ex.Scope)
		st.hold = nil
	}
}

var _ channel.Member = (*hold)(nil)
