package dispatch

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"slices"
	"time"

	"backline/wire"
)

// The clock's turns, and what it tolerates.
const (
	turn          = 25 * time.Millisecond
	stale         = 20 * time.Millisecond  // without a sign of life before fetched-ahead requests are taken back
	suspicious    = 50 * time.Millisecond  // without a sign of life before other workers come first
	cancelGrace   = 5 * time.Second        // for a cancelled task to end before its worker counts as stuck
	lookedAtOnce  = 1000                   // streams of a worker that a turn looks at, the next one at others
	quietTurns    = 40                     // turns without a request after which the clock stops
	notQuickPace  = time.Second            // what a worker's pace becomes when it turns out to be stuck
	laggardFactor = 4                      // times another worker's latency that make a worker a laggard,
	laggardSlack  = time.Millisecond       // and this much more, which is noise
	probeInterval = 250 * time.Millisecond // between the probes,
	probesAtOnce  = 4                      // requests each, that a laggard is given
)

// Run watches the clock while requests are under way: time in the queue, time at a worker, stuck workers. It returns
// when ctx ends.
func (d *Dispatcher) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.tick:
		}
		if err := d.watchWhileBusy(ctx); err != nil {
			return nil //nolint:nilerr // the context ended, which is how Run is asked to
		}
	}
}

// watch starts the clock. The caller holds the lock.
func (d *Dispatcher) watch() {
	if !d.ticking {
		d.ticking = true
		d.now = time.Now()
		d.tick <- struct{}{}
	}
}

// setClock moves the dispatcher's clock.
func (d *Dispatcher) setClock(now time.Time) {
	d.mu.Lock()
	d.now = now
	d.mu.Unlock()
}

// Turns is how often the clock has turned, for a watchdog: asking sets it going, so that the number grows within the
// next second unless something is stuck.
func (d *Dispatcher) Turns() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch()
	return d.turns
}

func (d *Dispatcher) watchWhileBusy(ctx context.Context) error {
	ticker := time.NewTicker(turn)
	defer ticker.Stop()
	for quiet := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-ticker.C:
			d.look(now)
		}
		d.mu.Lock()
		if d.queue.len > 0 || slices.ContainsFunc(d.live, func(w *WorkerConn) bool { return w.inflight > 0 }) {
			quiet = 0
		} else if quiet++; quiet > quietTurns {
			d.ticking = false
			d.mu.Unlock()
			return nil
		}
		d.mu.Unlock()
	}
}

// verdict is something that look found under the lock and that is done without it.
type verdict struct {
	ex      *Exchange
	why     *Failure // nil: the client has gone
	worker  *WorkerConn
	stream  uint32
	elapsed time.Duration
}

// look goes through everything that waits.
func (d *Dispatcher) look(now time.Time) {
	d.mu.Lock()
	d.now = now
	d.turns++
	verdicts := d.lookAtQueue(now, nil)
	var suspects []*WorkerConn
	for _, w := range d.live {
		owes := !w.unheard.IsZero() && now.Sub(w.unheard) > suspicious
		if owes && !w.suspect {
			suspects = append(suspects, w)
		}
		w.suspect = owes
		verdicts = w.lookAtStreams(now, verdicts)
	}
	d.findLaggards(now)
	for _, w := range d.live {
		switch {
		case !slices.ContainsFunc(d.workers, func(other *WorkerConn) bool { return other != w && !other.suspect }):
		case w.inflight > w.concurrency && now.Sub(w.lastSign()) > stale:
			w.takeBack()
		case w.suspect:
			w.takeBackUntouched()
		}
	}
	crowds := d.lookForCrowds(now)
	d.feed()
	d.unlock()
	for _, v := range verdicts {
		d.carryOut(v)
	}
	for _, w := range suspects {
		go w.watchOn()
	}
	for _, c := range crowds {
		go c.log()
	}
}

// findLaggards compares the workers' latencies. One thread in a tight loop makes its worker's other threads wait for
// the interpreter's lock, 5 ms each time: such a worker still answers, but everything it is given takes many times as
// long. It gets a few requests now and then, to see whether it has recovered.
func (d *Dispatcher) findLaggards(now time.Time) {
	best := time.Duration(math.MaxInt64 / laggardFactor / 2)
	for _, w := range d.workers {
		if w.answered > 0 && w.latency < best {
			best = w.latency
		}
	}
	for _, w := range d.workers {
		lags := w.latency > laggardFactor*best+laggardSlack
		if lags && !w.laggard {
			w.probed = now
		}
		w.laggard = lags
		if w.laggard && now.Sub(w.probed) > probeInterval {
			w.probes, w.probed = probesAtOnce, now
		}
		w.answered = 0
	}
}

// lookAtQueue takes out what has waited for too long. It need not be the front: what a worker gave back begins to wait
// anew in front of those that have waited all the time.
func (d *Dispatcher) lookAtQueue(now time.Time, verdicts []verdict) []verdict {
	limit := d.options.QueueTimeout
	late := func(ex *Exchange) bool {
		return limit > 0 && ex.enqueued.Before(now.Add(-limit)) && !ex.patient() || ex.overdueJob(now)
	}
	for ex := d.find(late); ex != nil; ex = d.find(late) {
		d.unqueue(ex)
		ex.state = stateEnded
		verdicts = append(verdicts, verdict{ex: ex, why: FailQueueTime})
	}
	return verdicts
}

// lastSign is when the worker last showed that it works.
func (w *WorkerConn) lastSign() time.Time {
	if w.heard.Before(w.busySince) {
		return w.busySince
	}
	return w.heard
}

// lookAtStreams looks at some streams, so that thousands of WebSockets neither cost 4 % of a broadcast to all of them
// nor have the lock held for a millisecond: 10,000 are looked at four times a second.
func (w *WorkerConn) lookAtStreams(now time.Time, verdicts []verdict) []verdict {
	options := &w.dispatcher.options
	if w.lookedAt >= len(w.streams) {
		w.lookedAt = 0
	}
	first := w.lookedAt
	w.lookedAt = min(first+lookedAtOnce, len(w.streams))
	for i, ex := range w.streams[first:w.lookedAt] {
		if ex == nil {
			continue
		}
		stream := first + i
		elapsed := now.Sub(ex.clock)
		switch {
		case ex.Job != nil:
			if ex.overdueJob(now) && !ex.lost {
				verdicts = append(verdicts, w.giveUpJob(ex, uint32(stream), elapsed))
			}
		case ex.state == stateSent && options.Timeout > 0 && elapsed > options.Timeout && !ex.waitsForBody():
			verdicts = append(verdicts, w.giveUp(ex, FailTimeout, uint32(stream), elapsed))
		case ex.state == stateAnswered && options.StreamTimeout > 0 && elapsed > options.StreamTimeout && ex.unread == 0:
			verdicts = append(verdicts, w.giveUp(ex, FailSilent, uint32(stream), elapsed))
		case ex.state == stateEnded && ex.gone && !w.wsgi && elapsed > options.DisconnectGrace:
			ex.gone = false
			w.pending.Add(wire.KindCancel, ex.stream)
			w.wake()
		case ex.state == stateEnded && ex.gone && w.wsgi && options.Timeout > 0 && elapsed > options.Timeout:
			// Its client has given up, but its thread or greenlet is as stuck as any other.
			ex.gone = false
			verdicts = append(verdicts, w.giveUp(ex, nil, uint32(stream), elapsed))
		case ex.state == stateEnded && ex.lost && w.loop && elapsed > cancelGrace:
			w.replace(RetireStuck)
		}
	}
	return verdicts
}

// waitsForBody tells whether the application may wait for its client, whom the edge watches: while the worker wants
// more body.
func (ex *Exchange) waitsForBody() bool { return !ex.bodyDone && ex.wanted > 0 && ex.Socket == nil }

// giveUp ends an exchange whose application takes too long. A task or greenlet can be cancelled, which carryOut does
// when it has seen where it stands; a thread cannot, so its worker is replaced, and what it has not begun is taken
// back.
func (w *WorkerConn) giveUp(ex *Exchange, why *Failure, stream uint32, elapsed time.Duration) verdict {
	ex.refs.Add(1) // for carryOut; the stream keeps its own
	ex.lost = true
	w.lost++
	if w.loop {
		ex.state, ex.clock = stateEnded, time.Now()
	} else {
		w.abandon(ex, wire.KindCancel)
		w.takeBack()
		w.replace(RetireStuck)
	}
	w.finishDrain()
	return verdict{ex, why, w, stream, elapsed}
}

// giveUpJob ends a job whose time is up, whether anybody waits for it still or not.
func (w *WorkerConn) giveUpJob(ex *Exchange, stream uint32, elapsed time.Duration) verdict {
	v := verdict{ex, nil, w, stream, elapsed}
	if ex.state != stateEnded {
		v.why = FailTimeout
		ex.state = stateEnded
	}
	ex.refs.Add(1) // for carryOut; the stream keeps its own
	ex.lost = true
	w.lost++
	w.dispatcher.workers = remove(w.dispatcher.workers, w) // it is killed soon, whether the job still returns or not
	return v
}

// takeBack returns fetched-ahead requests to the queue: those beyond the ones that the worker can have begun.
func (w *WorkerConn) takeBack() {
	w.pace = notQuickPace
	byOrder := make([]*Exchange, 0, w.inflight)
	for _, ex := range w.streams {
		if ex != nil {
			byOrder = append(byOrder, ex)
		}
	}
	slices.SortFunc(byOrder, func(a, b *Exchange) int { return cmp.Compare(a.order, b.order) })
	var back []*Exchange
	for _, ex := range byOrder[min(w.concurrency, len(byOrder)):] {
		if ex.state != stateSent || !ex.overdue {
			continue
		}
		back = append(back, ex)
	}
	w.recall(back)
}

// takeBackUntouched returns to the queue what an event loop that does not turn has not begun: it would wait for as long
// as whatever occupies the loop. Once, and only what may run twice, because the loop may turn again at this very
// moment.
func (w *WorkerConn) takeBackUntouched() {
	var back []*Exchange
	for _, ex := range w.streams {
		if ex != nil && ex.state == stateSent && ex.More == wire.BodyWhole && w.dispatcher.options.Retry && ex.Safe() &&
			!ex.retried && ex.pinned == nil && w.begun.TakeBack(ex.stream) {
			ex.retried = true
			back = append(back, ex)
		}
	}
	w.recall(back)
}

// recall puts exchanges back into the queue. A tombstone keeps each one's stream number taken until the worker has
// skipped it.
func (w *WorkerConn) recall(back []*Exchange) {
	for _, ex := range back {
		stone := w.dispatcher.stones.New()
		stone.dispatcher, stone.worker, stone.stream, stone.order = w.dispatcher, w, ex.stream, ex.order
		w.streams[ex.stream] = stone
		w.abandon(stone, wire.KindCancel)
		w.recalled++
	}
	w.dispatcher.requeue(back)
}

// carryOut tells the client, then the log.
func (d *Dispatcher) carryOut(v verdict) {
	if v.why != nil {
		v.ex.Client.Fail(v.ex, v.why)
	}
	if v.worker == nil {
		v.ex.Release()
		return
	}
	if v.ex.Job != nil {
		go func() {
			d.logStack(slog.LevelError, "an offloaded function took too long; its process is killed",
				v.worker, []uint32{v.stream}, "function", string(v.ex.Job.Function), "after", v.elapsed.Round(10*time.Millisecond))
			v.worker.retire(RetireTimeout) // though it may drain already: it would not end before the job does
			v.ex.Release()
		}()
		return
	}
	method, target := string(v.ex.Scope.Method), string(v.ex.Scope.Target)
	go func() {
		d.logStack(slog.LevelError, "a request took too long; this is where it is stuck", v.worker, []uint32{v.stream},
			"method", method, "target", target, "after", v.elapsed.Round(10*time.Millisecond))
		v.worker.cancel(v.ex)
		v.ex.Release()
	}()
}

// cancel ends the task or greenlet behind an exchange that was given up, if it still runs.
func (w *WorkerConn) cancel(ex *Exchange) {
	w.dispatcher.mu.Lock()
	defer w.dispatcher.mu.Unlock()
	if w.loop && int(ex.stream) < len(w.streams) && w.streams[ex.stream] == ex {
		w.pending.Add(wire.KindCancel, ex.stream)
		w.wake()
	}
}
