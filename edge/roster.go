package edge

import "sync"

// roster is who is there now. The zero value is ready.
type roster[T comparable] struct {
	mu    sync.Mutex
	all   map[T]struct{}
	ended bool
	empty chan struct{} // made by end, closed when the last one goes
}

// add tells whether one may come: nobody may after end.
func (r *roster[T]) add(one T) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	if r.all == nil {
		r.all = map[T]struct{}{}
	}
	r.all[one] = struct{}{}
	return true
}

func (r *roster[T]) remove(one T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, one)
	if r.empty != nil && len(r.all) == 0 {
		close(r.empty)
		r.empty = nil
	}
}

// end lets nobody come any more and waits until all have gone.
func (r *roster[T]) end() {
	r.mu.Lock()
	r.ended = true
	if len(r.all) == 0 {
		r.mu.Unlock()
		return
	}
	empty := make(chan struct{})
	r.empty = empty
	r.mu.Unlock()
	<-empty
}

// each calls do without the lock, for those that are there when it begins.
func (r *roster[T]) each(do func(T)) {
	r.mu.Lock()
	all := make([]T, 0, len(r.all))
	for one := range r.all {
		all = append(all, one)
	}
	r.mu.Unlock()
	for _, one := range all {
		do(one)
	}
}
