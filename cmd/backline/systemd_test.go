package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"backline/dispatch"
	"backline/edge"
)

// TestPulse: a dispatcher that runs is alive whenever it is asked, one that does not run is found out.
func TestPulse(t *testing.T) {
	t.Parallel()
	long := time.Now().Add(-time.Hour)
	still := poolsOf(dispatch.New(dispatch.Options{}))
	p := &pulse{vitals: edge.New(edge.Options{}, still.first().dispatcher).Vitals(), pools: still, turns: still.turns(), looked: long}
	if err := p.check(); err == nil || !strings.Contains(err.Error(), "a dispatcher's clock stands still") {
		t.Errorf("%v", err)
	}
	p.looked = time.Now()
	if err := p.check(); err != nil {
		t.Errorf("too early to tell: %v", err)
	}

	d := dispatch.New(dispatch.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	alive := poolsOf(d)
	p = &pulse{vitals: edge.New(edge.Options{}, alive.first().dispatcher).Vitals(), pools: alive, turns: alive.turns(), looked: long}
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); d.Turns() == p.turns[0]; <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatal("the clock does not turn")
		}
	}
	if err := p.check(); err != nil || p.looked.Equal(long) {
		t.Errorf("%v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func poolsOf(d *dispatch.Dispatcher) *pools { return &pools{all: []*pool{{dispatcher: d}}} }
