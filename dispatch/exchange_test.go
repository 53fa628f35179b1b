package dispatch

import (
	"bytes"
	"strings"
	"testing"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	none := []dispatchtest.Tuple{}
	bad := []dispatchtest.Tuple{{"x", "\u20ac"}}
	cases := map[string]struct {
		say  []dispatchtest.Tuple
		want []string
		open bool // the application still runs
	}{
		"whole":            {[]dispatchtest.Tuple{{wire.KindAnswer, 0, 201, none, []byte("hi")}}, []string{"answer 201 hi"}, false},
		"status line":      {[]dispatchtest.Tuple{{wire.KindAnswer, 0, "404 Not There", none, []byte("")}}, []string{"answer 404 "}, false},
		"whole, goes on":   {[]dispatchtest.Tuple{{wire.KindAnswerOpen, 0, 200, none, []byte("hi")}}, []string{"answer 200 hi"}, true},
		"and ends":         {[]dispatchtest.Tuple{{wire.KindAnswerOpen, 0, 200, none, []byte("hi")}, {wire.KindDone, 0}}, []string{"answer 200 hi"}, false},
		"file":             {[]dispatchtest.Tuple{{wire.KindFile, 0, 200, none, []byte("/f"), 0, -1}, {wire.KindDone, 0}}, []string{"file 200 /f"}, false},
		"stream":           {[]dispatchtest.Tuple{{wire.KindStart, 0, 200, none, []byte("a")}, {wire.KindData, 0, []byte("b")}, {wire.KindEnd, 0}, {wire.KindDone, 0}}, []string{"start 200 a", "data b", "end"}, false},
		"error":            {[]dispatchtest.Tuple{{wire.KindError, 0, "why"}}, []string{"fail application"}, false},
		"error in stream":  {[]dispatchtest.Tuple{{wire.KindStart, 0, 200, none, []byte("a")}, {wire.KindError, 0, "why"}}, []string{"start 200 a", "fail application"}, false},
		"done unanswered":  {[]dispatchtest.Tuple{{wire.KindDone, 0}}, []string{"fail no-answer"}, false},
		"done in stream":   {[]dispatchtest.Tuple{{wire.KindStart, 0, 200, none, []byte("")}, {wire.KindDone, 0}}, []string{"start 200 ", "fail application"}, false},
		"data unannounced": {[]dispatchtest.Tuple{{wire.KindData, 0, []byte("b")}, {wire.KindData, 0, []byte("c")}}, []string{"fail application"}, true},
		"error after end":  {[]dispatchtest.Tuple{{wire.KindStart, 0, 200, none, []byte("a")}, {wire.KindEnd, 0}, {wire.KindError, 0, "why"}}, []string{"start 200 a", "end"}, false},
		"bad header":       {[]dispatchtest.Tuple{{wire.KindAnswer, 0, 200, bad, []byte("hi")}}, []string{"fail application"}, false},
		"bad start":        {[]dispatchtest.Tuple{{wire.KindStart, 0, 200, bad, []byte("a")}, {wire.KindData, 0, []byte("b")}, {wire.KindDone, 0}}, []string{"fail application"}, false},
		"bad status":       {[]dispatchtest.Tuple{{wire.KindAnswer, 0, 7, none, []byte("hi")}}, []string{"fail application"}, false},
	}
	for name, c := range cases {
		for _, codec := range []wire.Codec{wire.Marshal, wire.Msgpack} {
			t.Run(name+"/"+codec.String(), func(t *testing.T) {
				b := setup(t, Options{QueueSize: 8})
				w := b.attachCodec("asgi", 4, codec)
				client := b.submit("GET", "/")
				w.Expect(wire.KindRequest)
				w.Send(c.say...)
				client.expect(c.want...)
				w.roundTrip(b)
				client.expectNothing()
				if open := b.InFlight() == 1; open != c.open {
					t.Errorf("in flight: %t, expected %t", open, c.open)
				}
				w.Die()
			})
		}
	}
}

func TestDisconnect(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("wsgi", 1)
	running, dropped, next := b.submit("GET", "/running"), b.submit("GET", "/dropped"), b.submit("GET", "/next")
	w.Expect(wire.KindRequest)
	dropped.ex.Disconnect()
	if b.Waiting() != 1 {
		t.Errorf("%d wait, expected 1", b.Waiting())
	}
	running.ex.Disconnect()
	running.ex.Disconnect() // a second time says nothing new
	w.Expect(wire.KindDisconnect)
	if b.InFlight() != 1 {
		t.Error("its thread is free before the worker has said so")
	}
	w.Send(dispatchtest.Tuple{wire.KindStart, 0, 200, []dispatchtest.Tuple{}, []byte("a")}, dispatchtest.Tuple{wire.KindData, 0, []byte("b")},
		dispatchtest.Tuple{wire.KindRead, 0, 5}, dispatchtest.Tuple{wire.KindEnd, 0}, dispatchtest.Tuple{wire.KindDone, 0})
	if m := w.Expect(wire.KindRequest); m.Path() != "/next" {
		t.Errorf("got %s, expected /next", m.Path())
	}
	w.Answer(0, "next")
	next.expect("answer 200 next")
	next.ex.Disconnect()
	w.roundTrip(b)
	if !w.Quiet() {
		t.Errorf("got %+v for a request that had its answer", w.Next())
	}
	running.expectNothing()
	dropped.expectNothing()
}

func TestCredit(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("asgi", 4)
	c := b.submit("GET", "/")
	w.Expect(wire.KindRequest)
	w.Send(dispatchtest.Tuple{wire.KindStart, 0, 200, []dispatchtest.Tuple{}, []byte("")})
	c.expect("start 200 ")
	c.ex.Took(wire.Window/4 - 1)
	w.roundTrip(b)
	if !w.Quiet() {
		t.Fatal("credit for less than a quarter of the window")
	}
	c.ex.Took(1)
	if m := w.Expect(wire.KindCredit); m.N != wire.Window/4 {
		t.Errorf("credit of %d, expected %d", m.N, wire.Window/4)
	}
	w.Send(dispatchtest.Tuple{wire.KindEnd, 0})
	c.expect("end")
	c.ex.Took(wire.Window)
	w.roundTrip(b)
	if !w.Quiet() {
		t.Error("credit for an answer that is complete")
	}
	w.Die()
}

func TestSendBodyInPieces(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, wire.MaxPiece, wire.MaxPiece + 1, 3*wire.MaxPiece + 5} {
		t.Run("", func(t *testing.T) {
			b := setup(t, Options{QueueSize: 8})
			w := b.attach("asgi", 4)
			c := b.request("POST", "/")
			c.ex.More = wire.BodyFollows
			b.Submit(c.ex)
			c.expect("wanted 262144 true")
			body := []byte(strings.Repeat("0123456789", size/10+1)[:size])
			c.ex.SendBody(body, 0, true)
			c.ex.SendBody([]byte("!"), int64(size), false)
			if m := w.Expect(wire.KindRequest); m.More != wire.BodyFollows {
				t.Errorf("more is %d, expected %d", m.More, wire.BodyFollows)
			}
			var got []byte
			for more := 1; more == 1; {
				m := w.Expect(wire.KindBody)
				if len(m.Data) > wire.MaxPiece {
					t.Errorf("a piece of %d bytes", len(m.Data))
				}
				got, more = append(got, m.Data...), m.More
			}
			if !bytes.Equal(got, append(body, '!')) {
				t.Errorf("%d bytes arrived of %d", len(got), size+1)
			}
			w.Die()
		})
	}
}

// TestReplayedBody kills the worker in the middle of a body: the next one gets all of it, whatever was on its way.
func TestReplayedBody(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Retry: true})
	w := b.attach("wsgi", 4)
	c := b.request("GET", "/")
	c.ex.More, c.ex.Replayable, c.ex.Length = wire.BodyFollows, true, 9
	b.Submit(c.ex)
	c.expect("wanted 262144 true")
	c.ex.SendBody([]byte("abc"), 0, true)
	w.Expect(wire.KindRequest)
	w.Expect(wire.KindBody)
	w.Die()
	await(t, "the worker's end", w.link.Gone())
	c.ex.SendBody([]byte("def"), 3, true) // meets the queue
	next := b.attach("wsgi", 4)
	c.expect("wanted 262144 true")
	c.ex.SendBody([]byte("def"), 3, true) // meets the next worker, which wants the beginning
	c.ex.SendBody([]byte("abc"), 0, true)
	c.ex.SendBody([]byte("abcdef"), 0, true) // overlaps
	c.ex.SendBody([]byte("ghi"), 6, false)
	next.Expect(wire.KindRequest)
	for _, want := range []string{"abc", "def", "ghi"} {
		if m := next.Expect(wire.KindBody); string(m.Data) != want {
			t.Fatalf("got %q, expected %q", m.Data, want)
		}
	}
	next.Answer(0, "")
	c.expect("answer 200 ")
	c.ex.SendBody([]byte("late"), 9, false)
}

// TestStreamedBodyOfADeadWorker: what was on its way cannot be had again, so the request must not be repeated.
func TestStreamedBodyOfADeadWorker(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Retry: true})
	sent := b.request("GET", "/sent")
	early := b.request("GET", "/early")
	w := b.attach("asgi", 4)
	for _, c := range []*client{sent, early} {
		c.ex.More = wire.BodyFollows
		b.Submit(c.ex)
		c.expect("wanted 262144 true")
		w.Expect(wire.KindRequest)
	}
	sent.ex.SendBody([]byte("abc"), 0, true)
	w.Expect(wire.KindBody)
	w.Die()
	await(t, "the worker's end", w.link.Gone())
	sent.expect("fail worker")
	early.expectNothing()
	early.ex.SendBody([]byte("abc"), 0, true)
	early.expect("fail worker")
	if b.Waiting() != 0 {
		t.Error("it still waits")
	}
}

func TestServing(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	if b.WSGI() || b.Serving().Interface != "" {
		t.Error("before a worker has come up nothing is known")
	}
	early := b.submit("GET", "/early") // encoded when it is known for whom
	w := b.attach("wsgi", 4)
	if !b.WSGI() || b.Serving().Concurrency != 4 {
		t.Errorf("serves %+v", b.Serving())
	}
	m := w.Expect(wire.KindRequest)
	if m.Scope["REQUEST_METHOD"] != "GET" || m.Path() != "/early" {
		t.Errorf("got the environ %v", m.Scope)
	}
	w.Answer(m.Stream, "")
	early.expect("answer 200 ")
}

// TestOtherInterface lets a request move from a WSGI to an ASGI worker, as a reload with another application makes it.
func TestOtherInterface(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Retry: true})
	w := b.attachCodec("wsgi", 1, wire.Msgpack)
	c := b.submit("GET", "/moves")
	w.Expect(wire.KindRequest)
	w.Die()
	next := b.attach("asgi", 1)
	m := next.Expect(wire.KindRequest)
	if m.Scope["method"] != "GET" || m.Path() != "/moves" {
		t.Errorf("got the scope %v", m.Scope)
	}
	next.Answer(m.Stream, "")
	c.expect("answer 200 ")
}

func TestWithoutADispatcher(t *testing.T) {
	t.Parallel()
	var exchanges Exchanges
	ex := exchanges.New()
	ex.SendBody([]byte("x"), 0, false)
	ex.Took(1)
	ex.Disconnect()
	if ex.Waiting() {
		t.Error("waits for a worker, though there is no dispatcher")
	}
	ex.Release()
}

func TestQueue(t *testing.T) {
	t.Parallel()
	var q queue
	all := make([]*Exchange, 100)
	for i := range all {
		all[i] = &Exchange{order: uint64(i)}
	}
	for _, ex := range all[1:] {
		q.push(ex)
	}
	for i := 1; i <= 30; i++ {
		q.pop()
	}
	for i := 30; i >= 0; i-- {
		q.pushFront(all[i])
	}
	q.remove(all[0])
	q.remove(all[50])
	q.remove(all[50])
	q.remove(all[99])
	if q.len != 97 {
		t.Errorf("length %d, expected 97", q.len)
	}
	for i := 1; i < 99; i++ {
		if i == 50 {
			continue
		}
		if ex := q.pop(); ex != all[i] {
			t.Fatalf("popped %v, expected %d", ex, i)
		}
	}
	if q.pop() != nil || q.front() != nil || q.len != 0 {
		t.Error("not empty after all")
	}
}

// TestFileIsAcknowledged: a worker learns that the file it named is open, also when it could not be opened, so that its
// application goes on; one whose client has gone learns that instead.
func TestFileIsAcknowledged(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("asgi", 4)
	file := func(stream int) dispatchtest.Tuple {
		return dispatchtest.Tuple{wire.KindFile, stream, 200, []dispatchtest.Tuple{}, []byte("/f"), 0, -1}
	}
	client := b.submit("GET", "/")
	stream := int(w.Expect(wire.KindRequest).Stream)
	w.Send(file(stream))
	client.expect("file 200 /f")
	if got := w.Expect(wire.KindCredit); int(got.Stream) != stream {
		t.Errorf("credit for stream %d, expected %d", got.Stream, stream)
	}
	w.Send(dispatchtest.Tuple{wire.KindDone, stream})

	client = b.submit("GET", "/left")
	stream = int(w.Expect(wire.KindRequest).Stream)
	client.ex.Disconnect()
	w.Send(file(stream))
	w.Expect(wire.KindDisconnect)
	w.Send(dispatchtest.Tuple{wire.KindDone, stream})
	w.roundTrip(b)
	client.expectNothing()
	w.Die()
}
