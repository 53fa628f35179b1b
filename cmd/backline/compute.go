package main

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"backline/dispatch"
	"backline/supervisor"
	"backline/wire"
)

// compute is a pool whose processes run what workers of the other pools offload. It starts with the first job: most
// applications never offload anything, and each process takes the memory of a whole application.
type compute struct {
	app        *application // whose functions it can import
	dispatcher *dispatch.Dispatcher
	supervisor *supervisor.Supervisor
	first      sync.Once
	started    atomic.Bool
}

// computeFor gives the pool for an application's jobs. Pools of one project share it, so that their jobs wait in one
// queue. Those with another folder, interpreter or environment have one of their own: the functions of one could not
// be imported by the other, and neither may read the other's pickles.
func (p *pools) computeFor(a *application, log *journal, d wire.Defaults) (*compute, error) {
	for _, each := range p.computes {
		if each.app.sameProject(a) {
			return each, nil
		}
	}
	own, c := *a, *a.config
	c.WorkerClass, c.Workers, c.Lifespan = "compute", c.ComputeWorkers, "off"
	c.Channels = nil
	own.config, own.requests, own.template, own.tcp = &c, false, nil, false
	dispatcher := dispatch.New(dispatch.Options{
		QueueSize: c.ComputeQueueSize, MaxRequests: c.MaxRequests, MaxRequestsJitter: c.MaxRequestsJitter, Log: log.Logger,
		Sessions: p.channels,
	})
	workers := own.supervise(log, newObserver(attachTo(dispatcher)), d)
	workers.Pool, workers.OnDemand, workers.GiveWay, workers.Reloaded = "compute", true, true, p.finishReload
	if len(p.computes) > 0 {
		workers.Pool = "compute-" + strconv.Itoa(len(p.computes)+1)
	}
	supervising, err := supervisor.New(workers)
	if err != nil {
		return nil, err
	}
	made := &compute{app: a, dispatcher: dispatcher, supervisor: supervising}
	p.computes = append(p.computes, made)
	return made, nil
}

// sameProject tells whether workers of both can import each other's modules.
func (a *application) sameProject(b *application) bool {
	return a.dir == b.dir && slices.Equal(a.command, b.command) && slices.Equal(a.environ, b.environ) &&
		slices.Equal(a.config.PythonPath, b.config.PythonPath)
}

// Submit implements dispatch.Jobs.
func (c *compute) Submit(ex *dispatch.Exchange) {
	c.first.Do(func() {
		c.started.Store(true)
		c.supervisor.Demand()
	})
	c.dispatcher.Submit(ex)
}

// runComputes supervises these pools until the result is called: when nobody is left who could offload. Nobody
// waits then for what is still under way, and it has no time to finish.
func (p *pools) runComputes(ctx context.Context) (end func()) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	for _, each := range p.computes {
		group.Go(func() { _ = each.supervisor.Run(ctx) }) // on demand, so it has no error
	}
	return func() {
		for _, each := range p.computes {
			each.dispatcher.Stop()
			each.supervisor.EndBy(time.Now())
		}
		stop()
		group.Wait()
	}
}
