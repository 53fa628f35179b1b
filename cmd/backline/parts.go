package main

import (
	"context"
	"slices"
	"sync/atomic"
)

// parts are what runs, in the order it was started.
type parts struct {
	ctx     context.Context //nolint:containedctx // the one that every part's own comes from
	running []*part
	ended   chan *part  // gets each part that ends; none should before it is stopped
	broken  atomic.Bool // one did
}

// part is one Run method under way.
type part struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // what Run returned, once done is closed
}

// partsAtMost is more than a server ever starts, so that a part that ends never waits for somebody to look.
const partsAtMost = 16

func newParts(ctx context.Context) *parts {
	return &parts{ctx: context.WithoutCancel(ctx), ended: make(chan *part, partsAtMost)}
}

// start runs a part until it is stopped or ends by itself.
func (p *parts) start(run func(context.Context) error) *part {
	ctx, cancel := context.WithCancel(p.ctx)
	each := &part{cancel: cancel, done: make(chan struct{})}
	p.running = append(p.running, each)
	go func() {
		each.err = run(ctx)
		if ctx.Err() == nil {
			p.broken.Store(true)
		}
		close(each.done)
		p.ended <- each
	}()
	return each
}

// stop ends one part and waits for it.
func (p *part) stop() error {
	p.cancel()
	<-p.done
	return p.err
}

// stop ends every part, the last one first. It gives the first error of a part that had not ended by itself: those
// have been told.
func (p *parts) stop() error {
	var first error
	for _, each := range slices.Backward(p.running) {
		over := each.over()
		if err := each.stop(); err != nil && first == nil && !over {
			first = err
		}
	}
	p.running = nil
	return first
}

func (p *part) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
