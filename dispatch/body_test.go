package dispatch

import (
	"sync"
	"testing"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// busy has a worker, and a client that is being told that it can take body, until leave is called.
func busy(t *testing.T) (b *bundle, w *attached, c *client, leave func()) {
	t.Helper()
	b = setup(t, Options{QueueSize: 8, Retry: true})
	w = b.attach("wsgi", 4)
	c = b.request("GET", "/")
	c.ex.More, c.ex.Replayable, c.stay = wire.BodyFollows, true, make(chan struct{})
	go b.Submit(c.ex)
	c.expect("wanted 262144 true")
	w.Expect(wire.KindRequest)
	return b, w, c, sync.OnceFunc(func() { close(c.stay) })
}

// TestWantedOneAfterTheOther: a worker asks for more while its client still hands over what was asked for first. Pieces
// of the one would else overtake those of the other.
func TestWantedOneAfterTheOther(t *testing.T) {
	b, w, c, leave := busy(t)
	defer leave()
	w.Send(dispatchtest.Tuple{wire.KindRead, 0, 7}, dispatchtest.Tuple{wire.KindRead, 0, 8})
	w.roundTrip(b)
	c.expectNothing()
	leave()
	c.expect("wanted 15 false")
	w.Send(dispatchtest.Tuple{wire.KindRead, 0, 9})
	c.expect("wanted 9 false")
	w.Answer(0, "")
	c.expect("answer 200 ")
}

// TestWantedByTheNextWorker, while the client still serves the one before: what that one wanted is void.
func TestWantedByTheNextWorker(t *testing.T) {
	b, w, c, leave := busy(t)
	defer leave()
	w.Send(dispatchtest.Tuple{wire.KindRead, 0, 7})
	w.roundTrip(b)
	w.Die()
	await(t, "the worker's end", w.link.Gone())
	next := b.attach("wsgi", 4)
	next.Expect(wire.KindRequest)
	next.Send(dispatchtest.Tuple{wire.KindRead, 0, 5})
	next.roundTrip(b)
	c.expectNothing()
	leave()
	c.expect("wanted 262149 true")
	next.Answer(0, "")
	c.expect("answer 200 ")
}
