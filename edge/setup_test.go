package edge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"backline/accesslog"
	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// patience is how long anything that must happen may take; the machine may be busy.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(dispatchtest.Main(m)) }

// eventually waits until done.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !done(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so after %v", what, patience)
		}
	}
}

// handler answers requests in Go.
type handler struct {
	answer func(ex *dispatch.Exchange)
	wsgi   bool
}

func (h handler) Submit(ex *dispatch.Exchange) { h.answer(ex) }
func (h handler) WSGI() bool                   { return h.wsgi }
func (h handler) WebSockets() bool             { return !h.wsgi }

// hello answers with the request's path.
func hello(ex *dispatch.Exchange) { respond(ex, string(ex.Scope.Path)) }

func respond(ex *dispatch.Exchange, body string) {
	ex.Client.Answer(ex, &wire.Message{Kind: wire.KindAnswer, Status: 200, Data: []byte(body)})
}

// bundle is a server that runs, and what it wrote.
type bundle struct {
	*Server
	t       testing.TB
	address string
	access  *records
	stop    context.CancelFunc
	ended   chan struct{}
}

// grace is for servers at whose end something may still be under way.
const grace = 5 * time.Second

// start runs a server on a free port until the test ends, and sees that nothing is left of it.
func start(t testing.TB, options Options, h Handler) *bundle {
	t.Helper()
	return startOn(t, "127.0.0.1:0", grace, options, h)
}

func startOn(t testing.TB, address string, grace time.Duration, options Options, h Handler) *bundle {
	t.Helper()
	l := listenAt(t, address, options.HTTP3Port != 0)
	b := &bundle{t: t, access: &records{}, address: l.Addr().String(), ended: make(chan struct{})}
	switch options.Access {
	case nil:
		options.Access = b.access
	case noAccess:
		options.Access = nil
	}
	if overTLS && options.TLS == nil {
		options.TLS, l.Plain = serverTLS(), false
	}
	b.Server = New(options, h)
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	go func() {
		defer close(b.ended)
		if err := b.Run(ctx, grace, l); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() {
		stop()
		select {
		case <-b.ended:
		case <-time.After(patience):
			t.Errorf("Run does not return; %d connections are left", b.Connections())
			return
		}
		eventually(t, "all connections are gone", func() bool { return b.Connections() == 0 })
	})
	return b
}

// listenAt has a port for packets too, where that is asked for. A free one of TCP may be somebody's of UDP.
func listenAt(t testing.TB, address string, packets bool) *Listener {
	t.Helper()
	for tries := 1; ; tries++ {
		l, err := Listen(t.Context(), address, 0o600)
		if err == nil && packets {
			if err = l.ListenPackets(t.Context()); err != nil {
				_ = l.Close()
			}
		}
		if err == nil {
			return l
		}
		if !packets || tries == 20 {
			t.Fatal(err)
		}
	}
}

// withWorker runs a server whose requests go to a worker in Go that does what serve does.
func withWorker(t *testing.T, kind string, options Options, dispatching dispatch.Options, serve func(w *worker, m dispatchtest.Message)) *bundle {
	t.Helper()
	dispatching.QueueSize = 1024
	d := dispatch.New(dispatching)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = d.Run(ctx) })
	b := start(t, options, d)
	attach(t, d, kind, serve)
	t.Cleanup(func() {
		cancel()
		group.Wait()
	})
	return b
}

// worker is one in Go whose requests each have a goroutine of their own, and what has come for each.
type worker struct {
	*dispatchtest.Worker
	mu      sync.Mutex
	streams map[uint32]chan dispatchtest.Message
}

func attach(t *testing.T, d *dispatch.Dispatcher, kind string, serve func(w *worker, m dispatchtest.Message)) {
	t.Helper()
	far, conn, control := dispatchtest.New(t, wire.Marshal)
	w := &worker{Worker: far, streams: map[uint32]chan dispatchtest.Message{}}
	link := d.Attach("web.1", wire.Hello{}, wire.Up{Interface: kind, Concurrency: 1000}, conn, control, nil, func(dispatch.Retirement) {})
	var group sync.WaitGroup
	group.Go(func() {
		for m := range w.Messages() {
			if m.Kind == wire.KindRequest || m.Kind == wire.KindEvent {
				w.mu.Lock()
				w.streams[m.Stream] = make(chan dispatchtest.Message, 1<<12)
				w.mu.Unlock()
				group.Go(func() { serve(w, m) })
			} else if m.Kind != wire.KindStop {
				w.stream(m.Stream) <- m
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, each := range w.streams {
			close(each)
		}
	})
	t.Cleanup(func() {
		w.Die()
		link.Close()
		<-link.Gone()
		group.Wait()
	})
}

// stream is where the messages for one request come. Closed when the worker ends.
func (w *worker) stream(n uint32) chan dispatchtest.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.streams[n]
}

// noAccess as Options.Access is for servers without an access log; nil means one that the test can look into.
var noAccess AccessLog = &records{}

// records is an access log.
type records struct {
	mu  sync.Mutex
	all []string
}

func (r *records) NeedsAnswer() bool { return false }

func (r *records) Write(record *accesslog.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	target := "-"
	if record.Scope != nil {
		target = string(record.Scope.Method) + " " + string(record.Scope.Target)
	}
	r.all = append(r.all, fmt.Sprintf("%s %d %d %s", target, record.Status, record.Bytes, record.Aborted))
}

func (r *records) expect(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the access log is %q", want), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return strings.Join(r.all, "\n") == strings.Join(want, "\n") || len(r.all) > len(want) && t.Failed()
	})
}

// contains tells whether a record has all of these.
func (r *records) contains(parts ...string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.all, func(record string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(record, part) })
	})
}

// caller is a client's end of a connection.
type caller struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

// dial gives a client that speaks TLS if the server does.
func (b *bundle) dial() *caller {
	b.t.Helper()
	c := b.dialPlain()
	if b.options.TLS != nil {
		c.Conn = tls.Client(c.Conn, clientTLS())
		c.in.Reset(c.Conn)
	}
	return c
}

func (b *bundle) dialPlain() *caller {
	b.t.Helper()
	network := "tcp"
	if filepath.IsAbs(b.address) {
		network = "unix"
	}
	conn, err := net.DialTimeout(network, b.address, patience)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	return &caller{Conn: conn, t: b.t, in: bufio.NewReader(conn)}
}

func (c *caller) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads one answer, which must have this status, and gives its body and whether it says that the connection closes.
func (c *caller) expect(status int) (body string, closes bool) {
	c.t.Helper()
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("expected an answer: %v", err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatalf("expected a whole body, got %d bytes and: %v", len(all), err)
	}
	if answer.StatusCode != status {
		c.t.Fatalf("status %d, expected %d: %s", answer.StatusCode, status, all)
	}
	return string(all), answer.Close
}

// get asks on a kept-alive connection.
func (c *caller) get(path string) string {
	c.t.Helper()
	c.say("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
	body, _ := c.expect(200)
	return body
}

// expectEnd wants the server to close, without a further byte.
func (c *caller) expectEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Fatalf("expected the end of the connection, got %d bytes (%.60q) and %v", len(rest), rest, err)
	}
}

// pattern is a body in which every part looks different.
func pattern(n int) []byte {
	var b bytes.Buffer
	b.Grow(n + 16)
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%x,", i*7919)
	}
	return b.Bytes()[:n]
}

// logTo makes a log that a test can look into.
func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
