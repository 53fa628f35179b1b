package edge

import (
	"backline/channel"
	"backline/grip"
)

// enterAnswer prepares to have the filters of its channel asked about a publication to a long poll, if there are such.
// One that does not fit the held answer (answerBy) is asked about as well: what comes of it may be that answer, or
// nothing.
func (h *hold) enterAnswer(a *arrival) *passage {
	if !h.sifts {
		return nil
	}
	bare := (a.p.Close | a.p.Refresh).Has(channel.FormResponse)
	if a.p.Response == nil && !bare || !h.wantsToAsk(a) {
		return nil
	}
	w := &passage{arrival: *a, last: h.last(), before: h.channel(a.group).PrevID, live: h.live[a.group]}
	var body []byte
	if r := a.p.Response; r != nil && !bare {
		body = r.Body
		if r.Patches {
			if patched, err := grip.Patched(h.in.Answer.Body, body); err == nil {
				body = patched
			} else {
				w.misfit, body = true, nil
			}
		}
	}
	w.Passage = h.listener.Enter(a.group, body)
	return w
}

// wantsToAsk tells whether filters are to be asked about a publication that the others let through.
func (h *hold) wantsToAsk(a *arrival) bool {
	return h.listener.Asks(a.group) && h.listener.Wants(a.group, a.p)
}

// sift goes on with the publication that filters are asked about. With an outcome, it is no longer asked about.
func (h *hold) sift(now int64) progress {
	w := h.passage
	how := w.advance(&h.listener)
	switch how {
	case progressFailed:
		h.withdraw()
	case progressDropped, progressThrough:
		h.passage = nil
		h.saw(&w.arrival, now)
	}
	return how
}

// filterAnswer goes on with the publication that filters are asked about.
func (h *hold) filterAnswer(now int64) (verdict, *channel.Response) {
	w := h.passage
	switch h.sift(now) {
	case progressAsk:
		return verdictFilter, nil
	case progressWait:
		if now < h.due {
			return verdictWait, nil
		}
		return verdictAnswer, &h.in.Answer
	case progressFailed, progressDropped:
		return verdictGoOn, nil
	}
	if w.p.Refresh.Has(channel.FormResponse) {
		what, answer, _ := h.again(false)
		return what, answer
	}
	return verdictAnswer, h.answerThrough(w)
}

// answerThrough is answerBy for what has come through filters.
func (h *hold) answerThrough(w *passage) *channel.Response {
	if w.p.Response == nil || w.p.Close.Has(channel.FormResponse) || w.misfit {
		return &h.in.Answer
	}
	answer := *w.p.Response
	answer.Header = inherited(h.in.Answer.Header, answer.Header)
	answer.Body, answer.Patches = w.Content, false
	return &answer
}

// enterStream prepares to have the filters of its channel asked about a publication to a stream, if there are such.
func (h *hold) enterStream(a *arrival) *passage {
	if a.p == nil || !h.sifts {
		return nil
	}
	bare := (a.p.Close | a.p.Refresh).Has(channel.FormStream)
	if a.p.Stream == nil && !bare || !h.wantsToAsk(a) {
		return nil
	}
	w := &passage{arrival: *a, last: h.last(), before: h.channel(a.group).PrevID, live: h.live[a.group]}
	var data []byte
	if !bare {
		data = a.p.Stream
	}
	w.Passage = h.listener.Enter(a.group, data)
	return w
}

// filterStream goes on with the publication that filters are asked about. The stream is kept alive meanwhile.
func (h *hold) filterStream(now int64) (verdict, []byte) {
	w := h.passage
	switch h.sift(now) {
	case progressAsk:
		return verdictFilter, nil
	case progressWait:
		what, _, data := h.idle(now)
		return what, data
	case progressFailed, progressDropped:
		return verdictGoOn, nil
	}
	switch {
	case w.p.Close.Has(channel.FormStream):
		return verdictEnd, nil
	case w.p.Refresh.Has(channel.FormStream) && h.in.Next.URI == "":
	case w.p.Refresh.Has(channel.FormStream):
		what, _, _ := h.fetchOrEnd()
		return what, nil
	case len(w.Content) > 0:
		h.sent(now)
		return verdictSend, h.identify(w.Content)
	}
	return verdictGoOn, nil
}

// withdraw gives up the publication that filters are asked about, as if it had not come: whoever is asked what was
// missed is told of the one before, and the next one shows that one is missing.
func (h *hold) withdraw() {
	w := h.passage
	if w == nil {
		return
	}
	w.forget()
	h.passage = nil
	if c := h.channel(w.group); c != nil {
		c.PrevID = w.before
	}
	if !w.live {
		delete(h.live, w.group)
	}
}
