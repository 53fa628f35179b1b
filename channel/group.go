package channel

import (
	"maps"
	"slices"
)

// group is who gets what is published to it.
type group struct {
	members  map[Member]struct{}
	channels map[string]struct{} // those that nobody owns
}

// Publish implements Layer.
func (h *Hub) Publish(name string, p *Publication) {
	h.mu.Lock()
	h.sequence++
	p.Position.Sequence = h.sequence
	g := h.groups[name]
	if g == nil {
		h.mu.Unlock()
		return
	}
	members := make([]Member, 0, len(g.members))
	for m := range g.members {
		members = append(members, m)
	}
	channels := make([]string, 0, len(g.channels))
	for c := range g.channels {
		channels = append(channels, c)
	}
	h.mu.Unlock()
	for _, m := range members {
		m.Deliver(name, p)
	}
	for _, c := range channels {
		if p.Message != nil {
			h.Send(c, p.Message, func(error) {})
		}
	}
}

// Join implements Layer.
func (h *Hub) Join(name string, m Member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.group(name).members[m] = struct{}{}
}

// Leave implements Layer.
func (h *Hub) Leave(name string, m Member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[name]; g != nil {
		h.leave(name, g, m)
	}
}

func (h *Hub) leave(name string, g *group, m Member) {
	delete(g.members, m)
	h.tidyGroup(name, g)
}

func (h *Hub) group(name string) *group {
	g := h.groups[name]
	if g == nil {
		g = &group{members: map[Member]struct{}{}, channels: map[string]struct{}{}}
		h.groups[name] = g
	}
	return g
}

func (h *Hub) tidyGroup(name string, g *group) {
	if len(g.members) == 0 && len(g.channels) == 0 {
		delete(h.groups, name)
	}
}

// Enlist implements Layer.
func (h *Hub) Enlist(name, channel string, in bool, done func(error)) {
	id, owned := Owner(channel)
	h.mu.Lock()
	p := h.processes[id]
	if !owned {
		g := h.group(name)
		if in {
			g.channels[channel] = struct{}{}
		} else {
			delete(g.channels, channel)
		}
		h.tidyGroup(name, g)
	}
	h.mu.Unlock()
	if owned && p != nil {
		p.Enlist(name, channel, in, done)
		return
	}
	done(nil)
}

// Flush implements Layer.
func (h *Hub) Flush() {
	for _, p := range h.forget() {
		p.Flushed()
	}
}

// forget gives those who have to forget too.
func (h *Hub) forget() []Process {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, q := range h.queues {
		q.messages = nil
		h.tidy(name, q)
	}
	clear(h.groups)
	return slices.Collect(maps.Values(h.processes))
}
