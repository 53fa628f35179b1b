package dispatch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

func (b *bundle) query(query string) *client {
	c := b.request("GET", "/?"+query)
	c.ex.Scope.Query = []byte(query)
	b.Submit(c.ex)
	return c
}

// begin has a worker begin a session.
func (b *bundle) begin(w *attached, id string) {
	b.t.Helper()
	body := fmt.Sprintf(`0{"sid":"%s","upgrades":["websocket"]}`, id)
	c := b.query("transport=polling")
	w.Answer(w.Expect(wire.KindRequest).Stream, body)
	c.expect("answer 200 " + body)
}

func sticky(more Options) Options {
	more.Sticky, more.StickySize, more.StickyTime, more.QueueSize = "sid", 2, time.Minute, 2
	return more
}

func TestSessionsKeepTheirWorker(t *testing.T) {
	b := setup(t, sticky(Options{QueueTimeout: time.Minute}))
	w := b.attach("wsgi", 1)
	b.begin(w, "one")
	other := b.attach("wsgi", 1)
	first := b.query("t=1&sid=one")
	waits := b.query("sid=one&x")
	away := b.submit("GET", "/")
	stream := other.Expect(wire.KindRequest).Stream // nobody waits behind somebody else's session
	other.Answer(stream, "away")
	away.expect("answer 200 away")
	if b.Waiting() != 1 {
		t.Errorf("%d requests wait, expected the session's second", b.Waiting())
	}
	w.Answer(w.Expect(wire.KindRequest).Stream, "1")
	first.expect("answer 200 1")
	w.Answer(w.Expect(wire.KindRequest).Stream, "2")
	waits.expect("answer 200 2")
	if w.link.answered != other.link.answered {
		t.Errorf("%d and %d answers are measured, expected those that could have gone elsewhere", w.link.answered, other.link.answered)
	}
	for _, no := range []string{"sid=two", "sid=", "xsid=one", "sids=one", "a=sid=one"} {
		busy := b.query("sid=one")
		each := b.query(no)
		other.Answer(other.Expect(wire.KindRequest).Stream, no)
		each.expect("answer 200 " + no)
		w.Answer(w.Expect(wire.KindRequest).Stream, "busy")
		busy.expect("answer 200 busy")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	b := setup(t, sticky(Options{QueueTimeout: time.Second}))
	w := b.attach("wsgi", 1)
	for _, id := range []string{"one", "two", "three"} {
		b.begin(w, id)
	}
	if n := len(b.sessions.byID); n != 2 || b.sessions.byID["one"] != nil {
		t.Errorf("%d sessions, expected the two used last", n)
	}
	running := b.query("sid=two")
	waiting := []*client{b.query("sid=two"), b.query("sid=three")}
	b.query("sid=three").expect("fail queue-full")
	b.submit("GET", "/").expect("fail queue-full")
	b.look(time.Now().Add(time.Minute / 2))
	for _, c := range waiting {
		c.expect("fail queue-timeout")
	}
	gone := b.query("sid=two")
	gone.ex.Disconnect()
	w.Answer(w.Expect(wire.KindRequest).Stream, "it")
	running.expect("answer 200 it")
	gone.expectNothing()
	b.locked(func() {
		b.sessions.expire(time.Now().Add(time.Hour))
		if n := b.sessions.order.Len() + len(b.sessions.byID); n != 0 {
			t.Errorf("%d sessions are left after their time", n)
		}
	})
}

func (b *bundle) locked(do func()) {
	b.Dispatcher.mu.Lock()
	defer b.Dispatcher.mu.Unlock()
	do()
}

// TestSessionsEndWithTheirWorker: what waits for it goes to another one.
func TestSessionsEndWithTheirWorker(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *attached){
		"dies":   func(w *attached) { w.Die() },
		"drains": func(w *attached) { w.link.Drain() },
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, sticky(Options{Retry: true}))
			w := b.attach("wsgi", 1)
			b.begin(w, "one")
			running := b.query("sid=one")
			stream := w.Expect(wire.KindRequest).Stream
			waiting := b.query("sid=one")
			other := b.attach("wsgi", 4)
			end(w)
			if name == "drains" {
				w.Answer(stream, "other")
				b.look(time.Now())
			} else {
				other.Answer(other.Expect(wire.KindRequest).Stream, "other")
			}
			other.Answer(other.Expect(wire.KindRequest).Stream, "other")
			running.expect("answer 200 other")
			waiting.expect("answer 200 other")
			if len(b.sessions.byID) != 0 {
				t.Error("its session is still known")
			}
		})
	}
}

func TestNamesOfSessions(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`0{"sid":"a-b_C9","x":1}`:       "a-b_C9",
		`{"x": "sid", "sid": "spaced"}`: "spaced",
		`{"sid":""}`:                    "",
		`{"sid":12}`:                    "",
		`{"xsid":"a"}`:                  "",
		`{"sid":"never ends`:            "",
		`sid`:                           "",
		strings.Repeat(" ", nameWithin) + `{"sid":"far"}`: "",
	} {
		if got := string(namedIn([]byte(body), "sid")); got != want {
			t.Errorf("%q names %q, expected %q", body, got, want)
		}
	}
}

// TestStuckLoopKeepsItsSessions: others would not know them.
func TestStuckLoopKeepsItsSessions(t *testing.T) {
	b := setup(t, sticky(Options{Retry: true}))
	w := b.attach("asgi", 4)
	w.marks[len(w.marks)-1] = 1
	b.begin(w, "one")
	c := b.query("sid=one")
	stream := w.Expect(wire.KindRequest).Stream
	b.attach("asgi", 4)
	b.look(time.Now().Add(time.Second))
	w.Send(dispatchtest.Tuple{wire.KindAnswer, stream, 200, []dispatchtest.Tuple{}, []byte("late")})
	c.expect("answer 200 late")
}
