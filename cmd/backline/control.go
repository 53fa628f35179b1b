package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"backline/control"
	"backline/dispatch"
	"backline/supervisor"
)

// This file is the server's end of the control socket: what the commands ps, stacks and profile are answered with.

// requestsShown is how many requests of each worker, and of each queue, are told.
const requestsShown = 1000

// controlPlace is where the server of an application's folder has its socket; false where it has none.
func (p *process) controlPlace(socket, state, folder string) (control.Place, bool) {
	switch {
	case socket == "off":
		return control.Place{}, false
	case socket != "":
		return control.Place{Path: p.path(socket)}, true
	case state == "":
		return control.Place{}, false
	}
	return control.Place{Folder: filepath.Join(p.path(state), "control"), Name: control.NameOf(folder)}, true
}

// openControl makes the socket, which nobody finds yet. A server without one serves as well.
func (s *server) openControl() {
	folder, err := s.process.applicationFolder(s.config)
	if err != nil {
		s.withoutControl(err)
		return
	}
	place, wanted := s.process.controlPlace(s.config.ControlSocket, s.config.StateDir, folder)
	if !wanted {
		return
	}
	s.control, err = control.Open(place, control.Options{
		Identity: s.identity, Status: s.controlStatus, Stacks: s.pools.stacks, Profile: s.pools.profile,
		Session: s.pools.channels.serve, Sessions: s.config.ChannelSessions, Log: s.log.Logger,
	})
	if err != nil {
		s.withoutControl(err)
	}
}

// startControl answers on the socket, as long as everything else: what hangs at the start or the end is of interest.
func (s *server) startControl(all *parts, first bool) {
	if s.openControl(); s.control == nil {
		return
	}
	all.start(s.control.Run)
	if first {
		s.claimControl(0)
	}
}

// claimControl gives the socket its name, which a predecessor may have.
func (s *server) claimControl(predecessor int) {
	if s.control == nil {
		return
	}
	if err := s.control.Claim(predecessor); err != nil {
		s.withoutControl(err)
	}
}

func (s *server) withoutControl(err error) {
	s.log.Warn("backline ps, stacks and profile cannot reach this server", "error", err,
		"hint", "name a place for its socket with --control-socket, or off")
}

// identity says which server this is.
func (s *server) identity() control.Identity {
	var apps []string
	for _, each := range s.pools.all {
		if app := each.config.App; !slices.Contains(apps, app) {
			apps = append(apps, app)
		}
	}
	return control.Identity{
		PID: os.Getpid(), Version: version, App: strings.Join(apps, " and "), Folder: s.pools.first().app.dir,
		Addresses: s.addresses(), Uptime: time.Since(s.started).Seconds(), Stage: stage(s.stage.Load()).String(),
	}
}

// controlStatus says what the server does.
func (s *server) controlStatus() control.Status {
	status := control.Status{Identity: s.identity(), Sockets: s.socketStatus()}
	for _, each := range s.pools.all {
		status.Pools = append(status.Pools, each.status())
	}
	return status
}

// socketStatus is what the edge holds without a worker.
func (s *server) socketStatus() control.Sockets {
	found := control.Sockets{Held: s.edge.Talks(), Waiting: s.edge.WaitingEvents(), Lost: s.edge.LostMessages()}
	for _, each := range s.pools.channels.hub.Drops() {
		if each.Kind == "group" {
			found.Dropped = append(found.Dropped, control.Overflow{Group: each.Name, Count: each.Count})
		}
	}
	slices.SortFunc(found.Dropped, func(a, b control.Overflow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Group, b.Group))
	})
	return found
}

// status joins what the supervisor knows of the processes with what the dispatcher knows of their requests.
func (p *pool) status() control.Pool {
	now := p.dispatcher.Snapshot(requestsShown)
	pool := control.Pool{
		Name: p.name, Channels: p.config.Channels,
		Waiting: control.Waiting{Count: now.Waiting, Oldest: now.Oldest.Seconds(), Requests: requests(now.Queue)},
		Workers: []control.Worker{},
	}
	for _, process := range p.supervisor.Snapshot() {
		worker := joined(process, now.Workers)
		if p.tcp != nil && worker.Interface != "" {
			worker.Interface = "tcp"
			worker.Served, worker.InFlight = p.tcp.Load(process.Name)
		}
		pool.Workers = append(pool.Workers, worker)
	}
	return pool
}

func joined(process supervisor.WorkerStatus, known []dispatch.WorkerSnapshot) control.Worker {
	worker := control.Worker{
		Name: process.Name, PID: process.PID, State: process.State.String(), Uptime: process.Age.Seconds(),
		Memory: process.RSS, Restarts: process.Restarts, Requests: []control.Request{},
	}
	for _, each := range known {
		if each.Name != process.Name {
			continue
		}
		worker.Interface, worker.Loop, worker.Concurrency = "asgi", each.Loop, each.Concurrency
		if each.WSGI {
			worker.Interface = "wsgi"
		}
		if each.Events {
			worker.Interface = socketsInterface
		}
		worker.Served, worker.InFlight, worker.Sockets = each.Served, each.InFlight, each.Sockets
		worker.Stalls = control.Stalls{Loop: each.Stalls.Loop, Busy: each.Stalls.Busy}
		worker.Requests = requests(each.Requests)
	}
	return worker
}

func requests(all []dispatch.RequestSnapshot) []control.Request {
	told := make([]control.Request, 0, len(all))
	for _, each := range all {
		told = append(told, control.Request{
			Method: each.Method, Target: each.Target, State: each.State, Age: each.Age.Seconds(), Stream: each.Stream,
		})
	}
	return told
}

// server finds the server that a command is about.
func (p *process) server(ctx context.Context, which whichServer) (*control.Client, error) {
	if which.socket != "" {
		return control.Find(ctx, control.Place{Path: p.path(which.socket)}, 0)
	}
	pid, err := which.number(p)
	if err != nil {
		return nil, err
	}
	loaded, err := p.loadQuietly()
	if err != nil {
		return nil, err
	}
	folder, err := p.applicationFolder(&loaded.Config)
	if err != nil {
		return nil, err
	}
	place, wanted := p.controlPlace(loaded.Config.ControlSocket, loaded.Config.StateDir, folder)
	if !wanted {
		return nil, noPlace()
	}
	return control.Find(ctx, place, pid)
}
