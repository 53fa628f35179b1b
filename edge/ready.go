package edge

import "sync"

// ready is the list of those that have something in their inbox. Whoever publishes only adds to it: writing ten
// thousand answers is done by goroutines of the server's own.
type ready struct {
	mu      sync.Mutex
	waiters []waiter
	signal  chan struct{}
}

// waiter is who goes on.
type waiter interface{ resume() }

func (r *ready) add(w waiter) {
	r.mu.Lock()
	r.waiters = append(r.waiters, w)
	r.mu.Unlock()
	notify(r.signal)
}

// readyBatch is how many one goroutine takes from the list at a time.
const readyBatch = 64

// serve lets those go on who have something in their inbox, until stop is closed.
func (r *ready) serve(stop <-chan struct{}) {
	var batch [readyBatch]waiter
	for {
		n := r.take(batch[:])
		for i, w := range batch[:n] {
			w.resume()
			batch[i] = nil
		}
		if n > 0 {
			continue
		}
		select {
		case <-r.signal:
		case <-stop:
			return
		}
	}
}

func (r *ready) take(into []waiter) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = copy(into, r.waiters)
	clear(r.waiters[:n])
	if r.waiters = r.waiters[n:]; len(r.waiters) == 0 {
		r.waiters = nil
	} else {
		notify(r.signal) // there is work for another goroutine
	}
	return n
}
