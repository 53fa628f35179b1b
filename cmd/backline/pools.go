package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"backline/config"
	"backline/dispatch"
	"backline/supervisor"
	"backline/wire"
)

// pools are the applications that are served, each with workers and a queue of its own: the first for requests and,
// with --websocket, a second for WebSockets. So that neither can take the other's workers, all that they share is the
// edge.
type pools struct {
	all       []*pool
	reloads   atomic.Int32      // pools that have not finished a reload
	abandoned atomic.Bool       // one of them had to keep its old workers
	reloaded  func(failed bool) // when the last one has finished
}

// pool is one of them.
type pool struct {
	dispatcher *dispatch.Dispatcher
	supervisor *supervisor.Supervisor
}

// newPools makes a pool for each application. The settings of WebSockets differ in what they run, not in how.
func newPools(a *application, c *config.Config, log *journal, d wire.Defaults, reloaded func(bool)) (*pools, error) {
	p := &pools{reloaded: reloaded}
	if err := p.add("web", a, c, log, d); err != nil || c.WebSocketApp == "" {
		return p, err
	}
	live := *c
	live.App, live.Factory, live.WorkerClass, live.Workers = c.WebSocketApp, false, "asyncio", c.WebSocketWorkers
	return p, p.add("live", a, &live, log, d)
}

func (p *pools) add(name string, a *application, c *config.Config, log *journal, d wire.Defaults) error {
	options := dispatchOptions(c, log.Logger)
	options.Defaults = d
	dispatcher := dispatch.New(options)
	workers := a.supervise(c, log, newObserver(dispatcher), d)
	workers.Pool, workers.Reloaded = name, p.finishReload
	supervising, err := supervisor.New(workers)
	if err != nil {
		return err
	}
	p.all = append(p.all, &pool{dispatcher, supervising})
	return nil
}

// web is the pool for requests.
func (p *pools) web() *dispatch.Dispatcher { return p.all[0].dispatcher }

// live is the pool for WebSockets, which may be the same.
func (p *pools) live() *dispatch.Dispatcher { return p.all[len(p.all)-1].dispatcher }

// Submit implements edge.Handler.
func (p *pools) Submit(ex *dispatch.Exchange) {
	if ex.Scope.WebSocket {
		p.live().Submit(ex)
		return
	}
	p.web().Submit(ex)
}

// WSGI implements edge.Handler.
func (p *pools) WSGI() bool { return p.web().WSGI() }

// WebSockets implements edge.Handler.
func (p *pools) WebSockets() bool { return p.live().WebSockets() }

// Run supervises every pool's workers until ctx ends, or one pool cannot go on.
func (p *pools) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(p.all))
	var group sync.WaitGroup
	for i, each := range p.all {
		group.Go(func() {
			if errs[i] = each.supervisor.Run(ctx); errs[i] != nil {
				stop() // one that has been handed over ends by itself, and the other one in its own time
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// watchClocks runs the dispatchers' clocks.
func (p *pools) watchClocks(ctx context.Context) error {
	var group sync.WaitGroup
	for _, each := range p.all {
		group.Go(func() { _ = each.dispatcher.Run(ctx) })
	}
	group.Wait()
	return nil
}

// Reload replaces every worker.
func (p *pools) Reload() {
	p.abandoned.Store(false)
	p.reloads.Store(int32(len(p.all)))
	for _, each := range p.all {
		each.supervisor.Reload()
	}
}

// finishReload is called by each supervisor.
func (p *pools) finishReload(err error) {
	if err != nil {
		p.abandoned.Store(true)
	}
	if p.reloads.Add(-1) <= 0 {
		p.reloaded(p.abandoned.Load())
	}
}

// Scale changes how many workers the pool for requests has.
func (p *pools) Scale(by int) { p.all[0].supervisor.Scale(by) }

// EndBy, HandOver and Quit are the supervisors' ways to end.
func (p *pools) EndBy(deadline time.Time) {
	for _, each := range p.all {
		each.supervisor.EndBy(deadline)
	}
}

// HandOver lets the workers end with their last socket.
func (p *pools) HandOver() {
	for _, each := range p.all {
		each.supervisor.HandOver()
	}
}

// Quit ends the workers at once.
func (p *pools) Quit() {
	for _, each := range p.all {
		each.supervisor.Quit()
	}
}

// up gives a channel for each pool that is closed when it can serve: with its first worker, or with all of them.
func (p *pools) up(complete bool) []<-chan struct{} {
	var found []<-chan struct{}
	for _, each := range p.all {
		if complete {
			found = append(found, each.supervisor.Complete())
		} else {
			found = append(found, each.supervisor.Ready())
		}
	}
	return found
}

// load is how many requests run and wait.
func (p *pools) load() (running, waiting int) {
	for _, each := range p.all {
		running += each.dispatcher.InFlight()
		waiting += each.dispatcher.Waiting()
	}
	return running, waiting
}

// count is how many workers of all pools are in each state.
func (p *pools) count() map[supervisor.State]int {
	all := map[supervisor.State]int{}
	for _, each := range p.all {
		for state, n := range each.supervisor.Count() {
			all[state] += n
		}
	}
	return all
}

// turns counts the turns of the dispatchers' clocks.
func (p *pools) turns() (all []uint64) {
	for _, each := range p.all {
		all = append(all, each.dispatcher.Turns())
	}
	return all
}
