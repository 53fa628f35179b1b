package edge

import (
	"container/list"
	"sync"
	"time"
)

// Filters are the bounds of filters that ask the application about each publication (GRIP's http-check, http-modify).
type Filters struct {
	// Requests is how many may be asked at a time, of all listeners together; further ones wait. Default 100.
	Requests int
	// Timeout is how long an answer may take; then the publication is left out for that listener. Default 10 s.
	Timeout time.Duration
	// Reply is how many bytes an answer may have that takes a publication's place. Default 100,000.
	Reply int
}

func (o *Filters) setDefaults() {
	setDefault(&o.Requests, 100)
	setDefault(&o.Timeout, 10*time.Second)
	setDefault(&o.Reply, 100_000)
}

// filters are the questions of all listeners of a server. A listener has one at a time, so that those that wait are no
// more than listeners.
type filters struct {
	// mu is held together with no lock but a question's, which is taken under it.
	mu      sync.Mutex
	asked   map[*question]struct{} // those whose turn has come
	waiting list.List              // of *question
	failed  notice
}

// take has a question asked when there is room, by those who serve held answers. It may be called with a connection's
// lock held.
func (f *filters) take(q *question) {
	f.mu.Lock()
	if f.asked == nil {
		f.asked = map[*question]struct{}{}
	}
	turn := len(f.asked) < q.server.holds.Filters.Requests
	if turn {
		f.asked[q] = struct{}{}
	} else {
		q.place = f.waiting.PushBack(q)
	}
	f.mu.Unlock()
	if turn {
		q.server.holds.ready.add(q)
	}
}

// done makes room for the next one.
func (f *filters) done(q *question) {
	f.mu.Lock()
	delete(f.asked, q)
	first := f.waiting.Front()
	if first == nil {
		f.mu.Unlock()
		return
	}
	next := f.waiting.Remove(first).(*question) //nolint:forcetypeassert // nothing else is in that list
	next.place = nil
	f.asked[next] = struct{}{}
	f.mu.Unlock()
	next.server.holds.ready.add(next)
}

// forget takes one out whose listener has gone, if it has not had its turn. It may be called with a connection's lock
// held.
func (f *filters) forget(q *question) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if q.place != nil {
		f.waiting.Remove(q.place)
		q.place = nil
	}
}

// expire ends those that nobody has answered in time.
func (f *filters) expire(now int64, patience time.Duration) {
	var late []*question
	f.mu.Lock()
	for q := range f.asked {
		if q.late(now, patience) {
			late = append(late, q)
		}
	}
	f.mu.Unlock()
	for _, q := range late {
		q.giveUp()
	}
}
