package edge

import (
	"context"
	"runtime"
	"sync"
)

// courier writes to the sockets for which something has been published. It is not the one who publishes, who may be the
// reader of a worker's connection, nor a watcher, for whom other clients wait. There are as many as watchers.
type courier struct {
	mu      sync.Mutex
	waiting []*conn // those with something to send whose socket may take it; each is visited once for all of it
	spare   []*conn
	woken   chan struct{}
}

func newCourier() *courier { return &courier{woken: make(chan struct{}, 1)} }

// courierTurn is after how many sockets, some 4 us each, the courier lets others go first that wait for a processor.
const courierTurn = 16

// take is called under the connection's lock.
func (k *courier) take(c *conn) {
	k.mu.Lock()
	first := len(k.waiting) == 0
	k.waiting = append(k.waiting, c)
	k.mu.Unlock()
	if first {
		notify(k.woken)
	}
}

// next gives those that wait, and takes back the slice that it gave before.
func (k *courier) next() []*conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	batch := k.waiting
	k.waiting, k.spare = k.spare[:0], batch
	return batch
}

func (k *courier) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.woken:
		}
		batch := k.next()
		for i, c := range batch {
			batch[i] = nil
			c.carry()
			if i%courierTurn == courierTurn-1 {
				runtime.Gosched()
			}
		}
	}
}

// courierFor gives the courier of a connection.
func (s *Server) courierFor(c *conn) *courier { return s.couriers[c.fd%len(s.couriers)] }
