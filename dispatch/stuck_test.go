package dispatch

import (
	"testing"
	"time"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

func TestLoopThatDoesNotTurn(t *testing.T) { loopThatDoesNotTurn(t, "asgi") }
func TestHubThatDoesNotTurn(t *testing.T)  { loopThatDoesNotTurn(t, "gevent") }

func loopThatDoesNotTurn(t *testing.T, kind string) {
	t.Helper()
	b := setup(t, Options{QueueSize: 8, Retry: true})
	stuck := b.attach(kind, 8)
	begun, waiting, unsafe := b.submit("GET", "/begun"), b.submit("GET", "/waiting"), b.submit("POST", "/unsafe")
	for range 3 {
		stuck.Expect(wire.KindRequest)
	}
	b.Dispatcher.mu.Lock() // for the race detector: a worker is another process
	stuck.marks[wire.BegunSize-1], stuck.marks[0] = 1, 1
	b.Dispatcher.mu.Unlock()
	b.look(later(2 * suspicious))
	waiting.expectNothing() // there is nobody else

	other := b.attach(kind, 8)
	b.look(later(2 * suspicious))
	other.Answer(other.Expect(wire.KindRequest).Stream, "elsewhere")
	waiting.expect("answer 200 elsewhere")
	if taken := stuck.Expect(wire.KindCancel).Stream; taken != 1 || stuck.marks[taken] != 2 {
		t.Fatalf("stream %d was taken back, with the mark %d; expected 1 with 2", taken, stuck.marks[taken])
	}

	stuck.Send(dispatchtest.Tuple{wire.KindDone, 1}) // it turns again, and skips what has its mark
	stuck.Answer(0, "late")
	stuck.Answer(2, "late")
	begun.expect("answer 200 late")
	unsafe.expect("answer 200 late")
	waiting.expectNothing()
}

func TestRetryOffTakesNothingBack(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	stuck := b.attach("asgi", 8)
	client := b.submit("GET", "/")
	stuck.Expect(wire.KindRequest)
	b.Dispatcher.mu.Lock()
	stuck.marks[wire.BegunSize-1] = 1
	b.Dispatcher.mu.Unlock()
	b.attach("asgi", 8)
	b.look(later(2 * suspicious))
	stuck.Answer(0, "late")
	client.expect("answer 200 late")
}

// measured sets what the dispatcher has learned of a worker, as if it had answered since the last turn of the clock.
func (a *attached) measured(b *bundle, latency time.Duration) {
	b.Dispatcher.mu.Lock()
	defer b.Dispatcher.mu.Unlock()
	a.link.latency, a.link.answered = latency, 1
}

func TestLaggardComesLast(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Prefetch: 8})
	slow, quick := b.attach("wsgi", 2), b.attach("wsgi", 2).fast()
	slow.measured(b, 20*time.Millisecond)
	quick.measured(b, time.Millisecond)
	b.look(time.Now())
	var running []dispatchtest.Message
	for range 3 { // the third goes ahead to the quick one, though the slow one has room
		b.submit("GET", "/")
		running = append(running, quick.Expect(wire.KindRequest))
	}
	post := b.submit("POST", "/") // which must not be sent ahead, and rather waits
	if b.Waiting() != 1 {
		t.Errorf("%d requests wait, expected the POST to wait for the quick worker", b.Waiting())
	}
	var answers []dispatchtest.Tuple // in one packet: after the first alone, by the real clock, it might no longer be quick
	for _, m := range running {
		answers = append(answers, dispatchtest.Tuple{wire.KindAnswer, m.Stream, 200, []dispatchtest.Tuple{}, []byte{}})
	}
	quick.Send(answers...)
	quick.Answer(quick.Expect(wire.KindRequest).Stream, "quickly")
	post.expect("answer 200 quickly")
}

func TestLaggardRecovers(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	slow, quick := b.attach("wsgi", 4), b.attach("wsgi", 4)
	slow.measured(b, 8*time.Millisecond)
	for probes := 0; ; probes++ {
		quick.measured(b, time.Millisecond)
		b.look(later(time.Duration(2*probes) * probeInterval))
		quick.measured(b, time.Millisecond)
		b.look(later(time.Duration(2*probes+1) * 2 * probeInterval))
		b.Dispatcher.mu.Lock()
		laggard := slow.link.laggard
		b.Dispatcher.mu.Unlock()
		if !laggard {
			break
		}
		if probes > 20 {
			t.Fatal("quick answers to 20 probes have not mended a laggard's name")
		}
		for range probesAtOnce {
			client := b.submit("GET", "/")
			slow.Answer(slow.Expect(wire.KindRequest).Stream, "quick again")
			client.expect("answer 200 quick again")
		}
		b.submit("GET", "/") // no more for now
		quick.Answer(quick.Expect(wire.KindRequest).Stream, "")
	}
}

func TestEqualWorkersAreNoLaggards(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	first, second := b.attach("wsgi", 2), b.attach("wsgi", 2)
	first.measured(b, 3*time.Millisecond)
	second.measured(b, time.Millisecond)
	b.look(time.Now())
	b.Dispatcher.mu.Lock()
	defer b.Dispatcher.mu.Unlock()
	if first.link.laggard || second.link.laggard {
		t.Error("three times as slow may be chance; expected no laggard")
	}
}
