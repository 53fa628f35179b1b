package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"backline/config"
	"backline/dispatch"
	"backline/edge"
	"backline/route"
	"backline/supervisor"
	"backline/tcp"
	"backline/wire"
)

// pools are the applications that are served, each with workers and a queue of its own. All that they share is the
// edge, so that none can take another's workers, or its place in a queue.
type pools struct {
	all       []*pool
	channels  *channels         // what processes send each other
	computes  []*compute        // those that run what the workers of all offload
	table     route.Table       // which of them a request is for
	health    []string          // paths whose requests are urgent
	reloads   atomic.Int32      // pools that have not finished a reload
	abandoned atomic.Bool       // one of them had to keep its old workers
	reloaded  func(failed bool) // when the last one has finished
}

// pool is one of them.
type pool struct {
	name       string
	config     *config.Config // the pool's own settings where it has some, else the server's
	app        *application
	dispatcher *dispatch.Dispatcher
	tcp        *tcp.Server // of raw connections; nil for a pool that has requests
	secure     bool        // its connections are of TLS
	supervisor *supervisor.Supervisor
	plain      edge.Route // where its requests go
	urgent     edge.Route // the same for those that may not wait long
}

// newPools makes the pools that the settings name, and decides which requests are whose.
func newPools(p *process, loaded *config.Loaded, log *journal, listeners []*edge.Listener,
	connections func(*config.Pool) tcp.Options, reloaded func(bool),
) (*pools, error) {
	table, err := newTable(loaded, log)
	if err != nil {
		return nil, err
	}
	all := &pools{table: table, reloaded: reloaded, health: loaded.Config.HealthPaths}
	if all.channels, err = newChannels(loaded, log); err != nil {
		return nil, err
	}
	for i := range loaded.Pools {
		each := &loaded.Pools[i]
		if each.Config.App == "" {
			return nil, nameless(each)
		}
		app, err := newApplication(p, &each.Config)
		if err != nil {
			return nil, err
		}
		app.requests = all.takesRequests(i)
		if app.tcp = each.TCP != nil; app.tcp {
			err = all.addTCP(each.Name, app, log, connections(each))
		} else {
			_, err = all.add(each.Name, app, log, listeners)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// add makes a pool that has no requests yet: routes lead clients' to it, and whoever has others submits them to its
// dispatcher.
func (p *pools) add(name string, a *application, log *journal, listeners []*edge.Listener) (*pool, error) {
	defaults := a.defaults(listeners)
	dispatcher, err := p.dispatcherFor(a, log, defaults)
	if err != nil {
		return nil, err
	}
	each := &pool{name: name, config: a.config, app: a, dispatcher: dispatcher}
	each.plain = edge.Route{Handler: dispatcher, RootPath: a.config.RootPath, Posts: each.posts()}
	each.urgent = each.plain
	each.urgent.Urgent = true
	return each, p.supervise(each, newObserver(attachTo(dispatcher)), defaults, log)
}

// dispatcherFor makes a pool's dispatcher.
func (p *pools) dispatcherFor(a *application, log *journal, d wire.Defaults) (*dispatch.Dispatcher, error) {
	options := dispatchOptions(a.config, log.Logger)
	compute, err := p.computeFor(a, log, d)
	if err != nil {
		return nil, err
	}
	options.Defaults, options.Jobs, options.Sessions = d, compute, p.channels
	return dispatch.New(options), nil
}

// supervise gives a pool its supervisor, which tells o of the workers.
func (p *pools) supervise(each *pool, o *observer, defaults wire.Defaults, log *journal) (err error) {
	workers := each.app.supervise(log, o, defaults)
	workers.Pool, workers.Reloaded = each.name, p.finishReload
	if each.supervisor, err = supervisor.New(workers); err == nil {
		p.all = append(p.all, each)
	}
	return err
}

// answers tells whether requests may be led to it.
func (p *pool) answers() bool { return p.tcp == nil && len(p.config.Channels) == 0 }

// posts tells whether its application is asked by POST about WebSockets.
func (p *pool) posts() bool { return p.config.WebSocketOverHTTP && p.config.Grip }

// sockets tells whether clients may have WebSockets of it.
func (p *pool) sockets() bool { return p.posts() || p.dispatcher.WebSockets() }

// serving is what the worker that came up last said of itself.
func (p *pool) serving() wire.Up { return p.dispatcher.Serving() }

// inFlight is how many requests, or connections, workers have.
func (p *pool) inFlight() int {
	if p.tcp != nil {
		return p.tcp.Connections()
	}
	return p.dispatcher.InFlight()
}

// first is the pool of the application that the server is named after.
func (p *pools) first() *pool { return p.all[0] }

// Run supervises every pool's workers until ctx ends, or one pool cannot go on.
func (p *pools) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(p.all))
	endComputes := p.runComputes(ctx)
	var group sync.WaitGroup
	for i, each := range p.all {
		group.Go(func() {
			if errs[i] = each.supervisor.Run(ctx); errs[i] != nil {
				stop() // one that has been handed over ends by itself, and the other ones in their own time
			}
		})
	}
	group.Wait()
	endComputes()
	return errors.Join(errs...)
}

// watchClocks runs the dispatchers' clocks.
func (p *pools) watchClocks(ctx context.Context) error {
	var group sync.WaitGroup
	for _, each := range p.all {
		group.Go(func() { _ = each.dispatcher.Run(ctx) })
	}
	for _, each := range p.computes {
		group.Go(func() { _ = each.dispatcher.Run(ctx) })
	}
	group.Wait()
	return nil
}

// Reload replaces every worker.
func (p *pools) Reload() {
	p.abandoned.Store(false)
	var reloading []*supervisor.Supervisor
	for _, each := range p.all {
		reloading = append(reloading, each.supervisor)
	}
	for _, each := range p.computes {
		if each.started.Load() {
			reloading = append(reloading, each.supervisor)
		}
	}
	p.reloads.Store(int32(len(reloading)))
	for _, each := range reloading {
		each.Reload()
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

// Scale changes how many workers each pool has. Those that have WebSockets alone keep theirs: their number is for what
// one socket sends to others, not for how much there is to do.
func (p *pools) Scale(by int) {
	for i, each := range p.all {
		if p.takesRequests(i) || !each.answers() {
			each.supervisor.Scale(by)
		}
	}
}

// EndBy, HandOver and Quit are the supervisors' ways to end. Each pool has its own time from now on.
func (p *pools) EndBy(now time.Time) {
	for _, each := range p.all {
		each.supervisor.EndBy(now.Add(each.config.GracefulTimeout))
	}
}

// grace is how long the most patient pool's requests may take to finish.
func (p *pools) grace() time.Duration {
	var longest time.Duration
	for _, each := range p.all {
		longest = max(longest, each.config.GracefulTimeout)
	}
	return longest
}

// bootTimeout is how long the slowest pool's workers may take to come up; 0 is for ever.
func (p *pools) bootTimeout() time.Duration {
	var longest time.Duration
	for _, each := range p.all {
		if each.config.WorkerBootTimeout == 0 {
			return 0
		}
		longest = max(longest, each.config.WorkerBootTimeout)
	}
	return longest
}

// HandOver lets the workers end with their last socket, and what runs their jobs with the last of them. Those that are
// called with events of sockets have none; they end when the edge has no such sockets any more.
func (p *pools) HandOver(events bool) {
	for _, each := range p.all {
		if (each.serving().Interface == socketsInterface || each.posts()) == events {
			each.supervisor.HandOver()
		}
	}
}

// socketsInterface is that of workers which are called with events of WebSockets.
const socketsInterface = "sockets"

// Quit ends the workers at once.
func (p *pools) Quit() {
	for _, each := range p.all {
		each.supervisor.Quit()
	}
	for _, each := range p.computes {
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

// turns counts the turns of the dispatchers' clocks.
func (p *pools) turns() (all []uint64) {
	for _, each := range p.all {
		all = append(all, each.dispatcher.Turns())
	}
	return all
}
