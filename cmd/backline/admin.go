package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"backline/admin"
	"backline/edge"
	"backline/h1"
	"backline/supervisor"
)

// stage is how far the server's life has come, for those who ask for its health.
type stage int32

const (
	starting stage = iota
	working
	upgraded // another process serves in its place
	stopping
)

// String is the stage as backline ps shows it.
func (s stage) String() string {
	return [...]string{starting: "starting", working: "up", upgraded: "succeeded", stopping: "stopping"}[s]
}

// The bounds of the address for operators: a few machines ask there, each now and then, for a few hundred bytes.
const (
	adminConnections = 32
	adminPatience    = 5 * time.Second
)

// newAdmin makes the server on the address for operators.
func (s *server) newAdmin() (*edge.Server, error) {
	options := edge.Options{
		Head:    h1.Limits{RequestLine: 1 << 10, HeaderBlock: 8 << 10, HeaderFields: 50},
		MaxBody: s.config.PublishMaxBody, WholeBody: int(s.config.PublishMaxBody), BodyMemory: int(s.config.PublishMaxBody),
		HeaderTimeout: adminPatience, WriteTimeout: adminPatience, KeepAlive: time.Minute,
		MaxConnections: adminConnections, Pollers: 1, Log: s.log.Logger,
	}
	counted, err := newMetrics(s.pools, s.edge)
	if err != nil {
		return nil, err
	}
	return edge.New(options, admin.New(s.health, counted.text, s.publishing())), nil
}

// runAdmin answers operators. It begins before everything else and ends after it, so that it can say what goes on.
func (s *server) runAdmin(ctx context.Context) error {
	return s.admin.Run(ctx, time.Second, s.adminListener)
}

// health says how the server is. It only looks at counters, so it neither waits for a worker nor disturbs one.
func (s *server) health() admin.Health {
	h := admin.Health{
		Live: !s.broken(), Version: version, PID: os.Getpid(), Uptime: int(time.Since(s.started).Seconds()),
		Connections: s.edge.Connections(),
	}
	for _, each := range s.pools.all {
		pool := each.health()
		h.Pools = append(h.Pools, pool)
		h.Workers.Serving += pool.Workers.Serving
		h.Workers.Starting += pool.Workers.Starting
		h.Workers.Ending += pool.Workers.Ending
		h.Requests.Running += pool.Requests.Running
		h.Requests.Waiting += pool.Requests.Waiting
	}
	h.Reason = s.unready(h.Pools[0].Workers)
	h.Ready = h.Reason == ""
	if len(h.Pools) == 1 {
		h.Pools = nil // it is the whole
	}
	return h
}

func (p *pool) health() admin.Pool {
	h := admin.Pool{Name: p.name}
	h.Requests.Running, h.Requests.Waiting = p.inFlight(), p.dispatcher.Waiting()
	for state, n := range p.supervisor.Count() {
		switch state {
		case supervisor.Starting, supervisor.Importing:
			h.Workers.Starting += n
		case supervisor.Up:
			h.Workers.Serving += n
		default:
			h.Workers.Ending += n
		}
	}
	return h
}

// unready says why requests should not come here; "" if they should. The workers are the first pool's: where another
// one has none up, a balancer that sent nothing here would take away what works.
func (s *server) unready(workers admin.Workers) string {
	switch stage(s.stage.Load()) {
	case starting:
		return "the server starts: no worker has come up yet"
	case upgraded:
		return "another process serves in the place of this one"
	case stopping:
		return "the server stops"
	}
	if workers.Serving == 0 {
		return fmt.Sprintf("no worker is up; %d are starting", workers.Starting)
	}
	return ""
}
