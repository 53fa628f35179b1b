package main

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func TestPartsStopInReverseOrder(t *testing.T) {
	t.Parallel()
	var order []string
	parts := newParts(t.Context())
	for _, name := range []string{"first", "second", "third"} {
		parts.start(func(ctx context.Context) error {
			<-ctx.Done()
			order = append(order, name) // one at a time, because stop waits for each
			return nil
		})
	}
	if err := parts.stop(); err != nil {
		t.Error(err)
	}
	if want := []string{"third", "second", "first"}; !slices.Equal(order, want) {
		t.Errorf("stopped in order %v, want %v", order, want)
	}
}

func TestPartThatEndsByItselfIsToldOnce(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	parts := newParts(t.Context())
	waiting := func(ctx context.Context) error { <-ctx.Done(); return nil }
	parts.start(waiting)
	failing := parts.start(func(context.Context) error { return broken })
	if ended := <-parts.ended; ended != failing || !errors.Is(ended.err, broken) {
		t.Errorf("got %v, want the part that failed", ended.err)
	}
	if err := parts.stop(); err != nil {
		t.Errorf("stop gave %v again", err)
	}
}

func TestPartsOutliveTheContextTheyCameFrom(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	parts := newParts(ctx)
	ended := errors.New("ended by stop")
	each := parts.start(func(ctx context.Context) error { <-ctx.Done(); return ended })
	cancel()
	if each.over() {
		t.Error("a part ended with the context: the order of stopping would be lost")
	}
	if err := parts.stop(); !errors.Is(err, ended) {
		t.Errorf("stop gave %v, want what the part returned", err)
	}
}
