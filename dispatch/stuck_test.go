package dispatch

import (
	"testing"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

func TestLoopThatDoesNotTurn(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Retry: true})
	stuck := b.attach("asgi", 8)
	begun, waiting, unsafe := b.submit("GET", "/begun"), b.submit("GET", "/waiting"), b.submit("POST", "/unsafe")
	for range 3 {
		stuck.Expect(wire.KindRequest)
	}
	b.Dispatcher.mu.Lock() // for the race detector: a worker is another process
	stuck.marks[wire.BegunSize-1], stuck.marks[0] = 1, 1
	b.Dispatcher.mu.Unlock()
	b.look(later(2 * suspicious))
	waiting.expectNothing() // there is nobody else

	other := b.attach("asgi", 8)
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
