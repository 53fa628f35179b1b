package channel

import (
	"maps"
	"slices"
	"sync"
)

// processes are those that are attached.
type processes struct {
	mu   sync.RWMutex
	byID map[string]*attachment
	of   map[Process]*attachment
}

// attachment is one process, from Attach to Detach.
type attachment struct {
	process Process

	mu     sync.Mutex
	gone   bool
	groups map[string]struct{}
}

// Attach implements Layer.
func (h *Hub) Attach(id string, p Process) error {
	h.processes.mu.Lock()
	defer h.processes.mu.Unlock()
	if h.processes.byID[id] != nil || h.processes.of[p] != nil {
		return ErrTaken
	}
	a := &attachment{process: p, groups: map[string]struct{}{}}
	h.processes.byID[id], h.processes.of[p] = a, a
	return nil
}

// Detach implements Layer.
func (h *Hub) Detach(id string) {
	h.processes.mu.Lock()
	a := h.processes.byID[id]
	if a != nil {
		delete(h.processes.byID, id)
		delete(h.processes.of, a.process)
	}
	h.processes.mu.Unlock()
	if a == nil {
		return
	}
	a.mu.Lock()
	a.gone = true
	groups := a.groups
	a.groups = nil
	a.mu.Unlock()
	for name := range groups {
		h.leave(name, a.process)
	}
	for i := range h.queues {
		h.forgetReader(&h.queues[i], a.process)
	}
	h.patterns.forget(a.process)
	h.Gone(a.process)
}

// owner gives the process with an id, or nil.
func (h *Hub) owner(id string) *attachment {
	h.processes.mu.RLock()
	defer h.processes.mu.RUnlock()
	return h.processes.byID[id]
}

func (p *processes) all() []Process {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Collect(maps.Keys(p.of))
}

// hold keeps a member from being detached until release. False: it is a process that is not attached, for which nothing
// may begin, since nothing would end it. The attachment is nil for members of other kinds.
func (h *Hub) hold(m Member) (*attachment, bool) {
	p, isProcess := m.(Process)
	if !isProcess {
		return nil, true
	}
	h.processes.mu.RLock()
	a := h.processes.of[p]
	h.processes.mu.RUnlock()
	if a == nil {
		return nil, false
	}
	a.mu.Lock()
	if a.gone {
		a.mu.Unlock()
		return nil, false
	}
	return a, true
}

func (a *attachment) release() {
	if a != nil {
		a.mu.Unlock()
	}
}
