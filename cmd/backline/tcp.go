package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"

	"backline"
	"backline/config"
	"backline/dispatch"
	"backline/edge"
	"backline/supervisor"
	"backline/tcp"
	"backline/wire"
)

// This file is about pools that have connections of raw TCP and no requests. Their supervisor is that of any pool, and
// so is their dispatcher, which nobody submits requests to: it has the workers' control connections, over which they
// are asked for stacks and profiles, and offload.

// bindTCP listens where the settings name functions for raw connections.
func (s *server) bindTCP(ctx context.Context, pools []config.Pool) error {
	s.raw = map[string]*edge.Listener{}
	for _, each := range pools {
		if each.TCP == nil {
			continue
		}
		l, err := s.listen(ctx, each.TCP.Address)
		if err != nil {
			return err
		}
		s.raw[each.Name] = l
	}
	return nil
}

// tcpOptions are those of one pool's listener.
func (s *server) tcpOptions(pool *config.Pool) tcp.Options {
	own, c := &pool.Config, s.config
	options := tcp.Options{
		Listener: s.raw[pool.Name], HandshakeTimeout: c.TLSHandshakeTimeout, WriteTimeout: c.WriteTimeout,
		Patience: own.QueueTimeout, Announced: c.ProxyProtocol, Announcers: s.gate.Announcers,
		MaxConnections: own.MaxRequests, MaxConnectionsJitter: own.MaxRequestsJitter,
		Log: s.log.With("pool", pool.Name),
	}
	if pool.TCP.TLS {
		options.TLS = withoutProtocols(s.certificates.Config())
	}
	return options
}

// withoutProtocols gives a configuration that offers no HTTP: what is spoken here is the application's own.
func withoutProtocols(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.NextProtos = nil
	return c
}

// addTCP makes a pool that has the connections of a listener.
func (p *pools) addTCP(name string, a *application, log *journal, options tcp.Options) error {
	dispatcher, err := p.dispatcherFor(a, log, wire.Defaults{})
	if err != nil {
		return err
	}
	server := tcp.New(options)
	attach := func(w *supervisor.Worker) link {
		retire := func(why tcp.Retirement) {
			reason := supervisor.Broken
			if why == tcp.RetireMaxConnections {
				reason = supervisor.MaxRequests
			}
			w.Retire(reason)
		}
		quiet, end := net.Pipe() // in the place of the connection for requests, which there are none of
		return rawLink{
			Worker: server.Attach(w.Name, w.Hello, w.Up, w.Conn, retire),
			told:   dispatcher.Attach(w.Name, w.Hello, w.Up, quiet, w.Control, nil, func(dispatch.Retirement) {}),
			end:    end,
		}
	}
	each := &pool{
		name: name, config: a.config, app: a, dispatcher: dispatcher, tcp: server, secure: options.TLS != nil,
	}
	return p.supervise(each, newObserver(attach), wire.Defaults{}, log)
}

// rawLink is a listener's connection to a worker, and a dispatcher's, which ends with the process.
type rawLink struct {
	*tcp.Worker

	told *dispatch.WorkerConn
	end  net.Conn // of told's connection for requests
}

// Close is for a worker whose process has gone.
func (l rawLink) Close() {
	l.Worker.Close()
	l.told.Close()
	_ = l.end.Close()
}

// serveTCP accepts the connections of every listener that is no HTTP's, until ctx ends.
func (p *pools) serveTCP(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	for _, each := range p.all {
		if each.tcp != nil {
			group.Go(func() {
				if err := each.tcp.Run(ctx); err != nil {
					stop(err)
				}
			})
		}
	}
	<-ctx.Done()
	group.Wait()
	if err := context.Cause(ctx); err != context.Canceled { //nolint:errorlint // ours, unwrapped
		return err
	}
	return nil
}

// retireTCP accepts no more connections; those that workers have go on.
func (p *pools) retireTCP() {
	for _, each := range p.all {
		if each.tcp != nil {
			each.tcp.Retire()
		}
	}
}

// purpose says for people what one pool is there for.
func (p *pools) purpose(at int) string {
	if each := p.all[at]; each.tcp != nil {
		return "connections to " + each.place()
	}
	if names := p.all[at].config.Channels; len(names) > 0 {
		return "the channels " + strings.Join(names, ", ")
	}
	if routes := p.routesTo(at); routes != "" {
		return routes
	}
	return "nobody"
}

// place is where the pool's clients connect.
func (p *pool) place() string {
	if p.secure {
		return "tls://" + p.tcp.Addr().String()
	}
	return "tcp://" + p.tcp.Addr().String()
}

// tcpAlone is the error for a server without an application.
func tcpAlone() error {
	return &backline.Error{
		Op: "tcp", Code: backline.CodeUsage, Message: "raw TCP stands beside an application, and none is named",
		Hint: "name one, such as a page that says how the server is: backline serve mysite.wsgi --tcp ...",
	}
}

// checkRoute refuses requests for who has none.
func checkRoute(r *config.Route, to *config.Pool) error {
	if to.Answers() {
		return nil
	}
	has := "connections of raw TCP"
	if to.TCP == nil {
		has = "messages of channels"
	}
	return &backline.Error{
		Op: r.Origin.String(), Code: backline.CodeUsage,
		Message: fmt.Sprintf("the pool %s has %s, which no route leads to", to.Name, has),
		Hint:    "lead the route to a pool with an application",
	}
}
