package main

import (
	"context"
)

// parts are what runs, in the order it was started.
type parts struct {
	ctx     context.Context //nolint:containedctx // the one that every part's own comes from
	running []*part
}

// part is one Run method under way.
type part struct {
	cancel context.CancelFunc
	ended  chan error // gets what Run returned, once
	done   chan struct{}
	err    error
}

func newParts(ctx context.Context) *parts { return &parts{ctx: context.WithoutCancel(ctx)} }

// start runs a part until it is stopped or ends by itself.
func (p *parts) start(run func(context.Context) error) *part {
	ctx, cancel := context.WithCancel(p.ctx)
	each := &part{cancel: cancel, ended: make(chan error, 1), done: make(chan struct{})}
	p.running = append(p.running, each)
	go func() {
		each.err = run(ctx)
		each.ended <- each.err
		close(each.done)
	}()
	return each
}

// stop ends one part and waits for it.
func (p *part) stop() error {
	p.cancel()
	<-p.done
	return p.err
}

// stop ends every part, the last one first. It gives the first error of a part that had not ended by itself.
func (p *parts) stop() error {
	var first error
	for i := len(p.running) - 1; i >= 0; i-- {
		each := p.running[i]
		over := false
		select {
		case <-each.done:
			over = true
		default:
		}
		if err := each.stop(); err != nil && first == nil && !over {
			first = err
		}
	}
	p.running = nil
	return first
}
