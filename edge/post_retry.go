package edge

import "sync"

// retries are the POSTs that are made again in a while. They have no timers of their own: Run's clock looks at them, so
// that none is made once Run has ended.
type retries struct {
	mu      sync.Mutex
	waiting []postAgain
}

type postAgain struct {
	posts *posts
	due   int64
}

func (r *retries) add(p *posts, due int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, postAgain{p, due})
}

// take gives those whose time has come. The others keep their order.
func (r *retries) take(now int64) (due []postAgain) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.waiting[:0]
	for _, each := range r.waiting {
		if each.due <= now {
			due = append(due, each)
		} else {
			kept = append(kept, each)
		}
	}
	clear(r.waiting[len(kept):])
	if r.waiting = kept; len(kept) == 0 {
		r.waiting = nil
	}
	return due
}

// resume implements waiter.
func (r postAgain) resume() { r.posts.send() }

// again has POSTs made whose time has come, by those who serve held answers.
func (h *holds) again(r *retries, now int64) {
	for _, each := range r.take(now) {
		h.ready.add(each)
	}
}
