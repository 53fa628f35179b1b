package supervisor

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// holding makes each worker hold n sockets, which it may keep for drain.
func holding(n int64, drain time.Duration, more ...func(*Options)) func(*Options) {
	return func(o *Options) {
		o.Workers, o.SocketDrain = 1, drain
		o.Observer.(*observer).setSockets(n)
		for _, change := range more {
			change(o)
		}
	}
}

func TestAReloadDoesNotWaitForSockets(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", holding(3, time.Hour, func(o *Options) { o.Workers = 2 }))
	b.observer.wait(t, "up web.1|up web.2")
	b.Reload()
	reloaded := []string{"up web.1|up web.2", "up web.3", "drain web.1", "up web.4", "drain web.2"}
	b.observer.wait(t, reloaded...)
	b.logs.wait(t, 1, "INFO reload complete", "workers=2")
	b.logs.wait(t, 2, "INFO worker keeps its WebSockets", "sockets=3", "at_most=1h0m0s")
	if got := b.status(); got != "web.1 lingering, web.2 lingering, web.3 up, web.4 up" {
		t.Errorf("status %q; expected the old workers to linger", got)
	}
	if got := b.Count(); got[Up] != 2 || got[Lingering] != 2 {
		t.Errorf("count %v; expected two new workers that are up and two old ones that linger", got)
	}
	b.observer.link("web.2").leave()
	b.observer.wait(t, append(reloaded, "down web.2 reloaded")...)
	b.logs.wait(t, 1, "INFO worker ended", "status=exit status 0", "worker=web.2")
}

func TestSocketsAreClosedInTheEnd(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		drain  time.Duration
		reason Reason
	}{
		"after the drain":              {200 * time.Millisecond, Reloaded},
		"at once":                      {-1, Reloaded},
		"soon, where a thread is lost": {200 * time.Millisecond, Stuck},
		"too much memory":              {20 * time.Millisecond, Memory},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "fine", holding(30, test.drain))
			b.observer.wait(t, "up web.1")
			b.observer.link("web.1").worker.Retire(test.reason)
			b.logs.wait(t, 1, "INFO worker ended", "worker=web.1", "reason="+test.reason.String(), "status=exit status 0")
			if got := b.observer.closed("web.1"); got != 30 {
				t.Errorf("%d sockets were closed; expected all 30", got)
			}
		})
	}
}

func TestAStopDoesNotWaitForSockets(t *testing.T) {
	t.Parallel()
	tests := map[string]func(b *bundle){
		"serving":     func(*bundle) {},
		"handed over": func(b *bundle) { b.HandOver() },
		"reloaded":    func(b *bundle) { b.Reload() },
	}
	for name, before := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "fine", holding(3, time.Hour))
			b.observer.wait(t, "up web.1")
			before(b)
			if name != "serving" {
				b.logs.wait(t, 1, "INFO worker keeps its WebSockets", "worker=web.1")
			}
			b.cancel()
			if err := b.end(t); err != nil {
				t.Errorf("Run: %v", err)
			}
			if got := b.observer.closed("web.1"); got != 3 {
				t.Errorf("%d sockets were closed; expected all 3", got)
			}
		})
	}
}

func TestHandOverKeepsSockets(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", holding(2, time.Hour))
	b.observer.wait(t, "up web.1")
	b.HandOver()
	b.logs.wait(t, 1, "INFO worker keeps its WebSockets", "sockets=2")
	b.Reload() // too late to mean anything
	b.observer.link("web.1").leave()
	if err := b.end(t); err != nil {
		t.Errorf("Run: %v", err)
	}
	b.observer.wait(t, "up web.1", "drain web.1", "down web.1 upgraded")
}

func TestLingeringWorkersAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", holding(1, time.Hour))
	b.observer.wait(t, "up web.1")
	for number := 2; number <= 4; number++ {
		b.Reload()
		b.logs.wait(t, 1, "INFO worker keeps its WebSockets", fmt.Sprintf("worker=web.%d", number-1))
	}
	b.logs.wait(t, 1, "WARN too many old workers", "worker=web.1", "sockets=1")
	b.logs.wait(t, 1, "INFO worker ended", "worker=web.1")
	until(t, func() bool { return b.status() == "web.2 lingering, web.3 lingering, web.4 up" }, "the oldest worker alone to end")
}

func TestQuitAndDeathEndALingeringWorker(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		act    func(t *testing.T, b *bundle)
		status string
	}{
		"quit":  {func(_ *testing.T, b *bundle) { b.Quit() }, "killed by signal 9"},
		"death": {func(t *testing.T, b *bundle) { b.observer.tell(t, "web.1", "exit 5") }, "exit status 5"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "fine", holding(1, time.Hour))
			b.observer.wait(t, "up web.1")
			b.Reload()
			b.logs.wait(t, 1, "INFO worker keeps its WebSockets")
			test.act(t, b)
			b.logs.wait(t, 1, "WARN worker ended", "worker=web.1", "reason=reloaded", "status="+test.status)
		})
	}
}

func TestRequestsMayTakeLongerWhereSocketsKeepTheWorker(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", holding(1, time.Hour, func(o *Options) { o.GracefulTimeout = 10 * time.Millisecond }))
	b.observer.setBusy()
	b.observer.wait(t, "up web.1")
	b.Reload()
	b.logs.wait(t, 1, "INFO reload complete")
	b.observer.wait(t, "up web.1", "up web.2", "drain web.1")
	b.observer.link("web.1").leave()
	b.logs.wait(t, 1, "INFO worker ended", "worker=web.1", "status=exit status 0")
}

func TestClosingIsEven(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		span    time.Duration
		sockets int
		most    int // that may be closed in one turn
		turns   int
	}{
		"many":           {75 * time.Second, 10_000, 132, 76},
		"few":            {75 * time.Second, 3, 1, 3},
		"in a hurry":     {5 * time.Second, 1000, 20, 51},
		"in no time":     {0, 1000, 1000, 1},
		"almost none":    {15 * time.Millisecond, 300, 100, 3},
		"none":           {75 * time.Second, 0, 0, 76},
		"one":            {75 * time.Second, 1, 1, 1},
		"exactly a turn": {75 * time.Second, 76, 1, 76},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := closing{span: test.span}
			left, open, turns := test.span, test.sockets, 0
			for {
				now, pause := plan.share(left, open)
				if now > test.most || now > open {
					t.Fatalf("%d of %d sockets are closed with %v left; expected at most %d", now, open, left, test.most)
				}
				open -= now
				turns++
				if pause == 0 || open == 0 && test.sockets > 0 {
					break
				}
				if pause > left {
					t.Fatalf("the next turn is in %v, with %v left", pause, left)
				}
				left -= pause
			}
			if open != 0 || turns != test.turns {
				t.Errorf("%d sockets are open after %d turns; expected none after %d", open, turns, test.turns)
			}
		})
	}
}

func TestClosingThatIsLateClosesMoreAtOnce(t *testing.T) {
	t.Parallel()
	plan := closing{span: 50 * time.Second}
	for _, test := range []struct {
		left time.Duration
		want int
	}{{50 * time.Second, 20}, {9500 * time.Millisecond, 91}, {time.Second, 500}, {0, 1000}, {-time.Second, 1000}} {
		if got, _ := plan.share(test.left, 1000); got != test.want {
			t.Errorf("%d of 1000 sockets are closed with %v left; expected %d", got, test.left, test.want)
		}
	}
}

// leave ends the sockets of a worker, as their clients do.
func (l *link) leave() {
	l.sockets.Store(0)
	l.release()
}

// closed is how many sockets of a worker were closed.
func (o *observer) closed(name string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := 0
	for _, event := range o.events {
		var n int
		if _, err := fmt.Sscanf(event, "close %d of", &n); err == nil && strings.HasSuffix(event, " "+name) {
			all += n
		}
	}
	return all
}
