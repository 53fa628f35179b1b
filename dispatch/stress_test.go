package dispatch

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// TestStress has clients that leave, workers that answer in every way, are slow, or die, and a supervisor that replaces
// them. Every client hears of exactly one end, unless it left; and setup finds no exchange that somebody still holds.
func TestStress(t *testing.T) {
	b := setup(t, Options{
		QueueSize: 64, QueueTimeout: 2 * time.Second, Timeout: 100 * time.Millisecond, DisconnectGrace: 20 * time.Millisecond,
		Retry: true, Prefetch: 8, MaxRequests: 50, MaxRequestsJitter: 20,
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running, workers sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx) })
	for i := range 3 {
		workers.Go(func() {
			for ctx.Err() == nil {
				b.workUntilReplaced(ctx, []string{"wsgi", "asgi"}[i%2], wire.Codec(i%2))
			}
		})
	}
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for i := range 150 {
				b.ask([]string{"GET", "POST", "OPTIONS"}[i%3])
			}
		})
	}
	clients.Wait()
	cancel()
	workers.Wait()
	running.Wait()
}

// ask makes one request and sees that it ends once.
func (b *bundle) ask(method string) {
	c := b.request(method, "/")
	c.ex.More = rand.IntN(3)
	b.Submit(c.ex)
	leaves := rand.IntN(4) == 0
	ends := 0
	for ends == 0 {
		if leaves && rand.IntN(2) == 0 {
			c.ex.Disconnect()
			return
		}
		select {
		case e := <-c.events:
			if strings.HasPrefix(e, "wanted") {
				c.ex.SendBody([]byte("bo"), 0, true)
				c.ex.SendBody([]byte("dy"), 2, false)
			}
			if strings.HasPrefix(e, "start 200") {
				c.ex.Took(wire.Window)
			}
			if e == "end" || strings.HasPrefix(e, "answer") || strings.HasPrefix(e, "fail") {
				ends++
			}
		case <-time.After(dispatchtest.Patience):
			b.t.Error("a request without an end")
			return
		}
	}
	select {
	case e := <-c.events:
		if !strings.HasPrefix(e, "wanted") {
			b.t.Errorf("%q after the end", e)
		}
	default:
	}
}

// workUntilReplaced attaches a worker that answers at random until it is to be replaced or dies.
func (b *bundle) workUntilReplaced(ctx context.Context, kind string, codec wire.Codec) {
	worker, conn, control := dispatchtest.New(b.t, codec)
	retired := make(chan Retirement, 1)
	up := wire.Up{Interface: kind, Concurrency: 4}
	link := b.Attach("web", wire.Hello{Codec: codec}, up, conn, control, nil, func(why Retirement) { retired <- why })
	open := map[uint32]bool{}
	defer func() {
		worker.Die()
		link.Close()
		<-link.Gone()
	}()
	for {
		select {
		case m := <-worker.Messages():
			switch m.Kind {
			case wire.KindRequest:
				open[m.Stream] = true
				if !react(worker, m.Stream, open) {
					return
				}
			case wire.KindCancel:
				if open[m.Stream] {
					worker.Send(dispatchtest.Tuple{wire.KindDone, m.Stream})
					delete(open, m.Stream)
				}
			case wire.KindStop:
				return
			}
		case <-retired:
			link.Drain()
		case <-ctx.Done():
			return
		}
	}
}

// react answers one request somehow; false when the worker dies of it.
func react(w *dispatchtest.Worker, stream uint32, open map[uint32]bool) bool {
	start := dispatchtest.Tuple{wire.KindStart, stream, 200, []dispatchtest.Tuple{}, []byte("first")}
	done := dispatchtest.Tuple{wire.KindDone, stream}
	switch rand.IntN(40) {
	case 0:
		return false
	case 1:
		w.Send(start)
		return false
	case 2:
		return true // until it is cancelled
	case 3, 4, 5:
		w.Send(dispatchtest.Tuple{wire.KindRead, stream, 1000}, start, dispatchtest.Tuple{wire.KindData, stream, []byte("x")})
		w.Send(dispatchtest.Tuple{wire.KindEnd, stream}, done)
	case 6:
		w.Send(dispatchtest.Tuple{wire.KindError, stream, "why"})
	case 7:
		w.Send(dispatchtest.Tuple{wire.KindHint, stream, []dispatchtest.Tuple{{"link", "a"}}}, start, done)
	default:
		w.Answer(stream, "hello")
	}
	delete(open, stream)
	return true
}
