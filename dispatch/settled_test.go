package dispatch

import (
	"testing"
	"time"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// TestSettled: who has given a request up can wait until no worker is busy with it.
func TestSettled(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("wsgi", 1)
	settled := make(chan struct{}, 1)
	running, waiting := b.request("GET", "/running"), b.request("GET", "/waiting")
	running.ex.Settled = settled
	b.Submit(running.ex)
	b.Submit(waiting.ex)
	w.Expect(wire.KindRequest)
	running.ex.Disconnect()
	waiting.ex.Disconnect()
	if !running.ex.Held() || waiting.ex.Held() {
		t.Errorf("held: %v and %v, expected the worker to hold the first alone", running.ex.Held(), waiting.ex.Held())
	}
	w.Expect(wire.KindDisconnect)
	select {
	case <-settled:
		t.Error("settled while the worker is busy with it")
	default:
	}
	w.Send(dispatchtest.Tuple{wire.KindDone, 0})
	select {
	case <-settled:
	case <-time.After(dispatchtest.Patience):
		t.Error("never settled")
	}
	if running.ex.Held() {
		t.Error("settled, and still held")
	}
}
