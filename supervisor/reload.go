package supervisor

// This file decides when a worker that serves gets a successor: a reload, or a wish (Worker.Retire: too many requests,
// too much memory, a stuck thread).
//
// One at a time: the next successor starts only when the previous worker has drained and ended, or lingers for its
// WebSockets alone (linger.go). So a pool needs memory for one worker more than it was given, however often it is
// reloaded and however long its streams last; the price is that a reload of workers with long streams takes a graceful
// timeout per worker. Stuck workers do not wait for their turn: they have lost threads that the others must make up
// for.

func (s *Supervisor) reload() {
	if s.stopping {
		return
	}
	s.generation++
	if !s.reloading {
		s.opts.Log.Info("reload begins", "pool", s.opts.Pool, "workers", len(s.places))
	}
	s.reloading = true
	if s.preloads() {
		s.startTemplate()
	}
	for _, p := range s.places {
		if p.failed != nil { // the application could not be imported at first, and may have been mended
			s.start(p)
		}
		// New code may have mended what made this place wait. A boot under way is left alone although it may have read
		// old code: killing it would let an application that is reloaded faster than it imports never come up.
		if p.pause != nil {
			p.respawn.reset()
			p.unpause()
			if p.current == nil {
				s.start(p)
			}
		}
	}
}

// advance starts the successors that are due. Run calls it after every event, so no event needs to know what it makes
// possible.
func (s *Supervisor) advance() {
	if s.stopping {
		return
	}
	for _, p := range s.places {
		if p.settled() && p.current.leaving == Stuck {
			s.replace(p, Stuck)
		}
	}
	if p, reason := s.oldestDue(); p != nil && !s.replacing() {
		s.replace(p, reason)
	}
	if s.reloading && !s.stale() && !s.replacing() {
		s.reloading = false
		s.opts.Log.Info("reload complete", "pool", s.opts.Pool, "workers", len(s.places))
		s.opts.Reloaded(nil)
	}
}

func (s *Supervisor) replace(p *place, reason Reason) {
	p.reason = reason
	s.start(p)
}

// oldestDue is the place whose worker has waited longest for its successor. Oldest first, so that a worker which is
// due again and again cannot keep the others from their turn.
func (s *Supervisor) oldestDue() (found *place, why Reason) {
	for _, p := range s.places {
		if !p.settled() || found != nil && found.current.number < p.current.number {
			continue
		}
		switch {
		case p.current.leaving != 0:
			found, why = p, p.current.leaving
		case s.reloading && s.imported() && p.current.generation < s.generation:
			found, why = p, Reloaded
		}
	}
	return found, why
}

// settled tells that the place has a worker that serves and nothing under way.
func (p *place) settled() bool {
	return p.current != nil && p.next == nil && p.pause == nil && !p.waits
}

// replacing tells whether a successor boots or a worker still drains. One that lingers does not count, unless it is one
// too many and has to hurry: that is what bounds their number.
func (s *Supervisor) replacing() bool {
	for _, p := range s.places {
		if p.current != nil && (p.next != nil || p.waits) {
			return true
		}
	}
	for _, w := range *s.workers.Load() {
		if w.stopAsked && !w.lingering {
			return true
		}
	}
	return false
}

// stale tells whether a reload has work left: a worker with old code, or one of the new code that is not yet up.
func (s *Supervisor) stale() bool {
	for _, p := range s.places {
		if p.next != nil || p.current == nil || p.current.generation < s.generation {
			return true
		}
	}
	return false
}

// abandonReload keeps the workers that are left.
func (s *Supervisor) abandonReload(err error) {
	s.reloading = false
	s.dropNextTemplate()
	logFailure(s.opts.Log, "reload abandoned: the new code does not come up, the old workers go on", err,
		"pool", s.opts.Pool)
	s.opts.Reloaded(err)
}
