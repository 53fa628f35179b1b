package edge

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"backline/channel"
	"backline/dispatch"
	"backline/grip"
)

// Hub is where those who hold an answer hear of what is published.
type Hub interface {
	// JoinFrom makes m a member of a group, after delivering to it what of a kind was published there after a position.
	JoinFrom(group string, m channel.Member, kind channel.Kind, from channel.Position) channel.Recall
	// Leave ends that. It may be called with the locks of a connection held.
	Leave(group string, m channel.Member)
	// Recall gives what of a kind was published after a position, after asking other servers where this one does not
	// know: done is called once, at once or soon, and must not block.
	Recall(group string, kind channel.Kind, from channel.Position, done func(channel.Recall))
	// Sequence is the position of what was published last.
	Sequence() uint64
}

// Holds says how answers are held for what will be published (GRIP), so that no worker waits with them.
type Holds struct {
	// Hub is where publications come from. nil: answers pass as they are, whatever their fields say.
	Hub Hub
	// Most is how many answers may be held; further ones become 503. Default 100,000.
	Most int
	// Channels is how many channels one answer may wait for. Default 20.
	Channels int
	// Body is how long a held answer's body may be. Default 64 KiB.
	Body int
	// Backlog is how many publications may wait for one that its client takes slowly. Default 100.
	Backlog int
	// Sessions are those that answers name (Grip-Session-Id).
	Sessions Sessions
	// Filters are the bounds of filters that ask the application.
	Filters Filters
	// Sign gives what tells applications that a request came through us (Grip-Sig). nil: they are not told.
	Sign func(now time.Time) string
}

func (h *Holds) setDefaults() {
	setDefault(&h.Most, 100_000)
	setDefault(&h.Channels, 20)
	setDefault(&h.Body, 64<<10)
	setDefault(&h.Backlog, 100)
	h.Sessions.setDefaults()
	h.Filters.setDefaults()
}

// holds is what all held answers of a server share.
type holds struct {
	Holds
	held  atomic.Int64
	joins atomic.Int64 // how many times one has become a member of its groups
	used  atomic.Bool  // whether an answer was ever held: only then are applications told the cursor
	ready ready
	// random gives a number from 0 to below n.
	random func(n int64) int64
	full   notice
	token  signature
	known  sessions
	// filters are the questions of those that ask.
	filters filters

	elsewhere elsewhere
}

// hold is one answer that waits, a member of the hub's groups. No goroutine and no timer belongs to it: whoever
// publishes leaves a note in its inbox and on the list of those that have one, and its deadline is its connection's.
type hold struct {
	holds *holds
	wake  func() // says to the owner that there is something in the inbox

	// Only touched by the owner, under its lock.
	in       *grip.Instruct
	listener grip.Listener
	cursor   uint64
	joined   bool
	left     bool
	due      int64 // when something is to be done even if nothing comes
	touched  int64 // when something was last sent, for a stream's next link
	fetching bool
	self     string          // the target of a long poll's request, for it to be made again; empty: it cannot be
	retried  bool            // it has been, for what may have been missed: once is enough
	leaving  bool            // the server goes
	small    bool            // shrink has done its work
	sifts    bool            // filters of a channel ask the application
	passage  *passage        // the publication that they are asked about; nil: there is none
	live     map[string]bool // channels whose last id is of a publication, and no longer the application's word
	resumed  *resumption     // nil: its client begins anew when it comes back

	// mu guards what the hub and fetches leave here. No other lock is taken under it.
	mu      sync.Mutex
	inbox   []arrival
	lost    bool // something was published and there was no room for it, or it is no longer known
	fetched *inquiry
}

type arrival struct {
	group string
	p     *channel.Publication
}

// Deliver implements channel.Member.
func (h *hold) Deliver(group string, p *channel.Publication) bool {
	if p.Response == nil && p.Stream == nil && !(p.Close | p.Refresh).Has(channel.FormResponse|channel.FormStream) {
		return true
	}
	h.mu.Lock()
	if h.resumed != nil && h.resumed.stage(group, p) {
		h.mu.Unlock()
		return true
	}
	room := len(h.inbox) < h.room()
	first := len(h.inbox) == 0
	if room {
		h.inbox = append(h.inbox, arrival{group, p})
	} else {
		h.lost = true
	}
	h.mu.Unlock()
	if first {
		h.wake()
	}
	return room
}

// enter counts an answer that is to be held; false if there are too many.
func (h *holds) enter() bool {
	if h.held.Add(1) > int64(h.Most) {
		h.held.Add(-1)
		return false
	}
	h.used.Store(true)
	return true
}

// newHold makes one that enter has counted. cursor is the hub's position when its request was dispatched.
func (h *holds) newHold(in *grip.Instruct, cursor uint64, now int64, wake func()) *hold {
	one := &hold{holds: h, wake: wake}
	one.follow(in, cursor, now)
	one.resume()
	return one
}

// follow takes an instruction over. Its answer's own cursor counts more than the request's.
func (h *hold) follow(in *grip.Instruct, cursor uint64, now int64) {
	h.in, h.cursor, h.joined, h.live = in, cursor, false, nil
	if in.Cursor != 0 {
		h.cursor = in.Cursor
	}
	h.listener = grip.Listener{Channels: in.Channels, Meta: in.Meta}
	h.sifts = slices.ContainsFunc(in.Channels, func(c grip.Channel) bool { return c.Asks() })
	h.touched = now
	h.wait(now)
}

// wait sets the deadline anew.
func (h *hold) wait(now int64) {
	switch in := h.in; {
	case in.Mode == grip.Response:
		h.due = now + h.holds.spread(in.Timeout)
	case in.KeepAlive.Timeout > 0:
		h.due = now + h.holds.spread(in.KeepAlive.Timeout)
	case in.Next.Timeout > 0:
		h.due = now + int64(in.Next.Timeout)
	default:
		h.due = never
	}
}

// jitter is what part of a time those that wait are spread over: ten thousand that began together would else go on
// together each time. Nobody waits longer than was said.
const jitter = 10

// spread gives a time that is up to a tenth shorter.
func (h *holds) spread(d time.Duration) int64 {
	most := int64(d) / jitter
	return int64(d) - h.random(most+1)
}

// never is a deadline for what has none.
const never = 1<<63 - 1

// join makes it a member of its channels' groups. It is called without any lock.
func (h *hold) join() {
	if h.resumed != nil {
		h.joinSince()
		return
	}
	kind := channel.Streams
	if h.in.Mode == grip.Response {
		kind = channel.Responses
	}
	for i := range h.listener.Channels {
		recall := h.holds.Hub.JoinFrom(h.listener.Channels[i].Name, h, kind, channel.Position{Sequence: h.cursor})
		if !recall.Complete {
			h.mu.Lock()
			h.lost = true
			h.mu.Unlock()
		}
	}
	h.holds.joins.Add(1)
	h.wake()
}

// leave ends the memberships. It may be called again.
func (h *hold) leave() {
	if h.left {
		return
	}
	h.left = true
	h.passage.forget()
	h.holds.held.Add(-1)
	h.endResume()
	h.part()
}

func (h *hold) part() {
	for i := range h.listener.Channels {
		h.holds.Hub.Leave(h.listener.Channels[i].Name, h)
	}
}

// verdict is what becomes of a held answer.
type verdict uint8

const (
	verdictWait   verdict = iota
	verdictJoin           // make it a member
	verdictAnswer         // send this answer: the long poll is over
	verdictSend           // send these bytes on the stream
	verdictEnd            // the stream is over
	verdictFetch          // ask for the next link
	verdictFilter         // ask a filter
	verdictGoOn           // look at what is published next
)

// next decides what its owner does, under the owner's lock; what comes with it are an answer or bytes.
func (h *hold) next(now int64) (verdict, *channel.Response, []byte) {
	if h.in.Mode == grip.Response {
		return h.nextAnswer(now)
	}
	return h.nextBytes(now)
}

func (h *hold) nextAnswer(now int64) (verdict, *channel.Response, []byte) {
	if h.fetching {
		return h.nextAgain(now)
	}
	for {
		if h.passage != nil {
			if what, answer := h.filterAnswer(now); what != verdictGoOn {
				return what, answer, nil
			}
		}
		a, lost := h.take()
		switch {
		case a.p == nil && !h.joined:
			h.joined = true
			return verdictJoin, nil, nil
		case a.p == nil && !lost && now < h.due:
			return verdictWait, nil, nil
		case a.p == nil && now >= h.due:
			return verdictAnswer, &h.in.Answer, nil
		case a.p == nil:
			return h.again(true)
		case h.admit(&a):
			if what, answer, _ := h.judge(&a, now); what != verdictGoOn {
				return what, answer, nil
			}
		}
	}
}

// saw has the session know what this listener has got, where the application has named one.
func (h *hold) saw(a *arrival, now int64) {
	h.holds.known.saw(h.in.Session.ID, a.group, a.p.ID, now)
}

// judge is what a publication does to a long poll, which may wait on.
func (h *hold) judge(a *arrival, now int64) (verdict, *channel.Response, []byte) {
	w := h.enterAnswer(a)
	switch {
	case !h.follows(a, w != nil, now):
		return h.again(true)
	case !h.listener.Wants(a.group, a.p):
	case w != nil:
		h.passage = w
	case a.p.Close.Has(channel.FormResponse):
		return verdictAnswer, &h.in.Answer, nil
	case a.p.Refresh.Has(channel.FormResponse):
		return h.again(false)
	case a.p.Response != nil:
		return verdictAnswer, h.answerBy(a), nil
	}
	return verdictGoOn, nil, nil
}

// answerBy is what the client gets for a publication. Where that cannot be made, it gets what it would have got in the
// end: a patch may be meant for another body.
func (h *hold) answerBy(a *arrival) *channel.Response {
	answer := *a.p.Response
	body, err := h.listener.Render(a.group, a.p, channel.FormResponse, answer.Body)
	if err == nil && answer.Patches {
		body, err = grip.Patched(h.in.Answer.Body, body)
	}
	if err != nil {
		return &h.in.Answer
	}
	answer.Body, answer.Header = body, inherited(h.in.Answer.Header, answer.Header)
	return &answer
}

// shrink gives up what was needed to get the answer: ten thousand wait more cheaply without. Not while the dispatcher
// has the exchange too, which is until the worker's message has been dealt with or the application has returned:
// whoever asks what workers do reads it.
func (h *hold) shrink(ex *dispatch.Exchange) {
	if !h.small && !ex.Held() {
		h.small = true
		ex.Shrink()
	}
}

// take gives what is first in the inbox.
func (h *hold) take() (a arrival, lost bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.inbox) == 0 {
		return a, h.lost
	}
	a = h.inbox[0]
	h.inbox[0] = arrival{}
	if h.inbox = h.inbox[1:]; len(h.inbox) == 0 {
		h.inbox = nil
		h.caughtUp()
	}
	return a, h.lost
}

// admit tells whether a publication is one that this listener has not seen. What the application has named as the last
// it saw is not, nor is what came before that.
func (h *hold) admit(a *arrival) bool {
	c := h.channel(a.group)
	switch {
	case c == nil:
		return false // of a channel that is no longer waited for
	case a.p.ID == "" || c.PrevID == "":
		return true
	case a.p.ID == c.PrevID:
		return false
	}
	return h.live[a.group] || !h.later(a.group, c.PrevID)
}

// later tells whether the publication of that id is still to come: then what is looked at now is older.
func (h *hold) later(group, id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.inbox {
		if h.inbox[i].group == group && h.inbox[i].p.ID == id {
			return true
		}
	}
	return false
}

func (h *hold) channel(name string) *grip.Channel {
	for i := range h.listener.Channels {
		if h.listener.Channels[i].Name == name {
			return &h.listener.Channels[i]
		}
	}
	return nil
}
