// Package redis is a bus over a Redis server, or one that speaks its protocol: its PUBLISH and SUBSCRIBE.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	client "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"backline/bus"
)

// Options say which server, and how.
type Options struct {
	// URL is redis://[USER:PASSWORD@]HOST:PORT[/DB], rediss:// for TLS, or unix://PATH.
	URL string
	// Name is what the server calls this connection.
	Name string
	// TLS replaces what rediss:// does with the system's certificates.
	TLS *tls.Config
}

// Bus is a connection that subscribes, and another that publishes.
type Bus struct {
	options Options
	client  *client.Client

	mu       sync.Mutex
	pubsub   *client.PubSub
	subjects map[string]struct{}
}

const (
	silence   = 2 * time.Second // of the server, before it is asked whether it lives; as long again, and it counts as away
	firstWait = 50 * time.Millisecond
	longWait  = 2 * time.Second
	patience  = 2 * time.Second
)

// New makes a bus that does nothing before Run.
func New(options Options) (*Bus, error) {
	o, err := client.ParseURL(options.URL)
	if err != nil {
		return nil, err
	}
	o.ClientName, o.Protocol = options.Name, 2
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = patience, patience, patience
	o.MaxRetries = -1 // to publish twice would be worse than to lose it: who missed it asks
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if options.TLS != nil && o.TLSConfig != nil {
		o.TLSConfig = options.TLS
	}
	c := client.NewClient(o)
	return &Bus{
		options: options, client: c, pubsub: c.Subscribe(context.Background()), subjects: map[string]struct{}{},
	}, nil
}

// Name implements bus.Bus.
func (b *Bus) Name() string { return bus.Redact(b.options.URL) }

// Run implements bus.Bus.
func (b *Bus) Run(ctx context.Context, h bus.Handler) error {
	defer b.client.Close()
	defer func() { _ = b.current().Close() }()
	// Receive cannot be interrupted by its context once it reads.
	stop := context.AfterFunc(ctx, func() { _ = b.current().Close() })
	defer stop()
	l := listening{bus: b, handler: h, asked: true, wait: firstWait}
	err := b.current().Ping(ctx)
	for ctx.Err() == nil {
		var v any
		if err == nil {
			v, err = b.current().ReceiveTimeout(ctx, silence)
		}
		if err == nil {
			l.received(v)
			continue
		}
		err = l.failed(ctx, err)
	}
	return nil
}

// listening is what Run knows of the connection that subscribes.
type listening struct {
	bus     *Bus
	handler bus.Handler
	up      bool
	told    bool // that it is down
	asked   bool // whether it lives
	wait    time.Duration
}

func (l *listening) received(v any) {
	l.asked, l.wait = false, firstWait
	switch v := v.(type) {
	case *client.Message:
		l.handler.Receive(v.Channel, []byte(v.Payload))
	case *client.Pong:
		if !l.up {
			l.up, l.told = true, false
			l.handler.Up()
		}
	}
}

// failed asks the server whether it lives. The client connects for that where it has to, and subscribes again first, so
// that the answer says that all of that is done.
func (l *listening) failed(ctx context.Context, err error) error {
	timeout, isNet := errors.AsType[net.Error](err)
	if isNet && timeout.Timeout() && !l.asked {
		l.asked = true
		return l.bus.current().Ping(ctx)
	}
	if !l.told && ctx.Err() == nil {
		l.told = true
		l.handler.Down(err)
	}
	if l.up && l.asked {
		// It does not answer. Only with this does the client make a new connection.
		l.bus.drop()
	}
	l.up, l.asked = false, true
	timer := time.NewTimer(l.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.wait = min(2*l.wait, longWait)
	return l.bus.current().Ping(ctx)
}

func (b *Bus) current() *client.PubSub {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pubsub
}

// drop replaces the connection that subscribes.
func (b *Bus) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.pubsub.Close()
	// Without an answer: the client subscribes when it connects, and that may take its time.
	b.pubsub = b.client.Subscribe(context.Background())
	expired, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.pubsub.Subscribe(expired, slices.Collect(maps.Keys(b.subjects))...)
}

func (b *Bus) subscribe(ctx context.Context, subject string) error {
	b.mu.Lock()
	b.subjects[subject] = struct{}{}
	p := b.pubsub
	b.mu.Unlock()
	return p.Subscribe(ctx, subject)
}

func (b *Bus) unsubscribe(ctx context.Context, subject string) error {
	b.mu.Lock()
	delete(b.subjects, subject)
	p := b.pubsub
	b.mu.Unlock()
	return p.Unsubscribe(ctx, subject)
}

// Send implements bus.Bus.
func (b *Bus) Send(ctx context.Context, batch []bus.Packet) (first error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pipe := b.client.Pipeline()
	for _, p := range batch {
		var err error
		switch p.Do {
		case bus.Subscribe:
			err = b.subscribe(ctx, p.Subject)
		case bus.Unsubscribe:
			err = b.unsubscribe(ctx, p.Subject)
		default:
			pipe.Publish(ctx, p.Subject, p.Data)
		}
		if err != nil && first == nil {
			first = err
		}
	}
	if pipe.Len() > 0 {
		if _, err := pipe.Exec(ctx); err != nil && first == nil {
			first = err
		}
	}
	return first
}
