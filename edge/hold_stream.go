package edge

import (
	"slices"

	"backline/channel"
	"backline/grip"
)

// nextBytes is next for streams.
func (h *hold) nextBytes(now int64) (verdict, *channel.Response, []byte) {
	if h.fetching {
		return h.nextFetched(now)
	}
	if h.in.Mode == grip.Pass {
		return h.fetchOrEnd()
	}
	for {
		if h.passage != nil {
			if what, data := h.filterStream(now); what != verdictGoOn {
				return what, nil, data
			}
		}
		a, lost := h.take()
		if data, past := h.arrive(&a, now); past {
			if data != nil {
				return verdictSend, nil, data
			}
			continue
		}
		w := h.enterStream(&a)
		switch {
		case a.p == nil && !h.joined:
			h.joined = true
			return verdictJoin, nil, nil
		case a.p == nil && lost:
			return h.fetchOrEnd()
		case a.p == nil:
			return h.idle(now)
		case !h.admit(&a):
		case !h.follows(&a, w != nil, now):
			return h.fetchOrEnd()
		case !h.listener.Wants(a.group, a.p):
		case w != nil:
			h.passage = w
		case a.p.Close.Has(channel.FormStream):
			return verdictEnd, nil, nil
		case a.p.Refresh.Has(channel.FormStream):
			if h.in.Next.URI != "" {
				return h.fetchOrEnd()
			}
		case a.p.Stream != nil:
			if data, err := h.listener.Render(a.group, a.p, channel.FormStream, a.p.Stream); err != nil {
				return h.fetchOrEnd()
			} else if len(data) > 0 {
				h.sent(now)
				return verdictSend, nil, h.identify(data)
			}
		}
	}
}

// follows tells whether nothing has been missed before a publication, where somebody can be asked for it, and notes its
// id: of what filters keep back too. The session hears of it now, unless filters are asked first.
func (h *hold) follows(a *arrival, sifted bool, now int64) bool {
	if a.p.ID == "" {
		return true
	}
	c := h.channel(a.group)
	if c.PrevID != "" && a.p.PrevID != "" && a.p.PrevID != c.PrevID && h.asks() != "" {
		return false
	}
	c.PrevID = a.p.ID
	if !sifted {
		h.saw(a, now)
	}
	if h.live == nil {
		h.live = map[string]bool{}
	}
	h.live[a.group] = true
	return true
}

// sent notes that something has been sent.
func (h *hold) sent(now int64) {
	h.touched = now
	if !h.in.KeepAlive.Interval {
		h.wait(now)
	}
}

// idle is when nothing is there to be sent.
func (h *hold) idle(now int64) (verdict, *channel.Response, []byte) {
	if next := h.in.Next; next.URI != "" && next.Timeout > 0 && now-h.touched >= int64(next.Timeout) {
		return h.fetchOrEnd()
	}
	if now < h.due {
		return verdictWait, nil, nil
	}
	h.wait(now)
	if h.in.KeepAlive.Timeout > 0 {
		return verdictSend, nil, h.in.KeepAlive.Data
	}
	return verdictWait, nil, nil
}

// fetchOrEnd asks the application what was missed, or comes next. Where nobody can be asked, the stream ends: its
// client comes back, and begins with what there is.
func (h *hold) fetchOrEnd() (verdict, *channel.Response, []byte) {
	h.withdraw()
	if h.in.Next.URI == "" {
		return verdictEnd, nil, nil
	}
	return h.fetch()
}

// fetch has the application asked; nextFetched, or nextAgain, goes on with what it says.
func (h *hold) fetch() (verdict, *channel.Response, []byte) {
	h.fetching = true
	h.mu.Lock()
	h.lost, h.fetched = false, nil
	h.mu.Unlock()
	return verdictFetch, nil, nil
}

// answered gives what the application has said to that, once; nil while it has not.
func (h *hold) answered() *inquiry {
	h.mu.Lock()
	f := h.fetched
	h.fetched = nil
	h.mu.Unlock()
	if f != nil {
		h.fetching = false
	}
	return f
}

// nextFetched waits for what was asked for and goes on with it.
func (h *hold) nextFetched(now int64) (verdict, *channel.Response, []byte) {
	f := h.answered()
	if f == nil {
		return verdictWait, nil, nil
	}
	in := f.instruct()
	if in == nil {
		return verdictEnd, nil, nil
	}
	h.change(in, f.cursor, now)
	body, err := h.listener.RenderBody(in.Answer.Body)
	in.Answer = channel.Response{}
	if err != nil {
		return verdictEnd, nil, nil
	}
	if len(body) == 0 {
		return h.nextBytes(now)
	}
	return verdictSend, nil, body
}

// change goes over to another instruction. Channels that both name are left and joined anew: what was published since
// the request for it comes again, and what its answer has already is known by its id.
func (h *hold) change(in *grip.Instruct, cursor uint64, now int64) {
	h.part()
	h.mu.Lock()
	h.inbox, h.lost = nil, false
	h.mu.Unlock()
	if in.KeepAlive.Timeout == 0 {
		in.KeepAlive = h.in.KeepAlive
	}
	if in.Meta == nil {
		in.Meta = h.in.Meta
	}
	if in.Next.URI == "" && in.Mode == grip.Stream {
		in.Next = h.in.Next
	}
	if in.Gone == "" {
		in.Gone = h.in.Gone
	}
	if in.Session.ID == "" {
		in.Session.ID = h.in.Session.ID
	}
	in.Since = nil // a stream without positions stays one
	h.follow(in, cursor, now)
}

// expire lets a hold end by itself, as its time were up: the server goes.
func (h *hold) expire() {
	if h.in.Mode == grip.Response {
		h.due, h.leaving = 0, true
		return
	}
	h.in.Next, h.fetching = grip.Link{}, false
	h.withdraw()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sifts {
		h.inbox = nil // there is no time to ask about it
	}
	h.lost, h.joined = true, true
	h.in.Mode = grip.Stream
}

// last gives what each channel has seen last, as a request tells it.
func (h *hold) last() (all []string) {
	for _, c := range h.listener.Channels {
		if c.PrevID != "" {
			all = append(all, grip.Last{Channel: c.Name, ID: c.PrevID}.Field())
		}
	}
	return slices.Clip(all)
}
