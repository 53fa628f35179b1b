package channel

import "sync"

var _ Layer = (*Hub)(nil)

// Options are the hub's bounds.
type Options struct {
	// Capacity is how many messages may wait unread in a channel that nobody owns. Default 100.
	Capacity int
}

// DefaultCapacity is how many messages wait in a channel, as in Django Channels.
const DefaultCapacity = 100

// Hub is the layer of one node.
type Hub struct {
	options Options

	mu        sync.Mutex
	processes map[string]Process
	queues    map[string]*queue
	groups    map[string]*group
	sequence  uint64
}

// New makes a hub without channels, groups and processes.
func New(options Options) *Hub {
	if options.Capacity == 0 {
		options.Capacity = DefaultCapacity
	}
	return &Hub{
		options: options, processes: map[string]Process{}, queues: map[string]*queue{}, groups: map[string]*group{},
	}
}

// Attach implements Layer.
func (h *Hub) Attach(id string, p Process) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.processes[id] != nil {
		return ErrTaken
	}
	h.processes[id] = p
	return nil
}

// Detach implements Layer.
func (h *Hub) Detach(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.processes[id]
	delete(h.processes, id)
	for name, q := range h.queues {
		q.forget(p)
		h.tidy(name, q)
	}
	for name, g := range h.groups {
		h.leave(name, g, p)
	}
}
