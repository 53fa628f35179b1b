package supervisor

// This file decides when templates start and end, if the pool has them (Options.Template). Workers are forked from one
// template at a time. A reload starts another one, whose workers take over from the old ones as in any reload; it is
// proven by its first worker that comes up, and until then the old template is kept, so that code which does not come
// up changes nothing. A template ends when no worker will be, and none is, forked from it: it is their parent, to whom
// alone the system tells how they end.

import (
	"context"
	"log/slog"
	"time"
)

// preload is what the pool has of templates. Only the goroutine of Run touches it.
type preload struct {
	number  int
	living  []*template // whose processes have not been reaped
	current *template   // it has imported the application, and workers are forked from it
	next    *template   // it is to take over: it imports, or has no worker that is up
	forking int         // forks under way
	respawn respawn
	pause   *time.Timer // runs while a template that died, or did not come up, waits for the next one; nil otherwise
}

func (s *Supervisor) preloads() bool { return len(s.opts.Template) > 0 }

func (p *preload) ended() bool { return p.forking == 0 && len(p.living) == 0 }

// source is what the next worker is forked from; nil while there is none.
func (p *preload) source() *template {
	if p.next != nil && p.next.imported {
		return p.next
	}
	return p.current
}

// imported tells whether a worker that starts now has the code of the last reload.
func (s *Supervisor) imported() bool {
	t := s.preload.source()
	return !s.preloads() || t != nil && t.generation == s.generation
}

// startTemplate starts one, unless one is under way: as with workers, a boot is never given up for newer code.
func (s *Supervisor) startTemplate() {
	p := &s.preload
	if s.stopping || p.next != nil && !p.next.imported {
		return
	}
	p.unpause()
	s.dropNextTemplate()
	p.number++
	t := newTemplate(s, p.number)
	p.next = t
	process, err := spawn(t.opts, t.Name)
	if err != nil {
		p.living = append(p.living, t)
		s.inbox.post(func() { s.templateFailed(t, err) })
		return
	}
	t.adopt(process)
	p.living = append(p.living, t)
	s.lives.Go(t.live)
}

// fork gives w its process, on a goroutine of its own: a template may be slow to answer, and Run waits for nobody.
func (s *Supervisor) fork(t *template, w *Worker) {
	t.workers++
	w.template, w.generation = t, t.generation
	s.preload.forking++
	s.lives.Go(func() {
		process, err := t.fork(w.opts, w.Name)
		s.inbox.post(func() {
			s.preload.forking--
			s.spawned(w, process, err)
		})
	})
}

// templateUp is a template's report that it has imported the application.
func (s *Supervisor) templateUp(t *template) {
	p := &s.preload
	if t.retired {
		return
	}
	t.imported = true
	level := slog.LevelInfo
	if !s.anyUp {
		level = slog.LevelDebug // whoever starts the pool says that it is ready
	}
	boot := t.upAt.Sub(t.started).Round(time.Millisecond)
	t.log.Log(context.Background(), level, "template up", "pid", t.PID, "boot", boot)
	for _, note := range t.Up.Notes {
		t.log.Warn(note, "pid", t.PID)
	}
	switch {
	case t.generation < s.generation: // another reload came meanwhile; this code is newer than what there is
		s.prove(t)
		s.startTemplate()
	case p.current == nil:
		s.prove(t)
	}
	s.startWaiting()
}

// startWaiting starts the workers that had no template.
func (s *Supervisor) startWaiting() {
	for _, place := range s.places {
		if place.waits {
			s.start(place)
		}
	}
}

// prove makes t the template of the pool: a worker of it has come up, or there is no other.
func (s *Supervisor) prove(t *template) {
	if p := &s.preload; t != nil && t == p.next {
		p.current, p.next = t, nil
	}
}

// templateFailed is the last report of a template that did not come up.
func (s *Supervisor) templateFailed(t *template, err error) {
	s.forget(t)
	switch {
	case s.stopping || t.retired:
	case t.generation < s.generation:
		s.startTemplate() // newer code has been announced since
	case !s.anyUp:
		for _, place := range s.places {
			if place.waits {
				place.waits, place.failed = false, err
			}
		}
		s.endIfAllFailed()
	default:
		if s.reloading {
			s.abandonReload(err)
		}
		if s.preload.current == nil {
			delay := s.templateLater(0)
			logFailure(t.log, "template did not come up", err, "retry_in", delay)
			return
		}
		s.startWaiting()
	}
}

// templateGone is the last report of a template that had come up. Its workers go on if it died: they lack nothing.
func (s *Supervisor) templateGone(t *template) {
	s.forget(t)
	if s.stopping || t.retired {
		return
	}
	t.log.Error("template died", "pid", t.PID, "status", t.process.status(true),
		"up_for", time.Since(t.upAt).Round(time.Millisecond), "restart_in", s.templateLater(time.Since(t.upAt)))
}

// templateLater starts the next template after the pause that the history asks for, and gives the pause.
func (s *Supervisor) templateLater(uptime time.Duration) time.Duration {
	p := &s.preload
	delay := p.respawn.after(uptime)
	if delay == 0 {
		s.startTemplate()
		return 0
	}
	p.pause = time.AfterFunc(delay, func() {
		s.inbox.post(func() {
			if p.pause != nil {
				s.startTemplate()
			}
		})
	})
	return delay
}

func (p *preload) unpause() {
	if p.pause != nil {
		p.pause.Stop()
		p.pause = nil
	}
}

// dropNextTemplate goes back to the template that the pool has.
func (s *Supervisor) dropNextTemplate() { s.preload.next = nil }

// stopTemplates ends the one that imports; those with workers end after them.
func (s *Supervisor) stopTemplates() {
	s.preload.unpause()
	s.preload.current, s.preload.next = nil, nil
}

// tidyTemplates ends those that nobody needs any more. Run calls it after every event.
func (s *Supervisor) tidyTemplates() {
	p := &s.preload
	for _, t := range p.living {
		if t != p.current && t != p.next && t.workers == 0 {
			t.retire()
		}
	}
}

// forget takes a template off the list, whose process has been reaped.
func (s *Supervisor) forget(t *template) {
	p := &s.preload
	rest := make([]*template, 0, len(p.living))
	for _, each := range p.living {
		if each != t {
			rest = append(rest, each)
		}
	}
	p.living = rest
	if p.current == t {
		p.current = nil
	}
	if p.next == t {
		p.next = nil
	}
}
