package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"backline/wire"
)

// Worker is one process, from its start to its end.
type Worker struct {
	Name    string      // "web.3"
	PID     int         // also the number of its process group
	Conn    net.Conn    // hello, welcome, up; then requests and answers
	Control net.Conn    // asks for stacks
	Begun   *wire.Begun // which streams' requests have reached the application

	Hello wire.Hello // set before WorkerUp
	Up    wire.Up    // set before WorkerUp

	opts       *Options
	inbox      *inbox
	supervisor *Supervisor
	log        *slog.Logger
	number     int
	generation int // of its code
	restarts   int // how many workers its place had before
	started    time.Time

	stops   chan Reason        // at most one, from stop
	hurries chan time.Duration // from hurry
	quit    <-chan struct{}
	asked   atomic.Uint32 // the Reason of the first Retire
	doomed  atomic.Uint32 // the Reason of the first Kill
	state   atomic.Uint32 // State
	process *process

	// Only the worker's own goroutine touches these, until it has reported.
	link  Link
	upAt  time.Time
	limit int64 // of memory; 0 is none

	// Only the goroutine of Run touches these.
	place     *place
	template  *template // it was forked from; nil without preloading
	leaving   Reason    // why it waits for a successor
	stopAsked bool
	lingering bool // nothing but sockets keeps it, and it is in no hurry
}

// ending is how a worker ended.
type ending struct {
	reason Reason
	status string        // "exit status 1"
	uptime time.Duration // 0 if it was never up
	err    error         // why it never came up
}

func newWorker(s *Supervisor, p *place, number int) *Worker {
	name := fmt.Sprintf("%s.%d", s.opts.Pool, number)
	return &Worker{
		Name: name, opts: &s.opts, supervisor: s, inbox: &s.inbox, log: s.opts.Log.With("worker", name),
		number: number, generation: s.generation, restarts: p.starts, place: p,
		stops: make(chan Reason, 1), hurries: make(chan time.Duration, 2), quit: s.quit, limit: s.opts.MaxMemory,
	}
}

// Retire asks for a replacement: a new worker comes up first, then this one drains and ends. The first reason counts;
// further calls do nothing. It is safe from any goroutine and never blocks.
func (w *Worker) Retire(reason Reason) {
	if !w.asked.CompareAndSwap(0, uint32(reason)) {
		return
	}
	w.inbox.post(func() {
		w.log.Info("worker is to be replaced", "pid", w.PID, "reason", reason.String())
		w.leaving = reason
	})
}

// Kill ends the process at once, with everything it started; the requests it runs are lost. WorkerDown gets the first
// reason. It is safe from any goroutine and never blocks.
func (w *Worker) Kill(reason Reason) {
	w.doomed.CompareAndSwap(0, uint32(reason))
	w.process.signal(syscall.SIGKILL)
}

// stop begins the end: a worker that boots is killed, one that is up drains. Only Run calls it.
func (w *Worker) stop(reason Reason) {
	if !w.stopAsked {
		w.stopAsked = true
		w.stops <- reason
	}
}

// adopt gives the worker its process.
func (w *Worker) adopt(p *process) {
	w.process, w.PID = p, p.pid
	w.Conn, w.Control, w.Begun = p.conn, p.control, p.begun
	w.started = time.Now()
}

// live is the worker's goroutine: boot, serve, end, report.
func (w *Worker) live() {
	var end ending
	if err := w.boot(); err != nil {
		_ = w.Conn.Close()
		end.err = err
	} else {
		asked := w.serve()
		end.uptime = time.Since(w.upAt)
		end.reason = w.reason(asked)
		end.status = w.process.status(asked == 0 && w.doomed.Load() == 0)
		w.supervisor.opts.Observer.WorkerDown(w, end.reason)
		if asked != 0 {
			level := slog.LevelInfo
			switch {
			case end.status != exitedWell:
				level = slog.LevelWarn // it may have taken requests with it
			case asked == Shutdown:
				level = slog.LevelDebug
			}
			w.log.Log(context.Background(), level, "worker ended", "pid", w.PID,
				"reason", end.reason.String(), "status", end.status)
		}
	}
	_ = w.Control.Close()
	w.setState(Ended)
	w.inbox.post(func() { w.supervisor.gone(w, end) })
}

// reason says why the process ended: we killed it, or asked it to, or it did so by itself.
func (w *Worker) reason(asked Reason) Reason {
	switch doomed := Reason(w.doomed.Load()); {
	case doomed != 0:
		return doomed
	case asked != 0:
		return asked
	case w.process.signalled() == syscall.SIGKILL:
		return Killed
	default:
		return Crashed
	}
}

// serve hands the worker to the observer and returns when the process has ended. The result is the reason for which it
// was asked to end, 0 if it was not.
func (w *Worker) serve() Reason {
	if w.opts.GiveWay {
		shortenSlice(w.PID)
	}
	w.upAt = time.Now()
	w.setState(Up)
	w.link = w.opts.Observer.WorkerUp(w)
	w.inbox.post(func() { w.supervisor.cameUp(w) })
	w.checkLimit()
	var tick <-chan time.Time
	if w.limit > 0 {
		ticker := time.NewTicker(w.opts.MemoryInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-w.process.ended:
			return 0
		case reason := <-w.stops:
			w.end(reason)
			return reason
		case <-w.quit:
			w.killAndWait()
			return Shutdown
		case <-tick:
			if used := memory(w.PID); used > w.limit {
				w.log.Warn("worker takes too much memory", "pid", w.PID, "bytes", used, "limit", w.limit)
				w.Retire(Memory)
				tick = nil
			}
		}
	}
}

// checkLimit drops a memory limit that the worker exceeds before it has served anything: its successors would too, and
// the pool would do nothing but replace them.
func (w *Worker) checkLimit() {
	if w.limit == 0 {
		return
	}
	if used := memory(w.PID); used > w.limit {
		w.log.Error("the memory limit is below what the application takes before its first request; it is not applied",
			"pid", w.PID, "bytes", used, "limit", w.limit, "hint", "raise --max-worker-memory")
		w.limit = 0
	}
}

// stuckTimeout is StopTimeout for a worker that is replaced because something in it never ends: it seldom does then,
// and may keep a core busy meanwhile.
const stuckTimeout = time.Second

// end lets the worker finish and waits for its process: drain, linger, stop, SIGTERM, SIGKILL. Each step is bounded.
func (w *Worker) end(reason Reason) {
	w.setState(Draining)
	w.link.Drain()
	grace := w.grace()
	calm, gone := w.wait(w.link.Calm(), grace)
	if gone {
		return
	}
	switch {
	case w.link.Sockets() > 0: // requests beyond the graceful timeout go on while sockets keep the process anyway
		if gone = w.linger(w.patience(reason)); gone {
			return
		}
		grace = w.grace() // for what the application does when a socket has closed
	case !calm:
		grace = 0
	}
	drained, gone := w.wait(w.link.Idle(), grace)
	if gone {
		return
	}
	w.setState(Stopping)
	patience := w.opts.KillTimeout
	if drained {
		limit := w.opts.StopTimeout
		if reason == Stuck {
			limit = min(limit, stuckTimeout)
		}
		if _, gone = w.wait(nil, limit); gone {
			return
		}
		w.log.Warn("worker does not end after its last request; SIGTERM", "pid", w.PID, "waited", limit)
	} else {
		// It was not told to stop, because it still has requests: the signal is the first word of it, so it gets the
		// time for its lifespan shutdown now.
		patience = w.opts.StopTimeout
		w.log.Warn("worker has requests after the graceful timeout; they are lost", "pid", w.PID,
			"waited", max(grace, 0).Round(time.Millisecond))
	}
	w.process.signal(syscall.SIGTERM)
	if _, gone = w.wait(nil, patience); gone {
		return
	}
	w.log.Warn("worker ignores SIGTERM; SIGKILL", "pid", w.PID, "waited", patience)
	w.killAndWait()
}

// grace is how long requests may take from now on.
func (w *Worker) grace() time.Duration {
	if until := w.supervisor.endBy.Load(); until != nil {
		return min(w.opts.GracefulTimeout, time.Until(*until))
	}
	return w.opts.GracefulTimeout
}

// wait returns when done is closed, when the process has ended (gone), or after limit. A Quit ends the process.
func (w *Worker) wait(done <-chan struct{}, limit time.Duration) (isDone, gone bool) {
	timer := time.NewTimer(max(limit, 0))
	defer timer.Stop()
	select {
	case <-w.process.ended:
		return false, true
	case <-w.quit:
		w.killAndWait()
		return false, true
	case <-done:
		return true, false
	case <-timer.C:
		select {
		case <-done: // a limit of 0 is reached at once, also by what is already done
			return true, false
		default:
			return false, false
		}
	}
}

func (w *Worker) killAndWait() {
	w.process.signal(syscall.SIGKILL)
	<-w.process.ended
}

func (w *Worker) setState(s State) { w.state.Store(uint32(s)) }
