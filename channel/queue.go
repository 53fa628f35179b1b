package channel

import (
	"slices"
	"sync"
	"time"
)

// queueShard holds the channels that nobody owns and in which something waits.
type queueShard struct {
	mu     sync.Mutex
	queues map[string]*queue
	spare  *queue // the last that was forgotten: channels in which hardly anything waits come and go with each message
}

// queue is a channel that nobody owns: messages wait in it for readers, or readers for messages.
type queue struct {
	messages deque[*Message]
	earliest int64    // no message expires before
	readers  []reader // whoever has waited longest first

	// Whoever sets passing hands over what fits, without the lock, until nothing does. Others leave it to him, so that
	// messages arrive in their order and no caller waits for a Take.
	passing bool
	sent    deque[handover] // messages for readers that were there when they were sent
}

type reader struct {
	process Process
	room    int
}

// handover is a message for a reader.
type handover struct {
	to   Process
	m    *Message
	done func(error)
}

// messageCost is what a message that waits takes besides its bytes.
const messageCost = 200

func (h *Hub) queueShard(channel string) *queueShard { return &h.queues[h.hash(channel)%shards] }

// Send implements Layer.
func (h *Hub) Send(channel string, m *Message, done func(error)) {
	h.counts.sent.Add(1)
	if id, owned := Owner(channel); owned {
		if owner := h.owner(id); owner != nil {
			owner.process.Take(channel, m, done)
			return
		}
		h.counts.lost.Add(1)
		done(nil)
		return
	}
	if err := h.put(channel, m, done); err != nil {
		h.dropped(dropChannel, channel, 1)
		done(err)
	}
}

// put lets a message wait in a channel, or gives it to a reader. It calls done unless there is an error.
func (h *Hub) put(channel string, m *Message, done func(error)) error {
	s, now := h.queueShard(channel), time.Now()
	s.mu.Lock()
	q := s.open(channel)
	if q.messages.len() == 0 && len(q.readers) > 0 {
		q.sent.push(handover{q.next().process, m, done})
		h.pass(s, channel, q)
		return nil
	}
	capacity := orDefault(m.terms.Capacity, h.options.Capacity)
	if q.messages.len() >= capacity {
		h.expireQueue(q, now)
	}
	var err error
	cost := int64(m.Size() + messageCost)
	switch {
	case q.messages.len() >= capacity:
		err = &FullError{channel, capacity}
	case h.counts.waitingBytes.Load()+cost > h.options.WaitingBytes:
		err = ErrNoRoom
	default:
		h.await(q, m, now)
		q.messages.push(m)
	}
	offered := err == nil && h.patterns.some.Load()
	if offered {
		h.patterns.announce(channel)
	}
	s.tidy(channel, q)
	s.mu.Unlock()
	if err == nil {
		done(nil)
	}
	if offered {
		h.passPatterns()
	}
	return err
}

// await counts a message that begins to wait.
func (h *Hub) await(q *queue, m *Message, now time.Time) {
	if deadline := m.expires(now, h.options.Expiry); q.messages.len() == 0 || deadline < q.earliest {
		q.earliest = deadline
	}
	h.counts.waiting.Add(1)
	h.counts.waitingBytes.Add(int64(m.Size() + messageCost))
}

// waited counts a message that ends to wait.
func (h *Hub) waited(m *Message) {
	h.counts.waiting.Add(-1)
	h.counts.waitingBytes.Add(-int64(m.Size() + messageCost))
}

// expireQueue drops what has waited too long. Messages have terms of their own, so these may stand anywhere.
func (h *Hub) expireQueue(q *queue, now time.Time) {
	at := now.UnixNano()
	if q.messages.len() == 0 || at < q.earliest {
		return
	}
	q.earliest = 1<<63 - 1
	q.messages.keep(func(m **Message) bool {
		deadline := (*m).deadline.Load()
		if deadline <= at {
			h.waited(*m)
			h.counts.expired.Add(1)
			return false
		}
		q.earliest = min(q.earliest, deadline)
		return true
	})
}

// Read implements Layer.
func (h *Hub) Read(channel string, p Process, n int) {
	if IsPattern(channel) {
		h.readPattern(channel, p, n)
		return
	}
	a, attached := h.hold(p)
	if !attached {
		return
	}
	s := h.queueShard(channel)
	s.mu.Lock()
	q := s.open(channel)
	q.readers = room(q.readers, p, n)
	a.release()
	h.pass(s, channel, q)
}

// GiveBack implements Layer.
func (h *Hub) GiveBack(channel string, m *Message) {
	s, now := h.queueShard(channel), time.Now()
	s.mu.Lock()
	q := s.open(channel)
	if m.expires(now, h.options.Expiry) > now.UnixNano() {
		h.await(q, m, now)
		q.messages.pushFront(m)
	} else {
		h.counts.expired.Add(1)
	}
	offered := h.patterns.some.Load() && q.messages.len() > 0
	if offered {
		h.patterns.announce(channel)
	}
	h.pass(s, channel, q)
	if offered {
		h.passPatterns()
	}
}

// pass hands messages over until there are none, or nobody has room. It is called with the shard's lock and gives it
// up.
func (h *Hub) pass(s *queueShard, channel string, q *queue) {
	if q.passing {
		s.mu.Unlock()
		return
	}
	q.passing = true
	for {
		if q.messages.len() > 0 {
			h.expireQueue(q, time.Now())
		}
		var each handover
		switch {
		case q.sent.len() > 0:
			each = q.sent.pop()
		case q.messages.len() > 0 && len(q.readers) > 0:
			m := q.messages.pop()
			h.waited(m)
			each = handover{q.next().process, m, ignore}
		default:
			q.passing = false
			s.tidy(channel, q)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		each.to.Take(channel, each.m, each.done)
		s.mu.Lock()
	}
}

func ignore(error) {}

// turn gives the reader whose turn it is, and the readers with one message less of room for it.
func turn(readers []reader) (reader, []reader) {
	first := readers[0]
	readers = slices.Delete(readers, 0, 1)
	if first.room--; first.room > 0 {
		readers = append(readers, first)
	}
	return first, readers
}

func (q *queue) next() (first reader) {
	first, q.readers = turn(q.readers)
	return first
}

// room changes a reader's.
func room(readers []reader, p Process, n int) []reader {
	i := slices.IndexFunc(readers, func(r reader) bool { return r.process == p })
	switch {
	case i >= 0 && readers[i].room+n > 0:
		readers[i].room += n
	case i >= 0:
		readers = slices.Delete(readers, i, i+1)
	case n > 0:
		readers = append(readers, reader{p, n})
	}
	return readers
}

// forgetReader ends all reading of a process.
func (h *Hub) forgetReader(s *queueShard, p Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel, q := range s.queues {
		q.readers = slices.DeleteFunc(q.readers, func(r reader) bool { return r.process == p })
		s.tidy(channel, q)
	}
}

func (h *Hub) sweepQueues(s *queueShard, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel, q := range s.queues {
		h.expireQueue(q, now)
		s.tidy(channel, q)
	}
}

func (h *Hub) flushQueues(s *queueShard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel, q := range s.queues {
		for q.messages.len() > 0 {
			h.waited(q.messages.pop())
		}
		s.tidy(channel, q)
	}
}

// open gives a channel's queue. The caller holds the lock.
func (s *queueShard) open(channel string) *queue {
	q := s.queues[channel]
	if q == nil {
		if q, s.spare = s.spare, nil; q == nil {
			q = &queue{}
		}
		s.queues[channel] = q
	}
	return q
}

// tidy forgets a channel in which nothing waits. The caller holds the lock.
func (s *queueShard) tidy(channel string, q *queue) {
	if q.messages.len() == 0 && len(q.readers) == 0 && !q.passing {
		delete(s.queues, channel)
		if len(q.messages.buf)+len(q.sent.buf)+cap(q.readers) <= maxSpare {
			s.spare = q
		}
	}
}

// maxSpare is how much room one may have that is kept.
const maxSpare = 64
