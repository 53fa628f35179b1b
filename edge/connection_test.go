package edge

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/h1"
	"backline/wire"
)

// TestDeadlines has clients that are too slow in every way.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		options Options
		kind    string
		say     string
		status  int // 0: the connection just ends
	}{
		"says nothing":    {Options{KeepAlive: time.Millisecond}, "wsgi", "", 0},
		"half a head":     {Options{HeaderTimeout: time.Millisecond}, "wsgi", "GET / HTTP/1.1\r\nHos", 408},
		"collected body":  {Options{BodyWindow: time.Millisecond}, "wsgi", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", 408},
		"streamed body":   {Options{BodyWindow: time.Millisecond}, "asgi", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", 408},
		"after a request": {Options{KeepAlive: time.Millisecond}, "wsgi", "", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := withWorker(t, c.kind, c.options, dispatch.Options{}, upload(t))
			eventually(t, "the worker is up", func() bool { return b.only.Handler.WSGI() == (c.kind == "wsgi") })
			client := b.dial()
			if name == "after a request" {
				client.get("/")
			}
			client.say(c.say)
			if c.status != 0 {
				_, closes := client.expect(c.status)
				if !closes {
					t.Error("the answer does not say that the connection closes")
				}
			}
			client.expectEnd()
		})
	}
}

// TestApplicationThatReadsLate: the client is not to blame for what the worker did not ask for.
func TestApplicationThatReadsLate(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	b := withWorker(t, "asgi", Options{BodyWindow: time.Second}, dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
		<-read
		upload(t)(w, m)
	})
	c := b.dial()
	c.say("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	began := b.clock.Load()
	eventually(t, "deadlines have been looked at", func() bool { return b.clock.Load()-began > int64(1300*time.Millisecond) })
	close(read)
	c.expect(100)
	b.each((*conn).checkDeadline)
	c.say("body")
	c.expect(200)
}

// TestWriteTimeout has a client that takes nothing of a long answer, whole or streamed.
func TestWriteTimeout(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/whole", "/stream"} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			b := start(t, Options{WriteTimeout: time.Millisecond, AnswerMemory: 64 << 20}, handler{answer: func(ex *dispatch.Exchange) {
				if string(ex.Scope.Path) == "/whole" {
					respond(ex, string(make([]byte, 32<<20)))
					return
				}
				ex.Client.Answer(ex, &wire.Message{Kind: wire.KindStart, Status: 200, Data: make([]byte, 32<<20)})
			}})
			c := b.dial()
			c.say("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
			eventually(t, "it is cut off", func() bool { return b.Connections() == 0 })
			b.access.expect(t, fmt.Sprintf("GET %s 200 %d client", path, 32<<20))
		})
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	submitted := make(chan *dispatch.Exchange, 1)
	b := start(t, Options{}, handler{answer: func(ex *dispatch.Exchange) {
		if string(ex.Scope.Path) == "/slow" {
			submitted <- ex
			return
		}
		hello(ex)
	}})
	idle, busy := b.dial(), b.dial()
	idle.get("/")
	busy.say("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	ex := <-submitted
	b.stop()
	idle.expectEnd()
	if conn, err := net.Dial("tcp", b.address); err == nil {
		_ = conn.Close()
		t.Error("it still accepts")
	}
	respond(ex, "done")
	if body, closes := busy.expect(200); body != "done" || !closes {
		t.Errorf("got %q, closing: %t", body, closes)
	}
	_ = busy.Close()
	<-b.ended
}

func TestDrainCutsInTheEnd(t *testing.T) {
	t.Parallel()
	submitted := make(chan *dispatch.Exchange, 1)
	var log bytes.Buffer
	b := startOn(t, "127.0.0.1:0", time.Millisecond, Options{Log: logTo(&log)}, handler{answer: func(ex *dispatch.Exchange) { submitted <- ex }})
	c := b.dial()
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-submitted
	b.stop()
	<-b.ended
	if _, err := c.in.ReadByte(); err == nil {
		t.Error("an answer from nowhere")
	}
	if !strings.Contains(log.String(), "did not end in time") {
		t.Errorf("the log says %q", log.String())
	}
	b.access.expect(t, "GET / 0 0 client")
}

func TestCut(t *testing.T) {
	t.Parallel()
	submitted := make(chan *dispatch.Exchange, 1)
	b := start(t, Options{AnswerMemory: 64 << 20}, handler{answer: func(ex *dispatch.Exchange) {
		if string(ex.Scope.Path) == "/waits" {
			submitted <- ex
			return
		}
		respond(ex, string(make([]byte, 32<<20)))
	}})
	idle, head, waits, takes := b.dial(), b.dial(), b.dial(), b.dial()
	head.say("GET ")
	waits.say("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n")
	takes.say("GET /takes HTTP/1.1\r\nHost: x\r\n\r\n")
	<-submitted
	if _, err := takes.in.Peek(1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are here", func() bool { return b.Connections() == 4 })
	b.Cut()
	eventually(t, "all are gone", func() bool { return b.Connections() == 0 })
	for _, c := range []*caller{idle, head, waits, takes} {
		_, _ = io.Copy(io.Discard, c.in) // ends
	}
}

// TestConnectionLimit: idle connections make room for new clients, busy ones make them wait.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	submitted := make(chan *dispatch.Exchange, 10)
	b := start(t, Options{MaxConnections: 3}, handler{answer: func(ex *dispatch.Exchange) {
		if string(ex.Scope.Path) == "/slow" {
			submitted <- ex
			return
		}
		hello(ex)
	}})
	for range 5 {
		b.dial().get("/") // stays connected
		if n := b.Connections(); n > 3 {
			t.Fatalf("%d connections", n)
		}
	}
	busy := make([]*caller, 4)
	for i := range busy {
		busy[i] = b.dial()
		go func() { // with TLS the fourth cannot say anything before somebody listens
			_, _ = io.WriteString(busy[i], "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		}()
	}
	held := []*dispatch.Exchange{<-submitted, <-submitted, <-submitted}
	eventually(t, "the fourth waits", func() bool { return b.Connections() == 4 })
	watched := 0
	b.each(func(*conn) { watched++ })
	if watched != 3 || len(submitted) > 0 {
		t.Errorf("%d connections are served, expected 3", watched)
	}
	for len(held) > 0 { // each answer lets the client close, which lets the one that waits in
		respond(held[0], "done")
		if held = held[1:]; len(held) == 2 {
			go func() {
				for _, c := range busy {
					_, _ = io.Copy(io.Discard, c.in)
					_ = c.Close()
				}
			}()
		}
	}
	respond(<-submitted, "the fourth")
	eventually(t, "all are gone", func() bool { return b.Connections() == 0 })
}

func TestRejectedHeads(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		head   string
		status int
		record string
	}{
		"garbage":          {"\x16\x03\x01\x02\r\n\r\n", 400, "- 400"},
		"long line":        {"GET /" + strings.Repeat("x", 9000) + " HTTP/1.1\r\n\r\n", 414, ""},
		"many fields":      {"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("a: b\r\n", 200) + "\r\n", 431, ""},
		"long fields":      {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", 70_000) + "\r\n\r\n", 431, ""},
		"two lengths":      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, ""},
		"bad chunk":        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "POST / 400"},
		"after a good one": {"GET / HTTP/1.1\r\nHost: x\r\n\r\nbad\r\n\r\n", 200, "GET / 200"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, Options{}, handler{answer: hello, wsgi: true})
			client := b.dial()
			client.say(c.head)
			_, closes := client.expect(c.status)
			if c.status == 200 {
				_, closes = client.expect(400)
			}
			if !closes {
				t.Error("the answer does not say that the connection closes")
			}
			client.expectEnd()
			b.access.mu.Lock()
			defer b.access.mu.Unlock()
			if len(b.access.all) == 0 || !strings.HasPrefix(b.access.all[0], c.record) {
				t.Errorf("access log: %q, expected a line that begins with %q", b.access.all, c.record)
			}
		})
	}
}

func TestHeadLimitsAreOptions(t *testing.T) {
	t.Parallel()
	b := start(t, Options{Head: h1.Limits{RequestLine: 100}}, handler{answer: hello})
	c := b.dial()
	c.say("GET /" + strings.Repeat("x", 200) + " HTTP/1.1\r\nHost: x\r\n\r\n")
	c.expect(414)
}

func TestAccessRecords(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, handler{answer: func(ex *dispatch.Exchange) {
		switch string(ex.Scope.Path) {
		case "/fails":
			ex.Client.Fail(ex, dispatch.FailTimeout)
		case "/stream":
			ex.Client.Answer(ex, &wire.Message{Kind: wire.KindStart, Status: 206, Data: []byte("12")})
			ex.Client.Data(ex, []byte("345"))
			ex.Client.End(ex)
			ex.Client.Data(ex, []byte("after the end"))
			ex.Client.Fail(ex, dispatch.FailApp)
		default:
			hello(ex)
		}
	}})
	c := b.dial()
	c.get("/hello")
	c.say("HEAD /head HTTP/1.1\r\nHost: x\r\n\r\nGET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /fails HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	rest, _ := io.ReadAll(c.in)
	if n := strings.Count(string(rest), "HTTP/1.1 "); n != 3 {
		t.Errorf("%d answers in %q", n, rest)
	}
	b.access.mu.Lock()
	got := strings.Join(b.access.all, "\n")
	b.access.mu.Unlock()
	want := "GET /hello 200 6 \nHEAD /head 200 0 \nGET /stream 206 5 \nGET /fails 504 "
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " timeout") {
		t.Errorf("got\n%s\nexpected\n%s...", got, want)
	}
}

// turns is a watcher that counts who asks for another turn.
type turns struct {
	watcher
	asked int
}

func (w *turns) again(*conn)  { w.asked++ }
func (w *turns) remove(*conn) {}

// TestTurns: a connection that could go on for long lets the others have their turn, in both directions.
func TestTurns(t *testing.T) {
	t.Parallel()
	const size = 2 * bodyRoom
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[1])
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	w := &turns{}
	c := &conn{
		server: New(Options{}, nothing()), fd: fds[0], watcher: w, budget: 1, phase: phaseLinger, canRead: true,
		release: func() { _ = syscall.Close(fds[0]) },
	}
	if _, err := syscall.Write(fds[1], make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.proceed()
	if c.budget >= 0 || w.asked != 1 || !c.canRead {
		t.Errorf("reading: %d bytes left of its turn, asked %d times for another", c.budget, w.asked)
	}
	c.onEvent(event{readable: true})
	if w.asked != 1 || c.canRead {
		t.Errorf("reading: asked %d times for another turn, and there may be more: %t", w.asked, c.canRead)
	}
	c.mu.Lock()
	c.budget, c.out.memory = 1, make([]byte, size)
	if sent := c.drain(); sent == 0 || w.asked != 1 && !c.out.empty() {
		t.Errorf("writing: %d bytes sent, asked %d times for another turn", sent, w.asked)
	}
	if c.out.memory = make([]byte, size); c.drain() != 0 || w.asked != 2 {
		t.Errorf("writing beyond its turn: asked %d times for another", w.asked)
	}
	c.mu.Unlock()
	c.cut()
}

func TestManyPollers(t *testing.T) {
	t.Parallel()
	b := start(t, Options{Pollers: 4}, handler{answer: hello})
	var clients sync.WaitGroup
	for range 64 {
		c := b.dial()
		clients.Go(func() {
			for range 20 {
				c.get("/")
			}
		})
	}
	clients.Wait()
	if n := len(*b.watchers.Load()); n != 4 {
		t.Errorf("%d pollers, expected 4", n)
	}
}
