package supervisor

import (
	"strings"
	"testing"
)

func onDemand(o *Options) { o.OnDemand = true }

func TestAPoolOnDemandStartsWhenItIsAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", onDemand)
	b.Reload() // of nothing
	b.logs.wait(t, 1, "reload complete", "workers=0")
	if left := b.Snapshot(); len(left) != 0 {
		t.Fatalf("workers that nobody has asked for: %v", left)
	}
	b.Demand()
	b.Demand()
	b.observer.wait(t, "up web.1|up web.2")
	b.Reload()
	b.logs.wait(t, 1, "reload complete", "workers=2")
	b.cancel()
	if err := b.end(t); err != nil {
		t.Errorf("Run: %v; expected nil after a stop", err)
	}
}

func TestAPoolOnDemandEndsThoughItNeverStarted(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*bundle){
		"stopped":     func(b *bundle) { b.cancel() },
		"handed over": func(b *bundle) { b.HandOver() },
		"quit":        func(b *bundle) { b.Quit() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "fine", onDemand)
			stop(b)
			b.Demand() // too late
			if err := b.end(t); err != nil {
				t.Errorf("Run: %v; expected nil", err)
			}
			b.observer.wait(t)
		})
	}
}

func TestAPoolOnDemandIsStartedAgainUntilItComesUp(t *testing.T) {
	t.Parallel()
	b := setup(t, "raise", onDemand)
	b.Demand()
	b.logs.wait(t, 3, "worker did not come up", "retry_in")
	b.write(t, "mended")
	until(t, func() bool { return strings.Count(b.status(), " up") == 2 }, "both workers")
}
