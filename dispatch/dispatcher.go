package dispatch

import (
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"backline/wire"
)

// Dispatcher chooses a worker for each request. Make one with New, run its clock with Run.
type Dispatcher struct {
	options Options
	log     *slog.Logger
	tick    chan struct{}          // wakes Run when there is something to watch
	served  atomic.Pointer[served] // what the worker that came up last serves, nil before the first
	stones  Exchanges              // the tombstones of requests that were taken back

	offloaded Exchanges // the jobs of its workers, which another dispatcher has run

	// mu guards everything below, and what exchanges and worker connections say is guarded by it.
	mu       sync.Mutex
	workers  []*WorkerConn // those that may be sent requests
	live     []*WorkerConn // all whose connection is open, draining ones included
	queue    queue
	pinned   int // requests in WorkerConn.waiting, of all workers
	sessions sessions
	now      time.Time   // as of the clock's last turn, or a worker's last packet: asking the system costs 50 ns
	opened   []*Exchange // those whose workers can now take body; their clients hear of it in unlock (body.go)
	stopping bool
	ticking  bool
	turns    uint64 // of the clock, so far
	stalls   Stalls // of all workers that there have been
	muted    muted
}

// served is how requests are to be written: known before a worker is chosen, so that it can be done outside the lock.
type served struct {
	codec wire.Codec
	form  form
	up    wire.Up
}

// New makes a dispatcher without workers.
func New(options Options) *Dispatcher {
	log := options.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Dispatcher{options: options, log: log, tick: make(chan struct{}, 1)}
}

// Attach adds a worker that is up. name and pid are for logs; retire is called, on its own goroutine, when the worker
// should be replaced, with the reason. The dispatcher owns both connections from now on. begun is nil for a worker that
// does not tell what it has begun.
func (d *Dispatcher) Attach(name string, hello wire.Hello, up wire.Up, conn, control net.Conn, begun *wire.Begun,
	retire func(Retirement),
) *WorkerConn {
	w := &WorkerConn{
		Name: name, PID: hello.PID, dispatcher: d, conn: conn, control: newControl(control, hello.Codec),
		begun: begun, codec: hello.Codec, form: formOf(&up), wsgi: formOf(&up) == formWSGI, loop: up.EventLoop,
		loopName:    up.Loop,
		concurrency: up.Concurrency, retire: retire,

		calm: make(chan struct{}), idle: make(chan struct{}), gone: make(chan struct{}), wrote: make(chan struct{}),
		rest: d.lifetime(), packet: 1,
	}
	w.pending.Reset(w.codec)
	w.writing.Reset(w.codec)
	w.ready = sync.NewCond(&d.mu)
	w.control.offload, w.control.session = w.offload, w.inSession
	d.mu.Lock()
	d.served.Store(&served{w.codec, w.form, up})
	d.workers = append(d.workers, w)
	d.live = append(d.live, w)
	d.feed()
	d.unlock()
	go w.writeLoop()
	go w.readLoop()
	go w.control.writeLoop()
	go func() {
		w.explain(w.control.readLoop(w.told))
		w.cancelJobs()
		w.closeSession()
	}()
	return w
}

// Workers gives those whose connection is open, draining ones included.
func (d *Dispatcher) Workers() []*WorkerConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.live)
}

// lifetime draws after how many requests a worker is to be replaced; -1 for never. The jitter keeps workers that came
// up together from being replaced together.
func (d *Dispatcher) lifetime() int {
	if d.options.MaxRequests <= 0 {
		return -1
	}
	return d.options.MaxRequests + rand.IntN(d.options.MaxRequestsJitter+1)
}

// WSGI tells whether the application wants its request bodies whole. False before a worker has come up.
func (d *Dispatcher) WSGI() bool {
	served := d.served.Load()
	return served != nil && served.form == formWSGI
}

// WebSockets tells whether the application may accept WebSockets: whether it is an ASGI application, or has events.
func (d *Dispatcher) WebSockets() bool {
	served := d.served.Load()
	return served != nil && served.form != formWSGI
}

// Serving is what the worker that came up last said of itself; empty before a worker has come up.
func (d *Dispatcher) Serving() wire.Up {
	if served := d.served.Load(); served != nil {
		return served.up
	}
	return wire.Up{}
}

// Submit gives an exchange to a worker, or to the queue. The answer comes to ex.Client, possibly before Submit returns.
func (d *Dispatcher) Submit(ex *Exchange) {
	ex.refs.Add(1)
	ex.dispatcher = d
	if served := d.served.Load(); served != nil {
		ex.encode(served.codec, served.form, &d.options.Defaults)
	}
	var id []byte
	if d.options.Sticky != "" && len(ex.Scope.Query) > 0 {
		id = sessionOf(ex.Scope.Query, d.options.Sticky)
		ex.begins = id == nil
	}
	d.mu.Lock()
	var owner *WorkerConn
	if id != nil {
		owner = d.sessions.owner(id, time.Now(), d.options.StickyTime)
	}
	var why *Failure
	switch {
	case d.stopping:
		why = FailStopping
	case owner != nil:
		why = owner.pin(ex)
	case (d.queue.len == 0 || ex.Urgent) && d.place(ex):
	case !ex.patient() && !d.queue.room(ex, d.pinned, &d.options):
		why = FailQueueFull
	default:
		ex.state, ex.enqueued = stateQueued, time.Now()
		d.queue.push(ex)
		d.watch()
	}
	d.unlock()
	if why != nil {
		ex.Client.Fail(ex, why)
		ex.Release()
	}
}

// unlock gives the lock back and then tells clients whose requests have just gone to a worker that it can take body. It
// ends every section that may have placed a request.
func (d *Dispatcher) unlock() {
	opened := d.opened
	d.opened = nil
	d.mu.Unlock()
	for _, ex := range opened {
		d.tellWanted(ex)
		ex.Release()
	}
}

// place assigns ex to a worker if one can take it. The caller holds the lock.
func (d *Dispatcher) place(ex *Exchange) bool {
	w := d.pick(ex)
	if w == nil {
		return false
	}
	w.assign(ex)
	return true
}

// pick finds the worker with the fewest requests in flight, responsive ones first. Beyond its concurrency a worker is
// only given what may be taken back from it: a request that must not reach the application twice waits here, so that a
// worker that dies has never held more of those than it was running. Where only a laggard has room, a request rather
// goes ahead to a quick worker, or waits for one: it will have room within the millisecond.
func (d *Dispatcher) pick(ex *Exchange) *WorkerConn {
	var best *WorkerConn
	for _, w := range d.workers {
		if w.inflight < w.concurrency && (best == nil || w.before(best)) {
			best = w
		}
	}
	if best != nil && !best.avoided() || d.options.Prefetch == 0 {
		return best
	}
	ahead, quick := d.quickest(ex)
	switch {
	case ahead != nil:
		return ahead
	case quick && d.queue.len < d.options.QueueSize:
		return nil
	default:
		return best
	}
}

// quickest finds the worker to which ex may be sent ahead, and whether there is one so quick that waiting for it pays.
func (d *Dispatcher) quickest(ex *Exchange) (ahead *WorkerConn, quick bool) {
	mayGoAhead := ex.Safe() && ex.More == wire.BodyWhole
	for _, w := range d.workers {
		prefetch := w.prefetch()
		if prefetch == 0 || w.avoided() {
			continue
		}
		quick = true
		if mayGoAhead && w.inflight < w.concurrency+prefetch && (ahead == nil || w.inflight < ahead.inflight) {
			ahead = w
		}
	}
	return ahead, quick
}

// feed gives waiting requests to whoever can take them. The caller holds the lock.
func (d *Dispatcher) feed() {
	if d.pinned > 0 {
		d.feedPinned()
	}
	for d.queue.len > 0 {
		ex := d.queue.front()
		if !d.place(ex) {
			return
		}
		d.queue.pop()
	}
}

// Stop makes every further request end with 503, and those that wait with it: called when the last worker goes.
func (d *Dispatcher) Stop() {
	d.mu.Lock()
	d.stopping = true
	waiting := d.takeQueue()
	d.mu.Unlock()
	failAll(waiting, FailStopping)
}

// Waiting is the number of requests in the queue, InFlight that of those at workers.
func (d *Dispatcher) Waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.queue.len + d.pinned
}

// InFlight is the number of requests that workers hold.
func (d *Dispatcher) InFlight() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, w := range d.live {
		n += w.inflight
	}
	return n
}

func (d *Dispatcher) takeQueue() []*Exchange {
	var all []*Exchange
	for _, w := range d.live {
		w.unpin()
	}
	for ex := d.queue.pop(); ex != nil; ex = d.queue.pop() {
		ex.state = stateEnded
		all = append(all, ex)
	}
	return all
}

// failAll tells clients, without the lock, and lets go of the exchanges.
func failAll(all []*Exchange, why *Failure) {
	for _, ex := range all {
		ex.Client.Fail(ex, why)
		ex.Release()
	}
}
