package supervisor

import "sync"

// inbox carries events to Run. It is a list under a lock instead of a channel because posting must never block: the
// dispatcher posts while it holds its own locks. Its length is bounded by the number of workers and timers.
type inbox struct {
	waiting chan struct{} // holds a token while events is not empty

	mu     sync.Mutex
	events []func()
}

func (b *inbox) post(event func()) {
	b.mu.Lock()
	b.events = append(b.events, event)
	b.mu.Unlock()
	select {
	case b.waiting <- struct{}{}:
	default:
	}
}

func (b *inbox) take() []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.events
	b.events = nil
	return events
}
