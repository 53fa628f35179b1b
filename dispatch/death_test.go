package dispatch

import (
	"net"
	"strings"
	"testing"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

func TestWorkerDies(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		method string
		retry  bool
		begun  byte // what the worker's mark of the stream says
		say    dispatchtest.Tuple
		told   string // what the client hears of say
		want   string // after the death; "" when it is repeated
	}{
		"safe":               {"GET", true, 1, nil, "", ""},
		"safe, options":      {"OPTIONS", true, 1, nil, "", ""},
		"idempotent":         {"PUT", true, 1, nil, "", "fail worker"},
		"safe, hinted":       {"HEAD", true, 1, dispatchtest.Tuple{wire.KindHint, 0, []dispatchtest.Tuple{{"link", "a"}}}, "hint link", ""},
		"safe, retry off":    {"GET", false, 1, nil, "", "fail worker"},
		"not safe":           {"POST", true, 1, nil, "", "fail worker"},
		"not safe nor begun": {"POST", true, 0, nil, "", ""},
		"not begun, off":     {"DELETE", false, 0, nil, "", ""},
		"answered":           {"GET", true, 1, dispatchtest.Tuple{wire.KindStart, 0, 200, []dispatchtest.Tuple{}, []byte("a")}, "start 200 a", "fail worker"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Options{QueueSize: 8, Retry: c.retry})
			w := b.attach("asgi", 4)
			client := b.submit(c.method, "/")
			w.Expect(wire.KindRequest)
			b.Dispatcher.mu.Lock() // for the race detector: a worker is another process
			w.marks[wire.BegunSize-1], w.marks[0] = 1, c.begun
			b.Dispatcher.mu.Unlock()
			if c.say != nil {
				w.Send(c.say)
				client.expect(c.told)
			}
			w.Die()
			await(t, "the worker's end", w.link.Gone())
			if c.want != "" {
				client.expect(c.want)
				return
			}
			client.expectNothing()
			other := b.attach("asgi", 4)
			other.Answer(other.Expect(wire.KindRequest).Stream, "again")
			client.expect("answer 200 again")
		})
	}
}

func TestSafeRequestsAreRepeatedOnce(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Retry: true})
	client := b.request("GET", "/deadly")
	first := b.attach("wsgi", 1)
	b.Submit(client.ex)
	for _, w := range []*attached{first, b.attach("wsgi", 1)} {
		w.Expect(wire.KindRequest)
		client.expectNothing()
		w.Die()
		await(t, "the worker's end", w.link.Gone())
	}
	client.expect("fail worker")
}

// TestUnsentRequests has a worker that takes not one byte: what it was meant to get has been seen by nobody, so all of
// it goes to the next one, whatever the method, in its order and in front of those that waited.
func TestUnsentRequests(t *testing.T) {
	b := setup(t, Options{QueueSize: 1})
	ours, theirs := net.Pipe()
	control, controlEnd := net.Pipe()
	deaf := b.attachConns("wsgi", 3, wire.Marshal, ours, control)
	clients := []*client{b.submit("POST", "/0"), b.submit("POST", "/1"), b.submit("POST", "/2"), b.submit("POST", "/3")}
	for _, c := range clients[:3] {
		c.ex.Replayable = true // as a body of any length would be
	}
	_ = theirs.Close()
	_ = controlEnd.Close()
	await(t, "the worker's end", deaf.link.Gone())
	w := b.attach("wsgi", 1)
	for _, c := range clients {
		m := w.Expect(wire.KindRequest)
		if m.Path() != c.path {
			t.Fatalf("got %s, expected %s", m.Path(), c.path)
		}
		w.Answer(m.Stream, "")
		c.expect("answer 200 ")
	}
}

func TestProtocolBreaches(t *testing.T) {
	t.Parallel()
	cases := map[string]func(w *attached){
		"unknown stream":  func(w *attached) { w.Answer(9, "") },
		"freed stream":    func(w *attached) { w.Send(dispatchtest.Tuple{wire.KindDone, 1}, dispatchtest.Tuple{wire.KindDone, 1}) },
		"garbage":         func(w *attached) { w.SendPacket([]byte("\xffgarbage")) },
		"empty packet":    func(w *attached) { w.SendPacket(nil) },
		"unknown kind":    func(w *attached) { w.Send(dispatchtest.Tuple{99, 0}) },
		"wrong shape":     func(w *attached) { w.Send(dispatchtest.Tuple{wire.KindData, 0}) },
		"kind of ours":    func(w *attached) { w.Send(dispatchtest.Tuple{wire.KindCredit, 0, 5}) },
		"trace":           func(w *attached) { w.Send(dispatchtest.Tuple{wire.KindTrace, 0, "x"}) },
		"negative stream": func(w *attached) { w.Send(dispatchtest.Tuple{wire.KindDone, -1}) },
		"second answer": func(w *attached) {
			w.Send(dispatchtest.Tuple{wire.KindStart, 1, 200, []dispatchtest.Tuple{}, []byte("")})
			w.Answer(1, "again")
		},
	}
	for name, breach := range cases {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Options{QueueSize: 8})
			w := b.attach("asgi", 4)
			client := b.submit("POST", "/")
			b.submit("POST", "/victim")
			w.Expect(wire.KindRequest)
			w.Expect(wire.KindRequest)
			breach(w)
			client.expect("fail worker")
			w.expectRetired(t, RetireProtocol)
			await(t, "the worker's end", w.link.Gone())
			await(t, "the end of the connection", w.Ended())
			if !b.logs.contain("broke the worker protocol") {
				t.Error("nothing of it was logged")
			}
			if len(w.retired) > 0 {
				t.Error("it was to be replaced twice")
			}
		})
	}
}

// TestProtocolBreachesOfTheControlConnection: what cannot be read there costs the worker, too. Whoever asked would wait.
func TestProtocolBreachesOfTheControlConnection(t *testing.T) {
	t.Parallel()
	for name, breach := range map[string]dispatchtest.Tuple{
		"unknown kind":           {99, 0},
		"wrong shape":            {wire.KindPublish, 1, "room"},
		"a number for a name":    {wire.KindEnter, 1, "room", 42, "socket", ""},
		"a name that is too big": {wire.KindJoin, 1, strings.Repeat("x", 600)},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Options{QueueSize: 8})
			w := b.attach("asgi", 4)
			w.SendControl(breach)
			w.expectRetired(t, RetireProtocol)
			if !b.logs.contain("broke the worker protocol") {
				t.Error("nothing of it was logged")
			}
		})
	}
}

func TestStop(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Retry: true})
	w := b.attach("wsgi", 1)
	running, waiting := b.submit("GET", "/running"), b.submit("GET", "/waiting")
	w.Expect(wire.KindRequest)
	b.Stop()
	waiting.expect("fail stopping")
	b.submit("GET", "/late").expect("fail stopping")
	w.Die()
	// It may be repeated, but nobody is left who could.
	running.expect("fail stopping")
}

func TestDrain(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("asgi", 4)
	running := b.submit("GET", "/running")
	w.Expect(wire.KindRequest)
	w.link.Drain()
	waiting := b.submit("GET", "/waiting")
	if !waiting.ex.Waiting() {
		t.Error("a draining worker was given a request")
	}
	select {
	case <-w.link.Idle():
		t.Error("idle while a request is under way")
	default:
	}
	w.Answer(0, "last")
	running.expect("answer 200 last")
	await(t, "being idle", w.link.Idle())
	w.Expect(wire.KindStop)
	w.link.Drain() // a second time changes nothing
	w.Die()
	await(t, "the worker's end", w.link.Gone())
	next := b.attach("asgi", 4)
	next.Answer(next.Expect(wire.KindRequest).Stream, "next")
	waiting.expect("answer 200 next")
}

func TestDrainOfAnIdleWorker(t *testing.T) {
	b := setup(t, Options{})
	w := b.attach("asgi", 4)
	w.link.Drain()
	await(t, "being idle", w.link.Idle())
	w.Expect(wire.KindStop)
}

func TestIdleWhenItDiesDraining(t *testing.T) {
	b := setup(t, Options{})
	w := b.attach("asgi", 4)
	b.submit("POST", "/")
	w.Expect(wire.KindRequest)
	w.link.Drain()
	w.Die()
	await(t, "being idle", w.link.Idle())
}
