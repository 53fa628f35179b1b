package dispatch

import (
	"context"
	"testing"
	"time"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

func TestTimeoutOfAThread(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Timeout: time.Minute, Prefetch: 4, Retry: true})
	w := b.attach("wsgi", 2).fast()
	stuck, fine, ahead := b.submit("POST", "/stuck"), b.submit("POST", "/fine"), b.submit("GET", "/ahead")
	for range 3 {
		w.Expect(wire.KindRequest)
	}
	b.Dispatcher.mu.Lock()
	stuck.ex.clock = stuck.ex.clock.Add(-time.Second)
	b.Dispatcher.mu.Unlock()
	b.look(later(58 * time.Second))
	stuck.expectNothing()
	b.look(later(59500 * time.Millisecond))
	stuck.expect("fail timeout")
	w.expectRetired(t, RetireStuck)
	if m := w.Expect(wire.KindCancel); m.Stream != 0 {
		t.Errorf("stream %d was cancelled, expected 0", m.Stream)
	}
	if m := w.Expect(wire.KindCancel); m.Stream != 2 || b.Waiting() != 1 {
		t.Errorf("what it had not begun is not taken back: %+v cancelled, %d waiting", m, b.Waiting())
	}
	w.traced()
	eventually(t, "the stack is in the log", func() bool { return b.logs.contain("views.py, line 7") })
	// The supervisor drains it. It is idle as soon as the others have ended: the stuck thread may never come back.
	w.link.Drain()
	w.Answer(1, "fine")
	fine.expect("answer 200 fine")
	w.Send(dispatchtest.Tuple{wire.KindDone, 2})
	await(t, "being idle", w.link.Idle())
	w.Expect(wire.KindStop)
	w.Answer(0, "after all")
	w.roundTrip(b)
	stuck.expectNothing()
	ahead.expectNothing()
}

// TestTimeoutBehindManyStreams: a turn looks at some of a worker's streams only, and the next one goes on there.
func TestTimeoutBehindManyStreams(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Timeout: time.Minute})
	w := b.attach("asgi", 8)
	b.Dispatcher.mu.Lock()
	w.link.streams = make([]*Exchange, 4*lookedAtOnce+1)
	b.Dispatcher.mu.Unlock()
	never := b.submit("GET", "/never")
	w.Expect(wire.KindRequest)
	b.look(later(time.Minute))
	never.expectNothing()
	for range 4 {
		b.look(later(time.Minute))
	}
	never.expect("fail timeout")
	w.traced()
	w.Expect(wire.KindCancel)
	w.Send(dispatchtest.Tuple{wire.KindDone, 4*lookedAtOnce + 1})
}

func TestTimeoutOfATask(t *testing.T)     { timeoutOfATask(t, "asgi") }
func TestTimeoutOfAGreenlet(t *testing.T) { timeoutOfATask(t, "gevent") }

func timeoutOfATask(t *testing.T, kind string) {
	t.Helper()
	b := setup(t, Options{QueueSize: 8, Timeout: time.Minute})
	w := b.attach(kind, 8)
	ends, never := b.submit("GET", "/ends"), b.submit("GET", "/never")
	w.Expect(wire.KindRequest)
	w.Expect(wire.KindRequest)
	b.look(later(time.Minute))
	ends.expect("fail timeout")
	never.expect("fail timeout")
	w.traced() // before it is cancelled, while it still stands where it is stuck
	w.traced()
	w.Expect(wire.KindCancel)
	w.Expect(wire.KindCancel)
	w.Send(dispatchtest.Tuple{wire.KindDone, 0})
	w.roundTrip(b)
	b.look(later(cancelGrace - time.Second))
	if len(w.retired) > 0 {
		t.Fatal("retired before the cancelled task had its time")
	}
	b.look(later(cancelGrace + time.Minute))
	w.expectRetired(t, RetireStuck)
	w.Die()
}

// TestClientsFaultIsNoTimeout has an application that waits for body that its client does not send.
func TestClientsFaultIsNoTimeout(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Timeout: time.Minute})
	w := b.attach("wsgi", 8)
	c := b.request("POST", "/")
	c.ex.More = wire.BodyOnRead
	b.Submit(c.ex)
	w.Expect(wire.KindRequest)
	w.Send(dispatchtest.Tuple{wire.KindRead, 0, wire.Window})
	c.expect("wanted 262144 false")
	b.look(later(time.Hour))
	c.expectNothing()
	c.ex.SendBody([]byte("part"), 0, true)
	b.look(later(2 * time.Hour))
	c.expectNothing()
	c.ex.SendBody([]byte("rest"), 4, false)
	w.Send(dispatchtest.Tuple{wire.KindRead, 0, 8}) // says that it was taken
	c.expect("wanted 8 false")
	b.look(later(4 * time.Hour))
	c.expect("fail timeout")
	w.Die()
}

func TestStreamTimeout(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, StreamTimeout: time.Minute, Timeout: time.Second})
	w := b.attach("asgi", 8)
	c := b.submit("GET", "/")
	w.Expect(wire.KindRequest)
	w.Send(dispatchtest.Tuple{wire.KindStart, 0, 200, []dispatchtest.Tuple{}, []byte("12345")})
	c.expect("start 200 12345")
	b.look(later(time.Hour))
	c.expectNothing() // the client has not taken what there is
	c.ex.Took(4)
	b.look(later(time.Hour))
	c.expectNothing()
	// From here on it is the application that is silent, and from here on it counts.
	c.ex.Took(1)
	b.look(later(time.Hour + 30*time.Second))
	c.expectNothing()
	b.look(later(time.Hour + 2*time.Minute))
	c.expect("fail stream-timeout")
	w.traced()
	w.Expect(wire.KindCancel)
	w.Die()
}

func TestDisconnectGrace(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, DisconnectGrace: 10 * time.Second})
	w := b.attach("asgi", 8)
	c := b.submit("GET", "/")
	w.Expect(wire.KindRequest)
	c.ex.Disconnect()
	w.Expect(wire.KindDisconnect)
	b.look(later(9 * time.Second))
	w.roundTrip(b)
	if !w.Quiet() {
		t.Fatalf("got %+v within the grace", w.Next())
	}
	b.look(later(10 * time.Second))
	w.Expect(wire.KindCancel)
	b.look(later(20 * time.Second))
	w.Send(dispatchtest.Tuple{wire.KindDone, 0})
	w.roundTrip(b)
	if !w.Quiet() {
		t.Error("cancelled twice")
	}
	c.expectNothing()
}

// TestThreadStuckAfterItsClientLeft: impatient clients must not be able to use up the threads of a worker for good.
func TestThreadStuckAfterItsClientLeft(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Timeout: time.Minute})
	w := b.attach("wsgi", 8)
	stuck, streaming := b.submit("GET", "/stuck"), b.submit("GET", "/streaming")
	w.Expect(wire.KindRequest)
	w.Expect(wire.KindRequest)
	w.Send(dispatchtest.Tuple{wire.KindStart, 1, 200, []dispatchtest.Tuple{}, []byte("")})
	streaming.expect("start 200 ")
	streaming.ex.Disconnect()
	stuck.ex.Disconnect()
	w.Expect(wire.KindDisconnect)
	w.Expect(wire.KindDisconnect)
	b.look(later(time.Minute))
	w.expectRetired(t, RetireStuck)
	if m := w.Expect(wire.KindCancel); m.Stream != 0 {
		t.Errorf("stream %d was cancelled, expected 0: one that has begun to answer has no time limit", m.Stream)
	}
	stuck.expectNothing()
	w.Die()
}

// TestRun lets the real clock do what the other tests do by hand, and stops when nothing is under way.
func TestRun(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Timeout: 60 * time.Millisecond, QueueTimeout: 30 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	w := b.attach("asgi", 1)
	for range 2 {
		stuck, waits := b.submit("POST", "/stuck"), b.submit("POST", "/waits")
		m := w.Expect(wire.KindRequest)
		waits.expect("fail queue-timeout")
		stuck.expect("fail timeout")
		w.traced()
		w.Expect(wire.KindCancel)
		w.Send(dispatchtest.Tuple{wire.KindDone, m.Stream})
		w.roundTrip(b)
		eventually(t, "the clock stops when nothing is under way", func() bool { return !b.isTicking() })
	}
	w.Die()
	cancel()
	await(t, "the end of Run", ended)
}

func (b *bundle) isTicking() bool {
	b.Dispatcher.mu.Lock()
	defer b.Dispatcher.mu.Unlock()
	return b.ticking
}
