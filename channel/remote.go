package channel

// Offer gives a message to the next reader of a channel that fits, if there is one; otherwise the message stays with
// the caller. A bus between nodes brings messages so to a node that has a reader.
func (h *Hub) Offer(channel string, m *Message, fits func(Process) bool) bool {
	s := h.queueShard(channel)
	s.mu.Lock()
	q := s.queues[channel]
	if q == nil {
		s.mu.Unlock()
		return false
	}
	for i, each := range q.readers {
		if fits(each.process) {
			q.readers = room(q.readers, each.process, -1)
			if i < len(q.readers) && q.readers[i].process == each.process {
				q.readers = append(append(q.readers[:i:i], q.readers[i+1:]...), q.readers[i]) // others come first now
			}
			q.sent.push(handover{each.process, m, ignore})
			h.pass(s, channel, q)
			return true
		}
	}
	s.mu.Unlock()
	return false
}

// Break says that a group missed publications which nobody has any more: what it remembers has a hole, so that
// positions before it are of another life.
func (h *Hub) Break(name string) {
	g := h.find(name)
	if g == nil {
		return
	}
	defer g.mu.Unlock()
	r := g.ring
	if r == nil {
		return
	}
	if r.public {
		h.renew(g)
	}
	h.clear(r)
	r.begun.floor = h.sequence.Add(1)
	for _, l := range r.lanes {
		if l != nil {
			l.floor = r.begun.floor
		}
	}
}
