package dispatch

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"backline"
	"backline/dispatch/dispatchtest"
	"backline/wire"
)

func TestMain(m *testing.M) { os.Exit(dispatchtest.Main(m)) }

// bundle is a dispatcher whose clock the test turns itself, by look, so that nothing depends on how busy the machine
// is.
type bundle struct {
	*Dispatcher
	t    *testing.T
	logs *logs

	exchanges Exchanges

	mu      sync.Mutex
	clients []*client
}

// setup makes a dispatcher. At the test's end its workers must have let go of every exchange.
func setup(t *testing.T, options Options) *bundle {
	t.Helper()
	t.Parallel()
	b := &bundle{t: t, logs: &logs{}}
	options.Log = slog.New(slog.NewTextHandler(b.logs, nil))
	b.Dispatcher = New(options)
	t.Cleanup(func() {
		b.Stop()
		for _, c := range b.clients {
			eventually(t, c.path+" is only held by its client", func() bool { return c.ex.refs.Load() == 1 })
			c.ex.Release()
		}
		if n := b.InFlight(); n != 0 {
			t.Errorf("%d requests in flight after the end", n)
		}
	})
	return b
}

// logs keeps what was logged.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) contain(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// attached is a worker and what the dispatcher wants of it.
type attached struct {
	*dispatchtest.Worker
	link    *WorkerConn
	retired chan Retirement
	marks   []byte // what the worker says it has begun; it says nothing until the last byte is 1
}

func (b *bundle) attach(kind string, concurrency int) *attached {
	return b.attachCodec(kind, concurrency, wire.Marshal)
}

func (b *bundle) attachCodec(kind string, concurrency int, codec wire.Codec) *attached {
	b.t.Helper()
	worker, conn, control := dispatchtest.New(b.t, codec)
	a := b.attachConns(kind, concurrency, codec, conn, control)
	a.Worker = worker
	return a
}

func (b *bundle) attachConns(kind string, concurrency int, codec wire.Codec, conn, control net.Conn) *attached {
	a := &attached{retired: make(chan Retirement, 4)}
	up := wire.Up{Interface: kind, EventLoop: kind != "wsgi", Concurrency: concurrency}
	if kind == "gevent" {
		up.Interface = "wsgi"
	}
	a.marks = make([]byte, wire.BegunSize)
	a.link = b.Attach("web.1", wire.Hello{PID: 7, Codec: codec}, up, conn, control, wire.NewBegun(a.marks), func(why Retirement) { a.retired <- why })
	b.t.Cleanup(func() {
		_ = conn.Close()
		a.link.Close()
		<-a.link.Gone()
	})
	return a
}

// fast makes the worker look as if its requests took 100 us.
func (a *attached) fast() *attached { return a.withPace(100 * time.Microsecond) }

func (a *attached) withPace(pace time.Duration) *attached {
	a.link.dispatcher.mu.Lock()
	defer a.link.dispatcher.mu.Unlock()
	a.link.pace = pace
	return a
}

// traced answers a question for stacks, as the thread behind a worker's second connection does.
func (a *attached) traced() {
	asked := a.NextStacks()
	for asked.Kind == wire.KindWatch { // which wants no answer
		asked = a.NextStacks()
	}
	a.SendTrace(asked.Stream, "File views.py, line 7, in loop")
}

func (a *attached) expectRetired(t *testing.T, want Retirement) {
	t.Helper()
	select {
	case got := <-a.retired:
		if got != want {
			t.Fatalf("retired for %q, expected %q", got, want)
		}
	case <-time.After(dispatchtest.Patience):
		t.Fatalf("the worker is not to be replaced; expected for %q", want)
	}
}

// eventually waits until done.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(dispatchtest.Patience); !done(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so after %v", what, dispatchtest.Patience)
		}
	}
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(dispatchtest.Patience):
		t.Fatalf("%s did not happen", what)
	}
}

// client records what it is told, a line for each call.
type client struct {
	t      *testing.T
	ex     *Exchange
	path   string
	events chan string
	stay   chan struct{} // if it is not nil, Wanted returns when it is closed
}

// request makes an exchange that is not submitted yet.
func (b *bundle) request(method, path string) *client {
	c := &client{t: b.t, ex: b.exchanges.New(), path: path, events: make(chan string, 1024)}
	c.ex.Client = c
	c.ex.Scope = backline.Scope{Method: []byte(method), Target: []byte(path), Path: []byte(path), Version: "1.1", Scheme: "http"}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clients = append(b.clients, c)
	return c
}

// submit makes one and submits it.
func (b *bundle) submit(method, path string) *client {
	c := b.request(method, path)
	b.Submit(c.ex)
	return c
}

func (c *client) Answer(_ *Exchange, m *wire.Message) {
	names := map[wire.Kind]string{wire.KindAnswer: "answer", wire.KindAnswerOpen: "answer", wire.KindStart: "start", wire.KindFile: "file"}
	c.events <- fmt.Sprintf("%s %d %s", names[m.Kind], m.Status, m.Data)
}
func (c *client) Data(_ *Exchange, data []byte)        { c.events <- "data " + string(data) }
func (c *client) End(*Exchange)                        { c.events <- "end" }
func (c *client) Hint(_ *Exchange, f []backline.Field) { c.events <- fmt.Sprintf("hint %s", f[0].Name) }
func (c *client) Fail(_ *Exchange, why *Failure)       { c.events <- "fail " + why.Name }
func (c *client) Wanted(_ *Exchange, n int, rewind bool) {
	c.events <- fmt.Sprintf("wanted %d %t", n, rewind)
	if c.stay != nil {
		<-c.stay
	}
}

// expect takes the next events, which must be these.
func (c *client) expect(events ...string) {
	c.t.Helper()
	for _, want := range events {
		select {
		case got := <-c.events:
			if got != want {
				c.t.Fatalf("%s: got %q, expected %q", c.path, got, want)
			}
		case <-time.After(dispatchtest.Patience):
			c.t.Fatalf("%s: nothing came, expected %q", c.path, want)
		}
	}
}

// expectNothing wants that nothing was told. Whatever could have told it must have been waited for before.
func (c *client) expectNothing() {
	c.t.Helper()
	select {
	case got := <-c.events:
		c.t.Fatalf("%s: got %q, expected nothing", c.path, got)
	default:
	}
}

// roundTrip waits until all that the worker has sent before has been dealt with.
func (a *attached) roundTrip(b *bundle) {
	b.t.Helper()
	before := a.sign()
	a.Send(dispatchtest.Tuple{wire.KindAlive, 0})
	eventually(b.t, "the dispatcher hears the worker", func() bool { return a.sign().After(before) })
}

func (a *attached) sign() time.Time {
	a.link.dispatcher.mu.Lock()
	defer a.link.dispatcher.mu.Unlock()
	return a.link.heard
}

// later is a time at which this much has passed.
func later(d time.Duration) time.Time { return time.Now().Add(d + time.Millisecond) }
