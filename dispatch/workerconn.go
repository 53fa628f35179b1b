package dispatch

import (
	"cmp"
	"net"
	"slices"
	"sync"
	"time"

	"backline/wire"
)

// Retirement is why the dispatcher wants a worker replaced.
type Retirement string

// The reasons.
const (
	RetireMaxRequests Retirement = "max-requests"
	RetireStuck       Retirement = "stuck"
	RetireProtocol    Retirement = "protocol"
	// RetireTimeout is for a worker that runs a job for too long: it is to be killed.
	RetireTimeout Retirement = "timeout"
)

// WorkerConn is the connection to one worker process.
type WorkerConn struct {
	Name string
	PID  int

	dispatcher  *Dispatcher
	conn        net.Conn
	control     *control
	begun       *wire.Begun // says of each stream whether the application has seen it; outlives the worker
	codec       wire.Codec
	form        form
	wsgi        bool   // form is that
	loop        bool   // it has an event loop, which owes signs of life and ends a request that is cancelled
	loopName    string // how the worker waits, as it says itself
	concurrency int
	retire      func(Retirement)
	calm        chan struct{} // closed when it drains and has nothing but sockets left
	idle        chan struct{} // closed when it drains and has nothing left
	gone        chan struct{} // closed when the connection has ended and its requests are dealt with
	wrote       chan struct{} // closed when the writer has ended

	// Only the goroutine that reads the control connection knows these.
	session Session // nil before the worker's first message about channels
	broke   bool    // the protocol, in its session

	// Guarded by Dispatcher.mu.
	ready     *sync.Cond
	pending   wire.Batch // what the next packet will carry
	writing   wire.Batch // the packet under way; only the writer touches it
	packet    uint64     // number of the packet that pending becomes
	written   uint64     // number of the last packet that went out whole, 0 for none
	order     uint64     // counts requests, to know which came first
	recalled  uint64     // of these, those that were taken back
	stalls    Stalls
	streams   []*Exchange
	lookedAt  int // up to which of them the last turn has looked
	free      []uint32
	waiting   queue // requests of its sessions that wait for it
	inflight  int
	sockets   int // accepted WebSockets, which are not in flight
	lost      int // of these, requests that were given up: their threads may never come back
	rest      int // requests until it is to be replaced, -1 for never
	draining  bool
	calmed    bool // calm is closed
	stopped   bool // KindStop is sent
	closed    bool
	retired   bool
	suspect   bool          // it owes a sign of life
	crowded   bool          // it is counted in stalls.Busy, and requests still wait
	heard     time.Time     // when the last packet came from it
	unheard   time.Time     // when the oldest packet went out since, zero when it owes nothing
	busySince time.Time     // when it last went from idle to busy
	pace      time.Duration // time per request while busy, smoothed
	latency   time.Duration // from sending a request to the beginning of its answer, smoothed
	answered  int           // requests since the clock's last turn
	laggard   bool          // its answers take much longer than another worker's
	probed    time.Time     // when the laggard was last given requests to see whether that is still so
	probes    int           // of these, those that it is still to be given
}

// assign puts ex into the worker's next packet. The caller holds the lock.
func (w *WorkerConn) assign(ex *Exchange) {
	d := w.dispatcher
	ex.encode(w.codec, w.form, &d.options.Defaults)
	d.watch()
	if ex.state == stateQueued {
		ex.Queued += time.Since(ex.enqueued)
	}
	if w.inflight == 0 {
		w.busySince = time.Now()
	}
	w.order++
	ex.worker, ex.WorkerName, ex.WorkerPID = w, w.Name, w.PID
	ex.state, ex.clock, ex.sent = stateSent, d.now, time.Now()
	w.probes = max(0, w.probes-1)
	ex.packet, ex.order, ex.overdue = w.packet, w.order, w.inflight >= w.concurrency
	ex.stream = w.open(ex)
	w.begun.Clear(ex.stream)
	w.pending.AddRequest(ex.encoded, ex.stream)
	w.wake()
	ex.bodyAt, ex.bodyDone, ex.wanted, ex.taking = 0, false, 0, false
	if ex.More == wire.BodyFollows {
		ex.wanted = wire.Window
		d.openBody(ex)
	}
	if w.rest > 0 {
		if w.rest--; w.rest == 0 {
			w.replace(RetireMaxRequests)
		}
	}
}

// open gives ex a stream number.
func (w *WorkerConn) open(ex *Exchange) uint32 {
	w.inflight++
	if n := len(w.free); n > 0 {
		stream := w.free[n-1]
		w.free = w.free[:n-1]
		w.streams[stream] = ex
		return stream
	}
	w.streams = append(w.streams, ex)
	return uint32(len(w.streams) - 1)
}

// close frees a stream's number: the worker is done with it.
func (w *WorkerConn) close(stream uint32) {
	if ex := w.streams[stream]; ex.lost {
		w.lost--
	}
	w.unpark(w.streams[stream])
	w.streams[stream] = nil
	w.free = append(w.free, stream)
	w.inflight--
	w.finishDrain()
}

// replace asks for another worker in this one's place, once, and keeps further requests away from it as soon as the
// supervisor drains it. The supervisor is not called under the lock.
func (w *WorkerConn) replace(why Retirement) {
	if !w.retired && !w.closed {
		w.retired = true
		go w.retire(why)
	}
}

// abandon tells the worker that nobody waits for ex any more. Its stream stays taken until the worker is done with it.
func (w *WorkerConn) abandon(ex *Exchange, kind wire.Kind) {
	ex.state, ex.clock = stateEnded, time.Now()
	w.pending.Add(kind, ex.stream)
	w.wake()
}

// before orders workers for pick: those that answer before those that owe a sign of life, then those that answer as
// fast as others do, then by requests in flight.
func (w *WorkerConn) before(other *WorkerConn) bool {
	if w.suspect != other.suspect {
		return other.suspect
	}
	if w.avoided() != other.avoided() {
		return other.avoided()
	}
	if w.inflight != other.inflight {
		return w.inflight < other.inflight
	}
	return w.sockets < other.sockets
}

// avoided tells whether requests rather go to other workers because this one is slow.
func (w *WorkerConn) avoided() bool { return w.laggard && w.probes == 0 }

// wake tells the writer that there is something to write. Nothing but a load when it does not wait.
func (w *WorkerConn) wake() { w.ready.Signal() }

// writeLoop sends what is pending, one packet at a time. While a write is under way the next packet fills.
func (w *WorkerConn) writeLoop() {
	defer close(w.wrote)
	d := w.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		for w.pending.Len() == 0 && !w.closed {
			w.ready.Wait()
		}
		if w.closed {
			return
		}
		w.pending, w.writing = w.writing, w.pending
		number := w.packet
		w.packet++
		if w.unheard.IsZero() && w.loop {
			w.unheard = time.Now()
		}
		d.mu.Unlock()
		_, err := w.conn.Write(w.writing.Packet())
		w.writing.Reset(w.codec)
		d.mu.Lock()
		if err != nil {
			return // the reader learns of it too, after it has read what the worker still sent
		}
		w.written = number
	}
}

// Drain keeps new requests away; Idle closes when the last one has ended.
func (w *WorkerConn) Drain() {
	d := w.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	w.draining = true
	d.workers = remove(d.workers, w)
	w.unpin()
	w.finishDrain()
}

// Idle is closed when a draining worker has no request left, or has gone.
func (w *WorkerConn) Idle() <-chan struct{} { return w.idle }

// Gone is closed when the connection has ended and its requests are dealt with.
func (w *WorkerConn) Gone() <-chan struct{} { return w.gone }

// finishDrain sends the worker its stop when it drains and only lost requests are left.
func (w *WorkerConn) finishDrain() {
	if !w.draining || w.inflight != w.lost {
		return
	}
	if !w.calmed {
		w.calmed = true
		close(w.calm)
	}
	if !w.stopped && w.sockets == 0 {
		w.stopped = true
		w.pending.Add(wire.KindStop, 0)
		w.wake()
		close(w.idle)
	}
}

// Close ends the connection, for a worker whose process has gone. The reader first takes what the worker had sent.
func (w *WorkerConn) Close() {
	_ = w.conn.SetReadDeadline(time.Now().Add(time.Second))
	_ = w.control.conn.Close()
}

// down deals with the requests of a worker whose connection has ended.
func (w *WorkerConn) down() {
	d := w.dispatcher
	_ = w.conn.Close()
	d.mu.Lock()
	w.closed = true
	w.ready.Broadcast()
	d.workers = remove(d.workers, w)
	d.live = remove(d.live, w)
	w.unpin()
	d.mu.Unlock()
	<-w.wrote // only now is it known what went out
	d.mu.Lock()
	failed := w.orphans()
	w.streams, w.inflight, w.sockets, w.lost = nil, 0, 0, 0
	if !w.calmed {
		w.calmed = true
		close(w.calm)
	}
	if !w.stopped {
		w.stopped = true
		close(w.idle)
	}
	var refused []*Exchange
	if d.stopping {
		refused = d.takeQueue() // what this worker gave back: no other one will come
	}
	d.feed()
	d.unlock()
	failAll(failed, FailWorker)
	failAll(refused, FailStopping)
	close(w.gone)
}

// orphans puts what may be repeated back into the queue and gives the rest, which must fail.
func (w *WorkerConn) orphans() []*Exchange {
	var failed, again []*Exchange
	for _, ex := range w.streams {
		switch {
		case ex == nil:
		case ex.state == stateEnded:
			ex.worker = nil
			ex.Release()
		case w.mayRepeat(ex):
			ex.retried = ex.retried || !w.unseen(ex)
			again = append(again, ex)
		default:
			ex.worker, ex.state = nil, stateEnded
			failed = append(failed, ex)
		}
	}
	w.dispatcher.requeue(again)
	return failed
}

// mayRepeat tells whether ex can go to another worker: no application has seen it, or it does no harm that one has.
func (w *WorkerConn) mayRepeat(ex *Exchange) bool {
	switch {
	case ex.state != stateSent || ex.bodySent && !ex.Replayable:
		return false
	case w.unseen(ex):
		return true
	case ex.Event != nil:
		return w.dispatcher.repeats(ex)
	default:
		return w.dispatcher.options.Retry && ex.Safe() && !ex.retried
	}
}

// unseen tells whether the worker, which is dead, has not called the application with ex. A packet that did not go out
// whole was not seen, marks or not: the worker decodes whole packets only.
func (w *WorkerConn) unseen(ex *Exchange) bool {
	return ex.packet > w.written || w.begun.Untouched(ex.stream)
}

// requeue puts exchanges that a worker gave back in front of the queue, the oldest first. They are there even when the
// queue is full: they have been accepted.
func (d *Dispatcher) requeue(again []*Exchange) {
	slices.SortFunc(again, func(a, b *Exchange) int { return cmp.Compare(b.order, a.order) })
	now := time.Now()
	for _, ex := range again {
		ex.worker, ex.pinned, ex.state, ex.enqueued = nil, nil, stateQueued, now
		d.queue.pushFront(ex)
	}
	if len(again) > 0 {
		d.watch()
	}
}

func remove(list []*WorkerConn, w *WorkerConn) []*WorkerConn {
	if i := slices.Index(list, w); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}
