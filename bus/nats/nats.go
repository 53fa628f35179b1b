// Package nats is a bus over a NATS server: its core, which carries messages at most once. JetStream is not used.
package nats

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	client "github.com/nats-io/nats.go"

	"backline/bus"
)

// Options say which server, and how.
type Options struct {
	// URL is one server, nats://[USER:PASSWORD@]HOST:PORT, or several of one cluster, separated by commas.
	URL string
	// Name is what the server calls this connection.
	Name string
	// TLS is for tls:// and for servers that demand it. nil: the system's certificates.
	TLS *tls.Config
	// InProcess is a server of this process, in place of URL, and Token what it wants to see.
	InProcess client.InProcessConnProvider
	Token     string
}

// Bus is a connection to NATS.
type Bus struct {
	options Options

	mu       sync.Mutex
	conn     *client.Conn // nil before Run
	subjects map[string]*client.Subscription

	arrivals chan *client.Msg
	down     atomic.Bool // Handler.Down has been told of this interruption
	first    sync.Once   // Handler.Up was told for the first time, which two may find
}

// New makes a bus that does nothing before Run.
func New(options Options) *Bus {
	return &Bus{
		options: options, subjects: map[string]*client.Subscription{},
		arrivals: make(chan *client.Msg, arrivalsAtMost),
	}
}

// arrivalsAtMost is how many messages wait for this process to look: the client drops what comes beyond.
const arrivalsAtMost = 1 << 13

const (
	pingEvery = 2 * time.Second // a server that does not answer two of them counts as away
	firstWait = 50 * time.Millisecond
	longWait  = 2 * time.Second
	lastWords = 250 * time.Millisecond
	writeTime = 2 * time.Second
)

// Name implements bus.Bus.
func (b *Bus) Name() string { return bus.Redact(b.options.URL) }

// Run implements bus.Bus.
func (b *Bus) Run(ctx context.Context, h bus.Handler) error {
	conn, err := client.Connect(b.options.URL, b.dialing(b.hearing(h))...)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.conn = conn
	for subject := range b.subjects {
		err = errors.Join(err, b.subscribe(subject))
	}
	b.mu.Unlock()
	if err != nil {
		conn.Close()
		return err
	}
	if conn.IsConnected() {
		b.first.Do(func() { b.up(conn, h) })
	}
	for {
		select {
		case m := <-b.arrivals:
			h.Receive(m.Subject, m.Data)
		case <-ctx.Done():
			if conn.IsConnected() {
				_ = conn.FlushTimeout(lastWords)
			}
			conn.Close()
			return nil
		}
	}
}

func (b *Bus) dialing(options []client.Option) []client.Option {
	options = append(options,
		client.Name(b.options.Name), client.NoEcho(), client.MaxReconnects(-1), client.RetryOnFailedConnect(true),
		client.IgnoreAuthErrorAbort(), client.PingInterval(pingEvery), client.MaxPingsOutstanding(2),
		client.FlusherTimeout(writeTime), client.Timeout(writeTime),
		// What is published while the server is away is lost, and asked for afterwards: sent late, it would only come
		// twice.
		client.ReconnectBufSize(-1),
		client.CustomReconnectDelay(func(attempts int) time.Duration {
			return min(firstWait<<min(attempts, 10), longWait)
		}))
	if b.options.TLS != nil {
		options = append(options, client.Secure(b.options.TLS))
	}
	if b.options.InProcess != nil {
		options = append(options, client.InProcessServer(b.options.InProcess), client.Token(b.options.Token))
	}
	return options
}

func (b *Bus) hearing(h bus.Handler) []client.Option {
	return []client.Option{
		client.DisconnectErrHandler(func(c *client.Conn, err error) {
			if !c.IsClosed() {
				b.fell(h, err)
			}
		}),
		client.ReconnectErrHandler(func(_ *client.Conn, err error) { b.fell(h, err) }),
		client.ConnectHandler(func(c *client.Conn) {
			b.mu.Lock()
			running := b.conn != nil // else Run says it, when subscriptions are made
			b.mu.Unlock()
			if running {
				b.first.Do(func() { b.up(c, h) })
			}
		}),
		client.ReconnectHandler(func(c *client.Conn) { b.up(c, h) }),
		client.ErrorHandler(func(_ *client.Conn, _ *client.Subscription, err error) {
			if errors.Is(err, client.ErrSlowConsumer) {
				h.Lost()
			}
		}),
	}
}

// up tells that the bus is there, once the server has seen all subscriptions.
func (b *Bus) up(c *client.Conn, h bus.Handler) {
	if err := c.FlushTimeout(writeTime); err != nil {
		return // it is away again, and will be told so
	}
	b.down.Store(false)
	h.Up()
}

func (b *Bus) fell(h bus.Handler, err error) {
	if !b.down.Swap(true) {
		if err == nil {
			err = errors.New("the server closed the connection")
		}
		h.Down(err)
	}
}

// Send implements bus.Bus.
func (b *Bus) Send(_ context.Context, batch []bus.Packet) (first error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range batch {
		var err error
		switch {
		case p.Do == bus.Unsubscribe:
			if s := b.subjects[p.Subject]; s != nil {
				err = s.Unsubscribe()
			}
			delete(b.subjects, p.Subject)
		case p.Do == bus.Subscribe:
			if b.subjects[p.Subject] == nil {
				b.subjects[p.Subject] = nil // Run makes it, where there is no connection yet
				err = b.subscribe(p.Subject)
			}
		case b.conn == nil:
			err = client.ErrConnectionClosed
		default:
			err = b.conn.Publish(p.Subject, p.Data)
		}
		if err != nil && first == nil {
			first = err
		}
	}
	return first
}

// subscribe makes a subscription that the client makes again whenever it reconnects. The caller holds the lock.
func (b *Bus) subscribe(subject string) (err error) {
	if b.conn == nil {
		return nil
	}
	b.subjects[subject], err = b.conn.ChanSubscribe(subject, b.arrivals)
	return err
}
