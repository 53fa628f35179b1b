package dispatch

import (
	"testing"
	"time"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

func TestLeastInFlightFirst(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	first, second := b.attach("asgi", 4), b.attach("asgi", 4)
	for range 3 {
		b.submit("GET", "/")
		b.submit("GET", "/")
		first.Expect(wire.KindRequest)
		second.Expect(wire.KindRequest)
	}
	newcomer := b.attach("asgi", 4)
	b.submit("GET", "/")
	newcomer.Expect(wire.KindRequest)
}

func TestConcurrencyAndOrder(t *testing.T) {
	t.Parallel()
	for _, codec := range []wire.Codec{wire.Marshal, wire.Msgpack} {
		t.Run(codec.String(), func(t *testing.T) {
			b := setup(t, Options{QueueSize: 8})
			w := b.attachCodec("wsgi", 2, codec)
			clients := []*client{b.submit("POST", "/0"), b.submit("POST", "/1"), b.submit("POST", "/2"), b.submit("POST", "/3")}
			if b.InFlight() != 2 || b.Waiting() != 2 {
				t.Errorf("%d in flight and %d waiting, expected 2 and 2", b.InFlight(), b.Waiting())
			}
			if !clients[3].ex.Waiting() || clients[0].ex.Waiting() {
				t.Error("the last one waits and the first one does not, but Waiting says otherwise")
			}
			held := []dispatchtest.Message{w.Expect(wire.KindRequest), w.Expect(wire.KindRequest)}
			for i, c := range clients {
				if held[0].Path() != c.path {
					t.Fatalf("got %s, expected %s: first come, first served", held[0].Path(), c.path)
				}
				w.Answer(held[0].Stream, "for "+c.path)
				c.expect("answer 200 for " + c.path)
				if held = held[1:]; i < 2 {
					held = append(held, w.Expect(wire.KindRequest))
				}
			}
			if clients[2].ex.Queued <= 0 || clients[2].ex.WorkerName != "web.1" || clients[2].ex.WorkerPID != 7 {
				t.Errorf("queued %v at %s, process %d; expected some time at web.1, process 7",
					clients[2].ex.Queued, clients[2].ex.WorkerName, clients[2].ex.WorkerPID)
			}
		})
	}
}

func TestQueueLimits(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 3} {
		t.Run("", func(t *testing.T) {
			b := setup(t, Options{QueueSize: size})
			w := b.attach("wsgi", 1)
			b.submit("POST", "/running")
			for range size {
				b.submit("POST", "/waits")
			}
			b.submit("POST", "/one-too-many").expect("fail queue-full")
			if b.Waiting() != size {
				t.Errorf("%d wait, expected %d", b.Waiting(), size)
			}
			w.Die()
		})
	}
}

func TestQueueTimeout(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, QueueTimeout: time.Minute, Retry: true})
	w := b.attach("wsgi", 1)
	running := b.submit("GET", "/running")
	old := b.submit("POST", "/old")
	w.Expect(wire.KindRequest)
	b.Dispatcher.mu.Lock()
	old.ex.enqueued = old.ex.enqueued.Add(-time.Second)
	b.Dispatcher.mu.Unlock()
	b.look(later(58 * time.Second))
	old.expectNothing()
	w.Die()
	await(t, "the worker's end", w.link.Gone())
	// What the dead worker gave back stands in front and has just begun to wait; that must not shelter the other.
	b.look(later(59500 * time.Millisecond))
	old.expect("fail queue-timeout")
	running.expectNothing()
	b.look(later(2 * time.Minute))
	running.expect("fail queue-timeout")
}

func TestPrefetch(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		method   string
		pace     time.Duration
		prefetch int
		more     int
		want     int
	}{
		"fast":                 {"GET", 100 * time.Microsecond, 4, wire.BodyWhole, 4},
		"a millisecond's":      {"GET", 200 * time.Microsecond, 16, wire.BodyWhole, 5},
		"head":                 {"HEAD", 100 * time.Microsecond, 2, wire.BodyWhole, 2},
		"unknown pace":         {"GET", 0, 4, wire.BodyWhole, 0},
		"not fast":             {"GET", 300 * time.Microsecond, 4, wire.BodyWhole, 0},
		"not safe":             {"POST", 100 * time.Microsecond, 4, wire.BodyWhole, 0},
		"idempotent is not it": {"PUT", 100 * time.Microsecond, 4, wire.BodyWhole, 0},
		"body to come":         {"GET", 100 * time.Microsecond, 4, wire.BodyOnRead, 0},
		"switched off":         {"GET", 100 * time.Microsecond, 0, wire.BodyWhole, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Options{QueueSize: 100, Prefetch: c.prefetch})
			w := b.attach("asgi", 3).withPace(c.pace)
			for range 20 {
				request := b.request(c.method, "/")
				request.ex.More = c.more
				b.Submit(request.ex)
			}
			if got := b.InFlight() - 3; got != c.want {
				t.Errorf("%d requests beyond its concurrency are at the worker, expected %d", got, c.want)
			}
			w.Die()
		})
	}
}

func TestPaceOfASlowFirstRequest(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Prefetch: 4})
	w := b.attach("wsgi", 1)
	c := b.submit("GET", "/")
	w.Expect(wire.KindRequest)
	b.Dispatcher.mu.Lock()
	w.link.busySince = w.link.busySince.Add(-time.Millisecond)
	b.Dispatcher.mu.Unlock()
	w.Answer(0, "")
	c.expect("answer 200 ")
	w.roundTrip(b)
	if w.link.prefetch() != 0 {
		t.Errorf("after one request of over a millisecond its pace is %v", w.link.pace)
	}
}

func TestTakenBackFromAStuckWorker(t *testing.T) {
	if turn+stale > 50*time.Millisecond {
		t.Errorf("it takes up to %v, expected 50 ms at most", turn+stale)
	}
	b := setup(t, Options{QueueSize: 8, Prefetch: 4, Retry: true})
	stuck, other := b.attach("wsgi", 1).fast(), b.attach("wsgi", 1).fast()
	before := time.Now()
	b.submit("GET", "/stuck")
	answered := b.submit("GET", "/quick")
	ahead := b.submit("GET", "/ahead")
	stuck.Expect(wire.KindRequest)
	other.Expect(wire.KindRequest)
	if m := stuck.Expect(wire.KindRequest); m.Path() != "/ahead" {
		t.Fatalf("%s was fetched ahead, expected /ahead", m.Path())
	}
	b.look(before)
	if b.InFlight() != 3 {
		t.Fatal("taken back at once; expected a delay")
	}
	other.Answer(0, "quick")
	answered.expect("answer 200 quick")
	b.look(later(stale))
	if m := other.Expect(wire.KindRequest); m.Path() != "/ahead" {
		t.Fatalf("the free worker got %s, expected /ahead", m.Path())
	}
	if m := stuck.Expect(wire.KindCancel); m.Stream != 1 {
		t.Errorf("stream %d was cancelled, expected 1", m.Stream)
	}
	// The stuck worker had begun it after all: its answer is nobody's.
	stuck.Answer(1, "late")
	stuck.roundTrip(b)
	ahead.expectNothing()
	other.Answer(0, "ahead")
	ahead.expect("answer 200 ahead")
}

func TestNotTakenBackOnceBegun(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Prefetch: 4})
	w, other := b.attach("asgi", 1).fast(), b.attach("asgi", 1).fast()
	b.submit("GET", "/0")
	b.submit("GET", "/1")
	begun := b.submit("GET", "/begun")
	for range 2 {
		w.Expect(wire.KindRequest)
	}
	w.Send(dispatchtest.Tuple{wire.KindHint, 1, []dispatchtest.Tuple{{"link", "</a>"}}})
	begun.expect("hint link")
	w.roundTrip(b)
	b.look(later(stale))
	if !w.Quiet() || b.Waiting() != 0 {
		t.Error("a request that the application has begun was taken back")
	}
	other.Die()
}

func TestUnresponsiveWorkerComesLast(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	silent, lively := b.attach("asgi", 8), b.attach("asgi", 8)
	for range 4 {
		b.submit("GET", "/")
	}
	for range 2 {
		silent.Expect(wire.KindRequest)
		lively.Expect(wire.KindRequest)
	}
	lively.roundTrip(b)
	b.look(later(suspicious))
	for range 3 {
		b.submit("GET", "/")
		lively.Expect(wire.KindRequest)
	}
	silent.roundTrip(b)
	b.submit("GET", "/")
	silent.Expect(wire.KindRequest)
	if !lively.Quiet() {
		t.Error("once it answers again, the worker with fewer requests comes first")
	}
}

func TestMaxRequests(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, MaxRequests: 3})
	w := b.attach("wsgi", 8)
	b.submit("GET", "/1")
	b.submit("GET", "/2")
	if len(w.retired) > 0 {
		t.Fatal("retired early")
	}
	b.submit("GET", "/3")
	w.expectRetired(t, RetireMaxRequests)
	b.submit("GET", "/4") // until the supervisor drains it, it goes on
	for range 4 {
		w.Expect(wire.KindRequest)
	}
	jittered := New(Options{MaxRequests: 100, MaxRequestsJitter: 10})
	seen := map[int]bool{}
	for range 1000 {
		n := jittered.lifetime()
		if n < 100 || n > 110 {
			t.Fatalf("a lifetime of %d requests, expected 100 to 110", n)
		}
		seen[n] = true
	}
	if len(seen) != 11 {
		t.Errorf("%d different lifetimes of 11", len(seen))
	}
}

// TestUrgentRequestsWaitInFront: those that came last go first, and neither kind takes the other's room.
func TestUrgentRequestsWaitInFront(t *testing.T) {
	b := setup(t, Options{QueueSize: 2, UrgentSize: 2})
	w := b.attach("wsgi", 1)
	running := b.submit("POST", "/running")
	held := w.Expect(wire.KindRequest)
	for _, path := range []string{"/first", "/second"} {
		b.submit("POST", path)
	}
	b.submit("POST", "/too-many").expect("fail queue-full")
	urgent := func(path string) *client {
		c := b.request("GET", path)
		c.ex.Urgent = true
		b.Submit(c.ex)
		return c
	}
	gone := urgent("/gone")
	urgent("/health-1")
	urgent("/health-too-many").expect("fail queue-full")
	gone.ex.Disconnect()
	urgent("/health-2")
	b.submit("POST", "/too-many").expect("fail queue-full")
	if b.Waiting() != 4 {
		t.Errorf("%d wait, expected 4", b.Waiting())
	}
	for _, path := range []string{"/health-2", "/health-1", "/first", "/second"} {
		w.Answer(held.Stream, "done")
		if held = w.Expect(wire.KindRequest); held.Path() != path {
			t.Errorf("got %s, expected %s", held.Path(), path)
		}
	}
	w.Answer(held.Stream, "done")
	running.expect("answer 200 done")
}

func TestUrgentRequestNeedsNoQueue(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, UrgentSize: 1})
	first, second := b.attach("wsgi", 1), b.attach("wsgi", 1)
	b.submit("POST", "/a")
	b.submit("POST", "/b")
	b.submit("POST", "/waits")
	first.Expect(wire.KindRequest)
	second.Expect(wire.KindRequest)
	free := b.attach("wsgi", 2) // takes the one that waits, and has room for another
	free.Expect(wire.KindRequest)
	health := b.request("GET", "/health")
	health.ex.Urgent = true
	b.Submit(health.ex)
	if got := free.Expect(wire.KindRequest); got.Path() != "/health" {
		t.Errorf("got %s", got.Path())
	}
}
