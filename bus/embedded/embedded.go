// Package embedded is a bus without a server of its own: each node runs the core of a NATS server in its process, which
// has no client but this node, and these servers have connections to each other.
package embedded

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"backline/bus"
	"backline/bus/nats"
)

// Options say where this node is, and the others.
type Options struct {
	// Name is this node's, and no other's. It stays the same from start to start.
	Name string
	// Cluster is the same for all.
	Cluster string
	// Listen is HOST:PORT, on which the others reach this node.
	Listen string
	// Peers are HOST:PORT of others. One that lives is enough: it knows the rest.
	Peers []string
	// Secret is what nodes show each other. Empty: nothing.
	Secret string
	// TLS is for connections between nodes; nil: they are not encrypted.
	TLS *tls.Config
	Log *slog.Logger
}

// Bus is a server in this process.
type Bus struct {
	options Options
	server  *server.Server
	client  *nats.Bus
}

const (
	ready       = 5 * time.Second
	listenAgain = 200 * time.Millisecond
	userName    = "backline"
	authTime    = 2 // seconds
	pingEvery   = 2 * time.Second
	writeLimit  = 2 * time.Second
)

// New makes the server, which runs with Run.
func New(options Options) (*Bus, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	host, portText, err := net.SplitHostPort(options.Listen)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, err
	}
	cluster := server.ClusterOpts{
		Name: options.Cluster, Host: host, Port: port, AuthTimeout: authTime, TLSConfig: options.TLS, TLSTimeout: authTime,
		PoolSize: 1, PingInterval: pingEvery, MaxPingsOut: 2, WriteDeadline: writeLimit,
		Compression: server.CompressionOpts{Mode: server.CompressionOff},
	}
	if options.Secret != "" {
		cluster.Username, cluster.Password = userName, options.Secret
	}
	// With DontListen the server (2.15.3) never opens its routes: they wait for the clients' listener. So there is one, on
	// the loopback interface, for which nobody but this process has the token.
	token := rand.Text()
	s, err := server.NewServer(&server.Options{
		ServerName: options.Name, Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: token,
		NoSigs: true, MaxPayload: bus.MaxData, Cluster: cluster,
		Routes: routes(options), ConnectErrorReports: reportEvery, ReconnectErrorReports: reportEvery,
	})
	if err != nil {
		return nil, fmt.Errorf("the bus in this process: %w", err)
	}
	s.SetLogger(&logger{log: options.Log}, false, false)
	return &Bus{
		options: options, server: s, client: nats.New(nats.Options{Name: options.Name, InProcess: s, Token: token}),
	}, nil
}

func routes(options Options) (all []*url.URL) {
	for _, peer := range options.Peers {
		u := &url.URL{Scheme: "nats", Host: peer}
		if options.Secret != "" {
			u.User = url.UserPassword(userName, options.Secret)
		}
		all = append(all, u)
	}
	return all
}

// Name implements bus.Bus.
func (b *Bus) Name() string { return "embedded, on " + b.options.Listen }

// Run implements bus.Bus.
func (b *Bus) Run(ctx context.Context, h bus.Handler) error {
	if !b.free(ctx, h) {
		return nil
	}
	b.server.Start()
	defer b.server.WaitForShutdown()
	defer b.server.Shutdown()
	if !b.server.ReadyForConnections(ready) {
		return errors.New("the bus in this process did not start within 5 s")
	}
	return b.client.Run(ctx, h)
}

// free waits until the address can be listened on: after an upgrade the process before this one has it until its last
// client has gone. The server would end the process if it could not listen. False: the context has ended.
func (b *Bus) free(ctx context.Context, h bus.Handler) bool {
	for said := false; ; said = true {
		l, err := net.Listen("tcp", b.options.Listen)
		if err == nil {
			_ = l.Close()
			return true
		}
		if !said {
			h.Down(fmt.Errorf("the bus cannot listen yet: %w; choose another bus_listen if this stays so", err))
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(listenAgain):
		}
	}
}

// Send implements bus.Bus.
func (b *Bus) Send(ctx context.Context, batch []bus.Packet) error { return b.client.Send(ctx, batch) }
