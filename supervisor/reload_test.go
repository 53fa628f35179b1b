package supervisor

import (
	"sync"
	"testing"
	"time"
)

func TestReloadReplacesOneByOne(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", nil)
	b.observer.wait(t, "up web.1|up web.2")
	b.write(t, "newer")
	b.Reload()
	// The whole point: each new worker is up before an old one drains, and only one is replaced at a time.
	b.observer.wait(t, "up web.1|up web.2",
		"up web.3", "drain web.1", "down web.1 reloaded", "up web.4", "drain web.2", "down web.2 reloaded")
	b.logs.wait(t, 1, "INFO worker up, takes over", "from=web.1", "reason=reloaded", "worker=web.3")
	b.logs.wait(t, 1, "INFO reload complete", "workers=2")
	if got := b.observer.link("web.4").worker.Up.Application; got != "mysite as newer" {
		t.Errorf("web.4 serves %q; expected the new code", got)
	}
	if got := b.status(); got != "web.3 up, web.4 up" {
		t.Errorf("status %q; expected the two new workers", got)
	}
}

func TestReloadOfBrokenCodeKeepsTheOldWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", nil)
	b.observer.wait(t, "up web.1|up web.2")
	b.write(t, "raise")
	b.Reload()
	b.logs.wait(t, 1, "ERROR reload abandoned", "the old workers go on", "NameError: x", "hint=mend it")
	if got := b.status(); got != "web.1 up, web.2 up" {
		t.Errorf("status %q; expected the two old workers", got)
	}
	b.write(t, "mended")
	b.Reload()
	b.observer.wait(t, "up web.1|up web.2",
		"up web.4", "drain web.1", "down web.1 reloaded", "up web.5", "drain web.2", "down web.2 reloaded")
}

func TestReloadsDuringAReloadCountOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", nil)
	b.observer.setBusy()
	b.observer.wait(t, "up web.1|up web.2")
	b.Reload()
	b.observer.wait(t, "up web.1|up web.2", "up web.3", "drain web.1")
	for range 3 {
		b.Reload()
	}
	events := []string{"up web.1|up web.2", "up web.3", "drain web.1"}
	for _, step := range []struct{ release, next string }{{"web.1", "web.4"}, {"web.2", "web.5"}, {"web.3", ""}} {
		b.observer.link(step.release).release()
		events = append(events, "down "+step.release+" reloaded")
		if step.next != "" {
			drains := map[string]string{"web.4": "web.2", "web.5": "web.3"}[step.next]
			events = append(events, "up "+step.next, "drain "+drains)
		}
		b.observer.wait(t, events...)
	}
	b.logs.wait(t, 1, "INFO reload complete")
	if got := b.status(); got != "web.4 up, web.5 up" {
		t.Errorf("status %q; expected two workers of the last reload", got)
	}
}

func TestReloadEndsTheWaitAfterCrashes(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", func(o *Options) { o.Backoff = Backoff{Min: time.Hour, Max: time.Hour, Stable: time.Hour} })
	b.observer.wait(t, "up web.1|up web.2")
	b.write(t, "raise")
	b.observer.tell(t, "web.1", "exit 1")
	b.logs.wait(t, 1, "ERROR worker did not come up", "retry_in=1h0m0s")
	b.write(t, "mended")
	b.Reload()
	b.logs.wait(t, 1, "INFO reload complete", "workers=2")
	if got := b.status(); got != "web.4 up, web.5 up" {
		t.Errorf("status %q; expected a worker in either place", got)
	}
}

func TestRetire(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", one)
	b.observer.wait(t, "up web.1")
	w := b.observer.link("web.1").worker
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() { w.Retire(MaxRequests) })
	}
	callers.Wait()
	w.Retire(Stuck)
	b.observer.wait(t, "up web.1", "up web.2", "drain web.1", "down web.1 max-requests")
	b.logs.wait(t, 1, "worker ended", "reason=max-requests", "worker=web.1")
	w.Retire(Memory)
	w.Kill(Broken)
	b.cancel()
	_ = b.end(t)
	b.observer.wait(t, "up web.1", "up web.2", "drain web.1", "down web.1 max-requests", "drain web.2", "down web.2 shutdown")
}

func TestRetireKeepsTheWorkerUntilASuccessorComesUp(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", one)
	b.observer.wait(t, "up web.1")
	b.write(t, "raise")
	b.observer.link("web.1").worker.Retire(MaxRequests)
	for _, pause := range []string{"retry_in=0s", "retry_in=20ms", "retry_in=40ms"} {
		b.logs.wait(t, 1, "ERROR worker did not come up", pause)
	}
	b.observer.wait(t, "up web.1")
	b.write(t, "mended")
	b.logs.wait(t, 1, "worker ended", "reason=max-requests", "worker=web.1")
}

func TestAStuckWorkerDoesNotWaitForAReload(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", func(o *Options) { o.Workers = 3 })
	b.observer.setBusy()
	b.observer.wait(t, "up web.1|up web.2|up web.3")
	b.Reload()
	b.observer.wait(t, "up web.1|up web.2|up web.3", "up web.4", "drain web.1")
	b.observer.link("web.3").worker.Retire(Stuck)
	b.observer.wait(t, "up web.1|up web.2|up web.3", "up web.4", "drain web.1", "up web.5", "drain web.3")
	b.observer.link("web.3").release()
	b.observer.link("web.1").release()
	// web.5 has the new code already: only web.2 is left to replace.
	b.logs.wait(t, 1, "INFO worker up, takes over", "from=web.2", "worker=web.6")
	b.observer.link("web.2").release()
	b.logs.wait(t, 1, "INFO reload complete")
}

func TestADeathDuringTheDrainIsNoCrashOfThePool(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", one)
	b.observer.setBusy()
	b.observer.wait(t, "up web.1")
	b.Reload()
	b.observer.wait(t, "up web.1", "up web.2", "drain web.1")
	b.observer.tell(t, "web.1", "exit 5")
	b.observer.wait(t, "up web.1", "up web.2", "drain web.1", "down web.1 reloaded")
	b.logs.wait(t, 1, "WARN worker ended", "reason=reloaded", "status=exit status 5")
	b.logs.wait(t, 1, "INFO reload complete")
	if got := b.status(); got != "web.2 up" {
		t.Errorf("status %q; expected the successor alone", got)
	}
}

func TestACrashedWorkerWithASuccessorUnderWay(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", one)
	b.observer.wait(t, "up web.1")
	b.write(t, "hang")
	b.Reload()
	b.logs.wait(t, 1, "INFO hanging", "worker=web.2")
	b.observer.tell(t, "web.1", "exit 1")
	b.observer.wait(t, "up web.1", "down web.1 crashed")
	b.write(t, "mended")
	// The successor hangs; its end makes room for one that does not.
	for _, s := range b.Snapshot() {
		if s.State != Ended {
			b.kill(t, s.PID)
		}
	}
	b.logs.wait(t, 1, "ERROR reload abandoned")
	b.observer.wait(t, "up web.1", "down web.1 crashed", "up web.3")
}
