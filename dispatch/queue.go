package dispatch

// queue holds the exchanges that wait for a worker: urgent ones, and then first come, first served. It is a ring that
// grows to its limit and stays; a removed exchange leaves a hole that pop skips.
type queue struct {
	ring   []*Exchange
	head   int
	used   int // slots between head and the end, holes included
	len    int // exchanges
	urgent int // of these, the urgent ones
}

// room tells whether ex may wait, besides so many that wait for one worker alone. Neither kind takes the other's room.
func (q *queue) room(ex *Exchange, pinned int, o *Options) bool {
	if ex.Urgent {
		return q.urgent < o.UrgentSize
	}
	return q.len-q.urgent+pinned < o.QueueSize
}

// push lets ex wait. The urgent one that came last goes first: they are few, and whoever asks whether the server is
// well wants to know how it is now.
func (q *queue) push(ex *Exchange) {
	if ex.Urgent {
		q.pushFront(ex)
		return
	}
	q.grow()
	q.ring[(q.head+q.used)%len(q.ring)] = ex
	q.used++
	q.len++
}

// pushFront is also for exchanges that have waited before: a dead or stuck worker gave them back.
func (q *queue) pushFront(ex *Exchange) {
	q.grow()
	q.head = (q.head + len(q.ring) - 1) % len(q.ring)
	q.ring[q.head] = ex
	q.used++
	q.count(ex, 1)
}

// front gives the exchange that has waited longest, nil when none does.
func (q *queue) front() *Exchange {
	for q.used > 0 {
		if ex := q.ring[q.head]; ex != nil {
			return ex
		}
		q.head = (q.head + 1) % len(q.ring)
		q.used--
	}
	return nil
}

func (q *queue) pop() *Exchange {
	ex := q.front()
	if ex != nil {
		q.ring[q.head] = nil
		q.head = (q.head + 1) % len(q.ring)
		q.used--
		q.count(ex, -1)
	}
	return ex
}

func (q *queue) count(ex *Exchange, by int) {
	q.len += by
	if ex.Urgent {
		q.urgent += by
	}
}

// find gives the first exchange of which something is so, nil when there is none.
func (q *queue) find(so func(*Exchange) bool) *Exchange {
	for i := range q.used {
		if ex := q.ring[(q.head+i)%len(q.ring)]; ex != nil && so(ex) {
			return ex
		}
	}
	return nil
}

func (q *queue) remove(ex *Exchange) {
	for i := range q.used {
		at := (q.head + i) % len(q.ring)
		if q.ring[at] == ex {
			q.ring[at] = nil
			q.count(ex, -1)
			return
		}
	}
}

// grow makes space for one more.
func (q *queue) grow() {
	if q.used < len(q.ring) {
		return
	}
	grown := make([]*Exchange, 0, max(16, 2*q.used))
	for i := range q.used {
		if ex := q.ring[(q.head+i)%len(q.ring)]; ex != nil {
			grown = append(grown, ex)
		}
	}
	q.head, q.used = 0, len(grown)
	q.ring = grown[:cap(grown)]
}
