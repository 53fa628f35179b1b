package dispatch

import (
	"context"
	"strings"
	"testing"
	"time"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// logged counts how often a text is in the log.
func (l *logs) logged(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func TestCrowdedWorker(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, BusyStall: time.Second})
	w := b.attach("wsgi", 2)
	running := []*client{b.submit("GET", "/first"), b.submit("POST", "/second")}
	streams := []uint32{w.Expect(wire.KindRequest).Stream, w.Expect(wire.KindRequest).Stream}
	b.look(later(time.Minute))
	if stalls := b.Snapshot(9).Workers[0].Stalls; stalls.Busy != 0 {
		t.Error("a worker whose threads are busy while nobody waits is counted")
	}
	waiting := []*client{b.submit("GET", "/third"), b.submit("GET", "/fourth")}
	b.look(later(500 * time.Millisecond))
	b.look(later(1500 * time.Millisecond))
	w.traced()
	eventually(t, "the log of the stall", func() bool { return b.logs.contain("File views.py, line 7, in loop") })
	b.look(later(5 * time.Second)) // the same episode
	now := b.Snapshot(9)
	if now.Workers[0].Stalls.Busy != 1 || now.Waiting != 2 || len(now.Queue) != 2 || now.Queue[0].Target != "/third" {
		t.Errorf("%+v", now)
	}
	if !b.logs.contain("running=2 waiting=2") || b.logs.logged("requests wait") != 1 {
		t.Errorf("the log is %s", b.logs.text.String())
	}

	for _, stream := range streams {
		w.Answer(stream, "")
	}
	for range waiting {
		w.Answer(w.Expect(wire.KindRequest).Stream, "")
	}
	for _, c := range append(running, waiting...) {
		c.expect("answer 200 ")
	}
	b.look(later(0)) // the end of the episode
	for range 3 {
		b.submit("GET", "/again")
	}
	b.look(later(10 * time.Second))
	w.traced()
	eventually(t, "the next episode", func() bool { return b.Snapshot(9).Workers[0].Stalls.Busy == 2 })
	if served := b.Snapshot(9).Workers[0].Served; served != 4 {
		t.Errorf("%d requests served, expected 4", served)
	}
}

// TestCrowdedByWhatWasSentAhead: the only worker there is takes requests ahead while it is quick, and nothing takes
// them back when it becomes slow.
func TestCrowdedByWhatWasSentAhead(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Prefetch: 8, BusyStall: time.Second})
	w := b.attach("wsgi", 1).fast()
	for range 3 {
		b.submit("GET", "/")
	}
	if b.Waiting() != 0 {
		t.Fatal("the requests were not sent ahead")
	}
	b.look(later(2 * time.Second))
	if asked := w.NextStacks(); asked.Kind != wire.KindStacks {
		t.Errorf("%+v", asked)
	}
	if stalls := b.Snapshot(9).Workers[0].Stalls; stalls.Busy != 1 {
		t.Errorf("%+v", stalls)
	}
}

func TestBusyStallOff(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	b.attach("wsgi", 1)
	b.submit("GET", "/")
	b.submit("GET", "/")
	b.look(later(time.Hour))
	if stalls := b.Snapshot(9).Workers[0].Stalls; stalls.Busy != 0 {
		t.Errorf("%+v", stalls)
	}
}

func TestWorkerTellsOfItsLoop(t *testing.T) {
	b := setup(t, Options{})
	w := b.attach("asgi", 8)
	b.submit("GET", "/blocks")
	stream := w.Expect(wire.KindRequest).Stream
	w.SendControl(dispatchtest.Tuple{wire.KindStall, stream, 269, "File views.py, line 3"})
	eventually(t, "the log", func() bool { return b.logs.contain("File views.py, line 3") })
	if !b.logs.contain("target=/blocks") || !b.logs.contain("for=269ms") {
		t.Errorf("the log is %s", b.logs.text.String())
	}
	// The same stack again is counted, and not logged for a minute; what no request is known for is logged without one.
	w.SendControl(dispatchtest.Tuple{wire.KindStall, stream, 300, "File views.py, line 3"},
		dispatchtest.Tuple{wire.KindStall, wire.NoStream, 251, "File tasks.py, line 4"})
	eventually(t, "the log", func() bool { return b.logs.contain("File tasks.py, line 4") })
	w.SendControl(dispatchtest.Tuple{wire.KindCrowd, 5, 1010, "File sync.py, line 5"})
	eventually(t, "the log", func() bool { return b.logs.contain("File sync.py, line 5") })
	if !b.logs.contain("waiting=5") || b.Stalls() != (Stalls{Loop: 3, Busy: 1}) {
		t.Errorf("%+v, the log is %s", b.Stalls(), b.logs.text.String())
	}
	if loop := b.Snapshot(9).Workers[0].Stalls.Loop; loop != 3 || b.logs.logged("File views.py") != 1 {
		t.Errorf("%d stalls, the log is %s", loop, b.logs.text.String())
	}
}

func TestMutedForAMinute(t *testing.T) {
	t.Parallel()
	var m muted
	start := time.Now()
	steps := []struct {
		stack  string
		at     time.Duration
		before int
		silent bool
	}{
		{"a", 0, 0, false},
		{"a", time.Second, 0, true},
		{"b", time.Second, 0, false},
		{"a", 59 * time.Second, 0, true},
		{"a", 61 * time.Second, 2, false},
		{"a", 62 * time.Second, 0, true},
	}
	for i, s := range steps {
		if before, silent := m.note(s.stack, start.Add(s.at)); before != s.before || silent != s.silent {
			t.Errorf("step %d: %d, %v, expected %d, %v", i, before, silent, s.before, s.silent)
		}
	}
	for i := range 3 * mutedStack {
		m.note(strings.Repeat("x", i), start)
	}
	if len(m.stacks) > mutedStack {
		t.Errorf("%d stacks are kept", len(m.stacks))
	}
}

// TestSuspectIsToBeWatched: a loop may be held by what no request has begun, so that nothing has told its watch.
func TestSuspectIsToBeWatched(t *testing.T) {
	b := setup(t, Options{})
	w := b.attach("asgi", 8)
	b.submit("GET", "/")
	m := w.Expect(wire.KindRequest)
	b.look(later(2 * suspicious))
	b.look(later(3 * suspicious))
	if told := w.NextStacks(); told.Kind != wire.KindWatch {
		t.Errorf("%+v", told)
	}
	w.Answer(m.Stream, "")
}

func TestReports(t *testing.T) {
	b := setup(t, Options{})
	w := b.attach("asgi", 8)
	link := b.Workers()[0]
	answers := make(chan string, 1)
	ask := func(question func() ([]byte, error)) {
		go func() {
			answer, err := question()
			if err != nil {
				answer = []byte(err.Error())
			}
			answers <- string(answer)
		}()
	}
	ask(func() ([]byte, error) { return link.Snapshot(t.Context()) })
	m := w.NextStacks()
	w.SendControl(dispatchtest.Tuple{wire.KindReport, m.Stream, `{"stacks": []}`})
	if got := <-answers; m.Kind != wire.KindSnapshot || got != `{"stacks": []}` {
		t.Errorf("%+v: %s", m, got)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ask(func() ([]byte, error) { return link.Profile(ctx, 10*time.Second, 50) })
	if m = w.NextStacks(); m.Kind != wire.KindProfile {
		t.Errorf("%+v", m)
	}
	cancel()
	if got, m := <-answers, w.NextStacks(); got != context.Canceled.Error() || m.Kind != wire.KindProfile || m.Stream != 0 {
		t.Errorf("given up: %s, then %+v; expected the worker to be told", got, m)
	}

	ask(func() ([]byte, error) { return link.Profile(t.Context(), 10*time.Second, 50) })
	w.NextStacks()
	w.Die()
	if got := <-answers; got != "it has gone" {
		t.Errorf("the worker's end: %s", got)
	}
}

func TestSnapshotOfWhatWasTakenBack(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Retry: true})
	stuck := b.attach("asgi", 8)
	b.submit("GET", "/waiting")
	stuck.Expect(wire.KindRequest)
	b.Dispatcher.mu.Lock()
	stuck.marks[wire.BegunSize-1] = 1
	b.Dispatcher.mu.Unlock()
	other := b.attach("asgi", 8)
	b.look(later(2 * suspicious))
	m := other.Expect(wire.KindRequest)
	for _, w := range b.Snapshot(9).Workers {
		if w.Served != 0 || len(w.Requests) != w.InFlight && w.InFlight != 1 {
			t.Errorf("%+v", w)
		}
	}
	other.Answer(m.Stream, "")
	stuck.Send(dispatchtest.Tuple{wire.KindDone, 0})
	eventually(t, "one request that was served", func() bool {
		all := b.Snapshot(9).Workers
		return all[0].Served == 0 && all[0].InFlight == 0 && all[1].Served == 1
	})
}
