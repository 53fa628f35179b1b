// Package supervisor starts, watches, replaces and stops the worker processes of one pool.
//
// Read this file first, then worker.go (the life of one process) and reload.go (when a living worker gets a
// successor). A Supervisor is one goroutine, Run, that owns every decision; each worker has one goroutine that knows
// its process and only reports. Everything else (signals, timers, the dispatcher) posts a function to Run's inbox, so
// nobody outside ever waits for the supervisor and there is no lock around its state.
//
// A pool is a row of places. A place holds the worker that serves and, while that one is being replaced, its
// successor; the old worker is told to drain only when the successor is up, which is why a replacement costs no
// request.
package supervisor

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"backline"
)

// Supervisor keeps the workers of one pool alive. Make it with New, start it with Run; the other methods may be called
// from any goroutine at any time and never block.
type Supervisor struct {
	opts  Options
	inbox inbox

	ready    chan struct{} // closed when the first worker is up
	complete chan struct{} // closed when every place has had a worker that was up
	quit     chan struct{} // closed by Quit; every worker's goroutine listens
	quitOnce sync.Once
	endBy    atomic.Pointer[time.Time] // nil until EndBy
	workers  atomic.Pointer[[]*Worker] // every process that has not been reaped, in order of start
	lives    sync.WaitGroup            // the goroutines of workers

	// Only the goroutine of Run touches what follows.
	places     []*place
	number     int // of the newest worker; never used again, so that a name in the log means one process
	generation int // raised by each Reload; a worker with a smaller one runs old code
	reloading  bool
	anyUp      bool
	allUp      bool
	stopping   bool
	failure    error // why no worker ever came up
	preload    preload
}

// New checks the options. It starts nothing.
func New(opts Options) (*Supervisor, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	s := &Supervisor{
		opts: opts, ready: make(chan struct{}), complete: make(chan struct{}), quit: make(chan struct{}),
	}
	s.inbox.waiting = make(chan struct{}, 1)
	s.preload.respawn.limits = opts.Backoff
	s.workers.Store(new([]*Worker))
	return s, nil
}

// Run starts the workers, keeps them alive, and returns when all have ended, which a cancelled ctx or Quit brings
// about. The error is non-nil only if no worker ever came up: every worker of the first generation failed to start. It
// is a *backline.Error, with the application's traceback as Detail. Call it once.
func (s *Supervisor) Run(ctx context.Context) error {
	if s.opts.OnDemand {
		s.anyUp = true // whose failure would end the pool are the first workers of one that the server needs
	} else {
		s.fill()
	}
	done, quit := ctx.Done(), s.quit
	for !s.stopping || len(*s.workers.Load()) > 0 || !s.preload.ended() {
		select {
		case <-s.inbox.waiting:
			for _, event := range s.inbox.take() {
				event()
			}
			s.advance()
		case <-done:
			done = nil
			s.shutdown()
		case <-quit:
			quit = nil
			s.shutdown()
		}
		s.tidyTemplates()
	}
	s.lives.Wait()
	return s.failure
}

// Demand starts the workers of a pool with Options.OnDemand. Only the first call does anything.
func (s *Supervisor) Demand() {
	s.inbox.post(func() {
		if !s.stopping && len(s.places) == 0 {
			s.fill()
		}
	})
}

// Ready is closed when the first worker is up.
func (s *Supervisor) Ready() <-chan struct{} { return s.ready }

// Complete is closed when every place of the pool has had a worker that was up.
func (s *Supervisor) Complete() <-chan struct{} { return s.complete }

// Reload replaces every worker by one that has imported the application anew, one by one: the new worker comes up,
// takes over, and the old one drains. If a new worker does not come up, the others stay as they are and the log says
// why. Workers that a running reload has already replaced are replaced again, so any number of calls during a reload
// count as one.
func (s *Supervisor) Reload() { s.inbox.post(s.reload) }

// Scale adds delta places, or takes -delta away, newest first; their workers drain. One place always stays.
func (s *Supervisor) Scale(delta int) { s.inbox.post(func() { s.scale(delta) }) }

// HandOver stops the pool, for a server in whose place another process serves: WebSockets stay for Options.SocketDrain,
// as they do at a reload. Run returns when the last worker has ended; a context that is cancelled meanwhile has its
// usual meaning.
func (s *Supervisor) HandOver() { s.inbox.post(func() { s.stop(Upgraded) }) }

// EndBy bounds drains that begin from now on, on top of Options.GracefulTimeout: a server that stops has one graceful
// timeout for everything, and its clients have had their part of it.
func (s *Supervisor) EndBy(t time.Time) { s.endBy.Store(&t) }

// Quit kills every worker at once and makes Run return. The second signal of an impatient operator.
func (s *Supervisor) Quit() { s.quitOnce.Do(func() { close(s.quit) }) }

func (s *Supervisor) fill() {
	for range s.opts.Workers {
		s.addPlace()
	}
}

func (s *Supervisor) addPlace() {
	p := &place{respawn: respawn{limits: s.opts.Backoff}}
	s.places = append(s.places, p)
	s.start(p)
}

// start spawns the next worker of a place: its first, the one after a crash, or a successor.
func (s *Supervisor) start(p *place) {
	p.unpause()
	p.failed = nil
	t := s.preload.source()
	if p.waits = s.preloads() && t == nil; p.waits {
		s.startTemplate()
		return
	}
	s.number++
	w := newWorker(s, p, s.number)
	p.starts++
	p.next = w
	if t != nil {
		s.fork(t, w)
		return
	}
	process, err := spawn(w.opts, w.Name)
	if err != nil {
		// By way of the inbox, so that Run starts all places before it counts the failures.
		s.inbox.post(func() { s.spawned(w, nil, err) })
		return
	}
	s.spawned(w, process, nil)
}

// spawned begins the life of a worker, now that it has a process. A failure is reported like one during boot.
func (s *Supervisor) spawned(w *Worker, process *process, err error) {
	if err != nil {
		s.gone(w, ending{err: err})
		return
	}
	w.adopt(process)
	s.publish(append(s.living(nil), w))
	s.lives.Go(w.live)
}

// cameUp is a worker's report that it is up; the observer already has it.
func (s *Supervisor) cameUp(w *Worker) {
	p := w.place
	if p.next != w {
		return // the place was taken away, or the pool stops, while the report was under way: it is told to drain
	}
	old := p.current
	p.current, p.next = w, nil
	s.prove(w.template)
	if old == nil {
		level := slog.LevelInfo
		if w.number <= s.opts.Workers {
			level = slog.LevelDebug // as it should be: whoever starts the pool says so, once for all of them
		}
		boot := w.upAt.Sub(w.started).Round(time.Millisecond)
		w.log.Log(context.Background(), level, "worker up", "pid", w.PID, "boot", boot)
	} else {
		w.log.Info("worker up, takes over", "pid", w.PID, "from", old.Name, "reason", p.reason.String())
		old.stop(p.reason)
	}
	if !s.anyUp {
		s.anyUp = true
		close(s.ready)
		s.retryFailed()
	}
	if !s.allUp && !slices.ContainsFunc(s.places, func(p *place) bool { return p.current == nil }) {
		s.allUp = true
		close(s.complete)
	}
}

// retryFailed gives the places that failed before the first worker came up the patience that later failures get.
func (s *Supervisor) retryFailed() {
	for _, p := range s.places {
		if err := p.failed; err != nil {
			delay := s.restartLater(p, 0) // forgets it
			logFailure(s.opts.Log, "worker did not come up", err, "retry_in", delay)
		}
	}
}

// gone is a worker's last report: its process has been reaped and its goroutine ends.
func (s *Supervisor) gone(w *Worker, end ending) {
	s.publish(s.living(w))
	if w.template != nil {
		w.template.workers--
	}
	p := w.place
	switch {
	case p.next == w:
		p.next = nil
		s.bootFailed(p, w, end.err)
	case p.current == w:
		p.current = nil
		if s.stopping {
			return
		}
		attrs := []any{"pid", w.PID, "reason", end.reason.String(), "status", end.status,
			"up_for", end.uptime.Round(time.Millisecond)}
		if p.next == nil {
			attrs = append(attrs, "restart_in", s.restartLater(p, end.uptime))
		}
		w.log.Error("worker died", attrs...)
	}
}

// bootFailed decides what follows from a worker that did not come up.
func (s *Supervisor) bootFailed(p *place, w *Worker, err error) {
	switch {
	case s.stopping || p.removed:
	case !s.anyUp:
		p.failed = err
		s.endIfAllFailed()
	case s.reloading && w.generation == s.generation:
		s.abandonReload(err)
		if p.current == nil || p.current.leaving != 0 {
			s.restartLater(p, 0) // there is no worker, or one that must go anyway
		}
	default:
		delay := s.restartLater(p, 0)
		logFailure(w.log, "worker did not come up", err, "retry_in", delay)
	}
}

// endIfAllFailed stops the pool when no worker of the first generation is left to hope for. Retrying would hide a
// mistake in the application behind a server that answers 503. A developer who is about to mend it is waited for.
func (s *Supervisor) endIfAllFailed() {
	for _, p := range s.places {
		if p.failed == nil {
			return
		}
	}
	err := s.places[0].failed
	if s.opts.AwaitReload && backline.AsError(err).Code == backline.CodeApp {
		s.reloading = false
		logFailure(s.opts.Log, "the application does not come up; waiting for it to be mended", err)
		return
	}
	s.failure = err
	s.shutdown()
}

// restartLater starts a place's next worker after the pause that its history asks for, and gives the pause.
func (s *Supervisor) restartLater(p *place, uptime time.Duration) time.Duration {
	delay := p.respawn.after(uptime)
	if delay == 0 && p.current == nil {
		s.start(p)
		return 0
	}
	p.pause = time.AfterFunc(delay, func() {
		s.inbox.post(func() {
			if p.pause == nil || p.removed || s.stopping {
				return
			}
			p.unpause()
			if p.current == nil && p.next == nil {
				s.start(p)
			}
		})
	})
	return delay
}

func (s *Supervisor) scale(delta int) {
	if s.stopping {
		return
	}
	want := max(1, len(s.places)+delta)
	s.opts.Log.Info("scale", "pool", s.opts.Pool, "from", len(s.places), "to", want)
	for len(s.places) < want {
		s.addPlace()
	}
	for len(s.places) > want {
		last := s.places[len(s.places)-1]
		s.places = s.places[:len(s.places)-1]
		last.remove(Scaled)
	}
	if !s.anyUp {
		s.endIfAllFailed()
	}
}

// shutdown ends the pool soon: workers that had been told to end before lose the time for their sockets.
func (s *Supervisor) shutdown() {
	for _, w := range *s.workers.Load() {
		if w.stopAsked {
			w.hurry(0)
		}
	}
	s.stop(Shutdown)
}

func (s *Supervisor) stop(reason Reason) {
	s.stopping = true
	s.stopTemplates()
	for _, p := range s.places {
		p.remove(reason)
	}
}

// living lists the processes that have not been reaped, without one.
func (s *Supervisor) living(without *Worker) []*Worker {
	all := *s.workers.Load()
	rest := make([]*Worker, 0, len(all)+1)
	for _, w := range all {
		if w != without {
			rest = append(rest, w)
		}
	}
	return rest
}

func (s *Supervisor) publish(workers []*Worker) { s.workers.Store(&workers) }

// place is one of the workers the pool should have. Only Run touches it.
type place struct {
	current *Worker // up, and sent requests
	next    *Worker // booting: the place's first worker, one after a crash, or current's successor
	reason  Reason  // why current gets a successor
	waits   bool    // for a template to fork the next worker from
	starts  int
	respawn respawn
	pause   *time.Timer // runs while the place waits before the next start; nil otherwise
	failed  error       // how the first start ended, until some worker of the pool came up
	removed bool
}

func (p *place) unpause() {
	if p.pause != nil {
		p.pause.Stop()
		p.pause = nil
	}
}

// remove ends the place's workers: one that boots is killed, one that serves drains.
func (p *place) remove(reason Reason) {
	p.removed, p.waits = true, false
	p.unpause()
	for _, w := range []*Worker{p.next, p.current} {
		if w != nil {
			w.stop(reason)
		}
	}
	p.next, p.current = nil, nil
}

// logFailure writes an error for people: what happened, what to do, and a traceback where there is one.
func logFailure(log *slog.Logger, message string, err error, attrs ...any) {
	e := backline.AsError(err)
	attrs = append(attrs, "error", e.Error())
	if e.Hint != "" {
		attrs = append(attrs, "hint", e.Hint)
	}
	if e.Detail != "" {
		attrs = append(attrs, "detail", e.Detail)
	}
	log.Error(message, attrs...)
}
