package dispatch

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"backline/wire"
)

// Stalls counts the episodes in which a worker could not go on with what waited for it.
type Stalls struct {
	Loop uint64 // its event loop did not turn
	Busy uint64 // all that it runs at once was under way, and requests waited
}

// Stalls counts those of all workers that there have been.
func (d *Dispatcher) Stalls() Stalls {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stalls
}

// stacksOfCrowd is how many of a worker's requests have their stacks logged: of hundreds, the oldest tell enough.
const stacksOfCrowd = 32

// told is called, on the goroutine that reads the control connection, with what a worker tells by itself: its loop does
// not turn, or work that its loop has given to threads waits.
func (w *WorkerConn) told(kind wire.Kind, number uint32, elapsed time.Duration, stack string) {
	if kind == wire.KindCrowd {
		w.dispatcher.mu.Lock()
		w.stalls.Busy++
		w.dispatcher.stalls.Busy++
		w.dispatcher.mu.Unlock()
		w.logStall("synchronous calls wait, because all threads for them are busy; this is with what", stack,
			"waiting", number, "for", elapsed.Round(10*time.Millisecond))
		return
	}
	w.stalled(number, elapsed, stack)
}

// stalled counts and logs that the worker's loop does not turn, and whose request holds it where that is known.
func (w *WorkerConn) stalled(stream uint32, elapsed time.Duration, stack string) {
	d := w.dispatcher
	args := []any{"for", elapsed.Round(time.Millisecond)}
	d.mu.Lock()
	w.stalls.Loop++
	d.stalls.Loop++
	if int64(stream) < int64(len(w.streams)) && w.streams[stream] != nil {
		ex := w.streams[stream]
		args = append(args, "method", string(ex.Scope.Method), "target", string(ex.Scope.Target))
	}
	d.mu.Unlock()
	w.logStall("the event loop does not turn; this is what holds it", stack, args...)
}

// logStall logs a stall, unless its stack has been logged a moment ago.
func (w *WorkerConn) logStall(text, stack string, args ...any) {
	d := w.dispatcher
	d.mu.Lock()
	before, silent := d.muted.note(stack, time.Now())
	d.mu.Unlock()
	if silent {
		return
	}
	args = append(args, "worker", w.Name)
	if before > 0 {
		args = append(args, "not_logged", before)
	}
	d.log.Log(nil, slog.LevelWarn, text, append(args, "stack", stack)...) //nolint:staticcheck // no context to pass
}

// crowd is a worker that has been found to be busy with everything it runs at once while requests wait.
type crowd struct {
	worker  *WorkerConn
	streams []uint32 // the oldest
	running int
	waiting int
	oldest  time.Duration // that the first of them has waited
}

// lookForCrowds finds workers that have just become crowded. An episode ends when no request waits any more, so that a
// pool under steady overload is logged once.
func (d *Dispatcher) lookForCrowds(now time.Time) (found []crowd) {
	limit := d.options.BusyStall
	if limit <= 0 {
		return nil
	}
	var waited time.Duration
	late := func(ex *Exchange) bool { return now.Sub(ex.enqueued) >= limit }
	if first := d.queue.find(late); first != nil {
		waited = now.Sub(first.enqueued)
	}
	for _, w := range d.live {
		ahead := max(0, w.inflight-w.concurrency) // sent ahead, and waiting at the worker
		if d.queue.len == 0 && ahead == 0 && w.waiting.len == 0 {
			w.crowded = false
		}
		oldest := waited
		if ahead > 0 {
			oldest = max(oldest, now.Sub(w.lastSign()))
		}
		if first := w.waiting.find(late); first != nil {
			oldest = max(oldest, now.Sub(first.enqueued))
		}
		if w.crowded || w.inflight < w.concurrency || oldest < limit {
			continue
		}
		w.crowded = true
		w.stalls.Busy++
		d.stalls.Busy++
		waiting := d.queue.len + w.waiting.len + ahead
		found = append(found, crowd{w, w.oldest(stacksOfCrowd), w.inflight - ahead, waiting, oldest})
	}
	return found
}

// oldest gives the streams of the requests that a worker has had for longest.
func (w *WorkerConn) oldest(atMost int) []uint32 {
	held := make([]*Exchange, 0, w.inflight)
	for _, ex := range w.streams {
		if ex != nil && !ex.parked {
			held = append(held, ex)
		}
	}
	slices.SortFunc(held, func(a, b *Exchange) int { return cmp.Compare(a.order, b.order) })
	streams := make([]uint32, 0, atMost)
	for _, ex := range held[:min(len(held), atMost, w.concurrency)] {
		streams = append(streams, ex.stream)
	}
	return streams
}

// log asks what the worker is busy with and says so.
func (c crowd) log() {
	c.worker.logStall("requests wait, because all that the worker runs at once is busy; this is with what",
		c.worker.Stacks(c.streams, stackPatience),
		"running", c.running, "waiting", c.waiting, "for", c.oldest.Round(10*time.Millisecond))
}

// muted keeps a stack that stalls again and again from filling the log: it is logged once a minute, with how often it
// was not.
type muted struct {
	stacks map[string]*mute
}

type mute struct {
	until time.Time
	times int
}

// The bounds of muted.
const (
	muteFor    = time.Minute
	mutedStack = 64 // stacks; with more of them the log says more
)

// note tells whether a stack need not be logged now; otherwise how often it was not since it last was.
func (m *muted) note(stack string, now time.Time) (before int, silent bool) {
	known := m.stacks[stack]
	if known != nil && now.Before(known.until) {
		known.times++
		return 0, true
	}
	if known == nil {
		if m.stacks == nil || len(m.stacks) >= mutedStack {
			m.stacks = map[string]*mute{}
		}
		known = &mute{}
		m.stacks[stack] = known
	}
	before, known.times, known.until = known.times, 0, now.Add(muteFor)
	return before, false
}

// watchOn asks the worker to look at its loop, which owes a sign of life: it may have been blocked by something that no
// request told its watch of.
func (w *WorkerConn) watchOn() {
	w.control.send(func(b *wire.Batch) { b.Add(wire.KindWatch, 0) })
}
