package dispatch

import (
	"bytes"
	"container/list"
	"time"
)

// Sticky sessions: a protocol such as Socket.IO's long polling is many requests that have to come to one process, which
// names the session in its first answer, {"sid":"..."}, and finds the name in the query of all further ones, ?sid=...
// So the dispatcher reads it there, and no client needs cookies (decision 0021).

// sessions are the workers that own sessions. Guarded by Dispatcher.mu.
type sessions struct {
	byID  map[string]*list.Element
	order list.List // of *session, the one that was used longest ago first
}

type session struct {
	id    string
	owner *WorkerConn
	used  time.Time
}

// nameWithin is how far into an answer a session's name is looked for.
const nameWithin = 256

// owner finds the worker that owns a session; nil where nobody does.
func (s *sessions) owner(id []byte, now time.Time, keep time.Duration) *WorkerConn {
	element := s.byID[string(id)]
	if element == nil {
		return nil
	}
	found, _ := element.Value.(*session)
	if now.Sub(found.used) > keep {
		s.drop(element)
		return nil
	}
	found.used = now
	s.order.MoveToBack(element)
	return found.owner
}

// add notes a new session, in place of the one that was used longest ago when there are too many. A name that has an
// owner keeps it: another worker's answer may contain what somebody else has sent.
func (s *sessions) add(id []byte, owner *WorkerConn, now time.Time, most int) {
	if most <= 0 || s.byID[string(id)] != nil {
		return
	}
	if s.byID == nil {
		s.byID = map[string]*list.Element{}
	}
	if len(s.byID) >= most {
		s.drop(s.order.Front())
	}
	s.byID[string(id)] = s.order.PushBack(&session{string(id), owner, now})
}

// expire drops what nobody has used for so long.
func (s *sessions) expire(then time.Time) {
	for first := s.order.Front(); first != nil; first = s.order.Front() {
		if each, _ := first.Value.(*session); !each.used.Before(then) {
			return
		}
		s.drop(first)
	}
}

// forget drops a worker's sessions: they end with it.
func (s *sessions) forget(owner *WorkerConn) {
	for element := s.order.Front(); element != nil; {
		next := element.Next()
		if each, _ := element.Value.(*session); each.owner == owner {
			s.drop(element)
		}
		element = next
	}
}

func (s *sessions) drop(element *list.Element) {
	if each, _ := s.order.Remove(element).(*session); each != nil {
		delete(s.byID, each.id)
	}
}

// sessionOf finds the session that a query names.
func sessionOf(query []byte, name string) []byte {
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte("&"))
		if len(pair) > len(name)+1 && pair[len(name)] == '=' && string(pair[:len(name)]) == name {
			return pair[len(name)+1:]
		}
	}
	return nil
}

// namedIn finds the session that the beginning of an answer names, as JSON does: "sid":"...".
func namedIn(body []byte, name string) []byte {
	body = body[:min(len(body), nameWithin)]
	for {
		at := bytes.Index(body, []byte(name))
		if at < 0 {
			return nil
		}
		before, after := body[:at], body[at+len(name):]
		body = after
		value, is := bytes.CutPrefix(after, []byte(`":`))
		if !is || !bytes.HasSuffix(before, []byte(`"`)) {
			continue
		}
		value, is = bytes.CutPrefix(bytes.TrimLeft(value, " "), []byte(`"`))
		if end := bytes.IndexByte(value, '"'); is && end > 0 {
			return value[:end]
		}
	}
}

// learn looks whether the answer to a request that belonged to no session has begun one. The caller holds the lock.
func (w *WorkerConn) learn(body []byte) {
	d := w.dispatcher
	if id := namedIn(body, d.options.Sticky); id != nil && !w.draining {
		d.sessions.expire(d.now.Add(-d.options.StickyTime))
		d.sessions.add(id, w, d.now, d.options.StickySize)
	}
}

// pin gives a request to the worker that owns its session, or lets it wait for that one alone. The caller holds the
// lock.
func (w *WorkerConn) pin(ex *Exchange) *Failure {
	d := w.dispatcher
	ex.pinned = w
	switch {
	case w.waiting.len == 0 && w.inflight < w.concurrency:
		w.assign(ex)
	case !d.queue.room(ex, d.pinned, &d.options):
		ex.pinned = nil
		return FailQueueFull
	default:
		ex.state, ex.enqueued = stateQueued, time.Now()
		w.waiting.push(ex)
		d.pinned++
		d.watch()
	}
	return nil
}

// feedPinned gives workers what waits for them alone. The caller holds the lock.
func (d *Dispatcher) feedPinned() {
	for _, w := range d.workers {
		for w.waiting.len > 0 && w.inflight < w.concurrency {
			d.pinned--
			w.assign(w.waiting.pop())
		}
	}
}

// unpin lets all that waited for the worker wait for any: its sessions are gone, and another one's library says so. The
// caller holds the lock.
func (w *WorkerConn) unpin() {
	d := w.dispatcher
	d.sessions.forget(w)
	for ex := w.waiting.pop(); ex != nil; ex = w.waiting.pop() {
		d.pinned--
		ex.pinned = nil
		d.queue.push(ex)
	}
}

// unqueue takes a request that waits out of whichever queue it is in. The caller holds the lock.
func (d *Dispatcher) unqueue(ex *Exchange) {
	if ex.pinned == nil {
		d.queue.remove(ex)
		return
	}
	ex.pinned.waiting.remove(ex)
	d.pinned--
}

// find gives a request that waits, for whichever worker, and is what is looked for; nil when none is.
func (d *Dispatcher) find(is func(*Exchange) bool) *Exchange {
	ex := d.queue.find(is)
	for i := 0; ex == nil && d.pinned > 0 && i < len(d.workers); i++ {
		ex = d.workers[i].waiting.find(is)
	}
	return ex
}
