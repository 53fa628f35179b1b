package supervisor

// This file is about workers that have a successor and still hold WebSockets. Such a worker lingers: it gets no
// requests, and no reload waits for it, until its sockets have ended or Options.SocketDrain is over. What is left is
// closed over the last quarter of that time, not all at once, because each of these clients connects again at once and
// most applications do something dear for a new one.

import "time"

// lingerersPerPlace bounds the processes that linger. Each takes the memory of the whole application, and without a
// bound there would be a generation of them for every reload of the last SocketDrain.
const lingerersPerPlace = 2

// hurriedDrain is the time in which one worker too many closes its sockets.
const hurriedDrain = 5 * time.Second

// linger keeps the worker while it has sockets, and closes them evenly from the last quarter of patience on. It returns
// when they have been told to close; gone says that the process has ended by itself.
func (w *Worker) linger(patience time.Duration) (gone bool) {
	w.setState(Lingering)
	w.inbox.post(func() { w.supervisor.lingers(w) })
	if patience > 0 {
		w.log.Info("worker keeps its WebSockets", "pid", w.PID, "sockets", w.link.Sockets(), "at_most", patience)
	}
	last := closing{until: time.Now().Add(patience), span: patience / 4}
	timer := time.NewTimer(patience - last.span)
	defer timer.Stop()
	for {
		select {
		case <-w.process.ended:
			return true
		case <-w.quit:
			w.killAndWait()
			return true
		case <-w.link.Idle():
			return false
		case span := <-w.hurries:
			if until := time.Now().Add(span); until.Before(last.until) {
				last = closing{until: until, span: span}
			}
			timer.Reset(0)
		case <-timer.C:
			sockets := w.link.Sockets()
			now, pause := last.share(time.Until(last.until), sockets)
			w.link.CloseSockets(now)
			if pause == 0 || sockets == 0 {
				return false
			}
			timer.Reset(pause)
		}
	}
}

// patience is how long sockets may stay on a worker that ends for this reason.
func (w *Worker) patience(reason Reason) time.Duration {
	switch reason {
	case Shutdown:
		return 0 // their connections have been closed, or are about to be
	case Stuck:
		return min(hurriedDrain, w.opts.SocketDrain) // who moves them to a healthy worker does them a favour
	default:
		return max(w.opts.SocketDrain, 0)
	}
}

// hurry makes the worker close its sockets within span, if it holds any. Only Run calls it.
func (w *Worker) hurry(span time.Duration) {
	w.lingering = false
	select {
	case w.hurries <- span:
	default: // it has been told so for another reason and again by the pool's end, which is the shortest time there is
	}
}

// lingers is a worker's report that nothing but sockets keeps it.
func (s *Supervisor) lingers(w *Worker) {
	if s.stopping {
		return // there is no reload that could pile workers up
	}
	w.lingering = true
	lingering := 0
	var oldest *Worker
	for _, each := range *s.workers.Load() { // in order of start
		if each.lingering {
			lingering++
			if oldest == nil {
				oldest = each
			}
		}
	}
	if lingering > lingerersPerPlace*len(s.places) {
		oldest.log.Warn("too many old workers are left for their WebSockets; the oldest closes its own now",
			"pid", oldest.PID, "sockets", oldest.link.Sockets(), "within", hurriedDrain)
		oldest.hurry(hurriedDrain)
	}
}

// closing is a plan to close sockets evenly until a moment, over span.
type closing struct {
	until time.Time
	span  time.Duration
}

// The bounds of the time between two turns of closing.
const (
	shortestTurn = 10 * time.Millisecond
	longestTurn  = time.Second
	turns        = 50 // between the bounds
)

// share says how many of the sockets to close when left remains until the end, and when to look again; 0 is never.
func (c closing) share(left time.Duration, sockets int) (now int, pause time.Duration) {
	if left <= 0 {
		return sockets, 0
	}
	turn := min(max(c.span/turns, shortestTurn), longestTurn)
	remaining := int((left+turn-1)/turn) + 1 // this one included, and one at the very end
	return (sockets + remaining - 1) / remaining, min(turn, left)
}
