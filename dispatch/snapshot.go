package dispatch

import (
	"cmp"
	"slices"
	"time"
)

// Snapshot is what a dispatcher does at one moment, for people. It is a copy: nothing in it changes.
type Snapshot struct {
	Workers []WorkerSnapshot
	Waiting int           // requests in the queue
	Oldest  time.Duration // that one of them has waited
	Queue   []RequestSnapshot
}

// WorkerSnapshot is one worker whose connection is open.
type WorkerSnapshot struct {
	Name        string
	Loop        string
	WSGI        bool
	Events      bool // it is called with events of WebSockets, which are not its own
	Concurrency int
	Served      uint64 // requests that it is done with
	InFlight    int
	Sockets     int
	Stalls      Stalls
	Requests    []RequestSnapshot // the oldest first
}

// RequestSnapshot is one request.
type RequestSnapshot struct {
	Stream         uint32
	Method, Target string
	State          string
	Age            time.Duration // since the client's part was done: uploads are not counted
}

// longestTarget is how much of a request's target a snapshot keeps.
const longestTarget = 500

// Snapshot copies what there is, with at most so many requests of each worker and of the queue: it is done under the
// lock, 50 ns a request.
func (d *Dispatcher) Snapshot(atMost int) Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	all := Snapshot{Waiting: d.queue.len + d.pinned}
	d.find(func(ex *Exchange) bool {
		all.Oldest = max(all.Oldest, now.Sub(ex.enqueued))
		if len(all.Queue) < atMost {
			all.Queue = append(all.Queue, ex.snapshot(now))
		}
		return false
	})
	for _, w := range d.live {
		all.Workers = append(all.Workers, w.snapshot(now, atMost))
	}
	return all
}

func (w *WorkerConn) snapshot(now time.Time, atMost int) WorkerSnapshot {
	one := WorkerSnapshot{
		Name: w.Name, Loop: w.loopName, WSGI: w.wsgi, Events: w.form == formEvents,
		Concurrency: w.concurrency, InFlight: w.inflight,
		Sockets: w.sockets, Stalls: w.stalls,
	}
	held := make([]*Exchange, 0, w.inflight+w.sockets)
	taken := w.recalled
	for _, ex := range w.streams {
		switch {
		case ex == nil:
		case len(ex.Scope.Method) == 0: // a tombstone, for which recalled counts until the worker has skipped it
			taken--
		default:
			held = append(held, ex)
		}
	}
	one.Served = w.order - taken - uint64(w.inflight) - uint64(w.sockets)
	slices.SortFunc(held, func(a, b *Exchange) int { return cmp.Compare(a.order, b.order) })
	for _, ex := range held[:min(atMost, len(held))] {
		one.Requests = append(one.Requests, ex.snapshot(now))
	}
	return one
}

func (ex *Exchange) snapshot(now time.Time) RequestSnapshot {
	target, since := ex.Scope.Target, ex.sent
	if ex.state == stateQueued {
		since = ex.enqueued
	}
	return RequestSnapshot{
		Stream: ex.stream, Method: string(ex.Scope.Method), Target: string(target[:min(len(target), longestTarget)]),
		State: ex.state.String(), Age: ex.Queued + now.Sub(since),
	}
}

// String is the state as people are told it.
func (s state) String() string {
	switch s {
	case stateSent:
		return "running"
	case stateAnswered:
		return "answering"
	case stateOpen:
		return "websocket"
	case stateEnded:
		return "ending"
	default:
		return "waiting"
	}
}
