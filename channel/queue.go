package channel

// queue is a channel that nobody owns: either messages wait in it for readers, or readers for messages.
type queue struct {
	messages []*Message
	readers  []reader // whoever has waited longest first
}

type reader struct {
	process Process
	room    int
}

// Send implements Layer.
func (h *Hub) Send(channel string, m *Message, done func(error)) {
	if id, owned := Owner(channel); owned {
		h.mu.Lock()
		p := h.processes[id]
		h.mu.Unlock()
		if p == nil {
			done(nil)
			return
		}
		p.Take(channel, m, done)
		return
	}
	h.mu.Lock()
	q := h.queues[channel]
	if q == nil {
		q = &queue{}
		h.queues[channel] = q
	}
	if len(q.readers) == 0 {
		full := len(q.messages) >= h.options.Capacity
		if !full {
			q.messages = append(q.messages, m)
		}
		h.mu.Unlock()
		if full {
			done(&FullError{channel, h.options.Capacity})
		} else {
			done(nil)
		}
		return
	}
	turn := q.next()
	h.tidy(channel, q)
	h.mu.Unlock()
	turn.process.Take(channel, m, done)
}

// next gives the reader whose turn it is, with one message less of room.
func (q *queue) next() reader {
	first := q.readers[0]
	q.readers = q.readers[1:]
	if first.room--; first.room > 0 {
		q.readers = append(q.readers, first)
	}
	return first
}

// Read implements Layer.
func (h *Hub) Read(channel string, p Process, n int) {
	h.mu.Lock()
	q := h.queues[channel]
	if q == nil {
		q = &queue{}
		h.queues[channel] = q
	}
	var given []*Message
	if n > 0 {
		count := min(n, len(q.messages))
		given, q.messages = q.messages[:count], q.messages[count:]
	}
	q.add(p, n-len(given))
	h.tidy(channel, q)
	h.mu.Unlock()
	for _, m := range given {
		p.Take(channel, m, func(error) {})
	}
}

// add changes a reader's room.
func (q *queue) add(p Process, n int) {
	for i := range q.readers {
		if q.readers[i].process == p {
			if q.readers[i].room += n; q.readers[i].room <= 0 {
				q.readers = append(q.readers[:i], q.readers[i+1:]...)
			}
			return
		}
	}
	if n > 0 {
		q.readers = append(q.readers, reader{p, n})
	}
}

func (q *queue) forget(p Process) {
	for i := range q.readers {
		if q.readers[i].process == p {
			q.readers = append(q.readers[:i], q.readers[i+1:]...)
			return
		}
	}
}

// GiveBack implements Layer.
func (h *Hub) GiveBack(channel string, m *Message) {
	h.mu.Lock()
	q := h.queues[channel]
	if q == nil {
		q = &queue{}
		h.queues[channel] = q
	}
	if len(q.readers) == 0 {
		q.messages = append([]*Message{m}, q.messages...)
		h.mu.Unlock()
		return
	}
	turn := q.next()
	h.tidy(channel, q)
	h.mu.Unlock()
	turn.process.Take(channel, m, func(error) {})
}

// tidy forgets a channel in which nothing waits. The caller holds the lock.
func (h *Hub) tidy(channel string, q *queue) {
	if len(q.messages) == 0 && len(q.readers) == 0 {
		delete(h.queues, channel)
	}
}
