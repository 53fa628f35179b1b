package edge

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"backline"
	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/wire"
)

func TestKeepAliveAndPipelining(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")} {
		t.Run(strings.SplitN(address, ":", 2)[0], func(t *testing.T) {
			t.Parallel()
			b := startOn(t, address, grace, Options{}, handler{answer: hello})
			c := b.dial()
			for i := range 5 {
				if path := fmt.Sprint("/", i); c.get(path) != path {
					t.Fatal("not the answer to this request")
				}
			}
			var all strings.Builder
			for i := range 3000 {
				fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
			}
			go func() { _, _ = io.WriteString(c, all.String()) }()
			for i := range 3000 {
				if body, _ := c.expect(200); body != fmt.Sprint("/", i) {
					t.Fatalf("answer %d is for %s", i, body)
				}
			}
			if b.Connections() != 1 {
				t.Errorf("%d connections, expected 1", b.Connections())
			}
		})
	}
}

// TestPipelinedRequestsWait: the next request is given on after the previous answer, and the server takes only so much of
// what comes meanwhile.
func TestPipelinedRequestsWait(t *testing.T) {
	t.Parallel()
	submitted := make(chan *dispatch.Exchange, 10)
	var over atomic.Bool // from then on requests are answered at once: later they may be gone with their client
	b := start(t, Options{}, handler{answer: func(ex *dispatch.Exchange) {
		if over.Load() {
			hello(ex)
		} else {
			submitted <- ex
		}
	}})
	c := b.dial()
	request := "GET / HTTP/1.1\r\nHost: x\r\nPad: " + strings.Repeat("x", 2000) + "\r\n\r\n"
	sent := make(chan int, 1)
	go func() {
		n := 0
		for range 20000 {
			if _, err := io.WriteString(c, request); err != nil {
				break
			}
			n++
		}
		sent <- n
	}()
	first := <-submitted
	var connection *conn
	eventually(t, "it has read some", func() bool {
		b.each(func(each *conn) { connection = each })
		connection.mu.Lock()
		defer connection.mu.Unlock()
		return len(connection.in) > pipelined/2
	})
	connection.mu.Lock()
	if kept := cap(connection.in); kept > b.headRoom {
		t.Errorf("%d bytes of further requests are kept, expected %d at most", kept, b.headRoom)
	}
	connection.mu.Unlock()
	if len(submitted) > 0 || len(sent) > 0 {
		t.Error("a second request was given on before the first was answered")
	}
	respond(first, "first")
	if body, _ := c.expect(200); body != "first" {
		t.Error("not the first answer")
	}
	second := <-submitted
	over.Store(true)
	respond(second, "second")
	_ = c.Close()
	<-sent
	eventually(t, "the connection is gone", func() bool { return b.Connections() == 0 })
}

// TestHalfClosed sends a request and its end in one go, so that both are one event.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		for name, requests := range map[string]int{"one": 1, "pipelined": 3} {
			t.Run(network+" "+name, func(t *testing.T) {
				t.Parallel()
				address := "127.0.0.1:0"
				if network == "unix" {
					address = "unix:" + filepath.Join(t.TempDir(), "s")
				}
				b := startOn(t, address, grace, Options{}, handler{answer: hello, wsgi: true})
				for range 20 {
					c := b.dial()
					c.say(strings.Repeat("GET /x HTTP/1.1\r\nHost: x\r\n\r\n", requests))
					if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
						t.Fatal(err)
					}
					for range requests {
						c.expect(200)
					}
					c.expectEnd()
				}
			})
		}
	}
}

// download is a worker that sends n bytes as fast as its credit allows.
func download(n int) func(w *worker, m dispatchtest.Message) {
	data := pattern(n)
	return func(w *worker, m dispatchtest.Message) { pour(w, m, nil, data) }
}

// pour streams an answer, never more than there is credit for.
func pour(w *worker, m dispatchtest.Message, fields []dispatchtest.Tuple, rest []byte) {
	credit := wire.Window
	w.Send(dispatchtest.Tuple{wire.KindStart, m.Stream, 200, fields, []byte{}})
	for len(rest) > 0 {
		for credit <= 0 {
			message, ok := <-w.stream(m.Stream)
			if !ok {
				return
			}
			if message.Kind == wire.KindDisconnect || message.Kind == wire.KindCancel {
				rest = nil
				break
			}
			credit += message.N
		}
		n := min(len(rest), wire.MaxPiece, max(credit, 0))
		if n > 0 {
			w.Send(dispatchtest.Tuple{wire.KindData, m.Stream, rest[:n]})
		}
		rest, credit = rest[n:], credit-n
	}
	w.Send(dispatchtest.Tuple{wire.KindEnd, m.Stream}, dispatchtest.Tuple{wire.KindDone, m.Stream})
}

// TestSlowDownload sends a long answer through a few KiB of memory and a short file to a client that takes its time.
func TestSlowDownload(t *testing.T) {
	t.Parallel()
	const size = longAnswer
	want := sha256.Sum256(pattern(size))
	for _, kind := range []string{"wsgi", "asgi"} {
		for _, version := range []string{"1.0", "1.1"} {
			t.Run(kind+" "+version, func(t *testing.T) {
				t.Parallel()
				b := withWorker(t, kind, Options{AnswerMemory: 10_000, AnswerFile: 300_000}, dispatch.Options{}, download(size))
				c := b.dial()
				_ = c.tcp().SetReadBuffer(64 << 10)
				c.say("GET / HTTP/" + version + "\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
				c.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				for range map[string]int{"1.0": 1, "1.1": 2}[version] {
					body, _ := c.expect(200)
					if sha256.Sum256([]byte(body)) != want {
						t.Errorf("%d bytes, expected %d, or other ones", len(body), size)
					}
				}
				c.expectEnd()
			})
		}
	}
}

// upload is a worker that takes a body, never more than it has room for, and answers with its hash.
func upload(t *testing.T) func(w *worker, m dispatchtest.Message) {
	return func(w *worker, m dispatchtest.Message) {
		hash, room, taken := sha256.New(), wire.Window, 0
		if m.More == wire.BodyOnRead {
			w.Send(dispatchtest.Tuple{wire.KindRead, m.Stream, wire.Window})
		}
		hash.Write(m.Data)
		for more := m.More != wire.BodyWhole; more; {
			piece, ok := <-w.stream(m.Stream)
			if !ok || piece.Kind != wire.KindBody {
				w.Send(dispatchtest.Tuple{wire.KindDone, m.Stream})
				return
			}
			if room -= len(piece.Data); room < 0 {
				t.Errorf("%d bytes more than there was room for", -room)
			}
			hash.Write(piece.Data)
			if taken += len(piece.Data); taken > wire.Window/3 {
				w.Send(dispatchtest.Tuple{wire.KindRead, m.Stream, taken})
				room, taken = room+taken, 0
			}
			more = piece.More == 1
		}
		w.Answer(m.Stream, fmt.Sprintf("%x %v", hash.Sum(nil), m.Scope["CONTENT_LENGTH"]))
	}
}

func TestUploads(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"wsgi", "asgi"} {
		for _, size := range []int{1, 3000, wire.MaxPiece, wire.MaxPiece + 1, 70_000, 5 << 20} {
			for _, memory := range []int{100, 1 << 20} {
				t.Run(fmt.Sprint(kind, size, "/", memory), func(t *testing.T) {
					t.Parallel()
					b := withWorker(t, kind, Options{BodyMemory: memory}, dispatch.Options{}, upload(t))
					c, data := b.dial(), pattern(size)
					want := fmt.Sprintf("%x", sha256.Sum256(data))
					for _, head := range []string{"Content-Length: " + fmt.Sprint(size), "Transfer-Encoding: chunked", "Expect: 100-continue\r\nTransfer-Encoding: chunked"} {
						c.say("POST / HTTP/1.1\r\nHost: x\r\n" + head + "\r\n\r\n")
						if strings.HasPrefix(head, "Expect") {
							c.expect(100)
						}
						if strings.Contains(head, "chunked") {
							chunked := func() *bytes.Buffer {
								var out bytes.Buffer
								for rest := data; len(rest) > 0; {
									n := min(len(rest), 9999)
									fmt.Fprintf(&out, "%x\r\n%s\r\n", n, rest[:n])
									rest = rest[n:]
								}
								out.WriteString("0\r\n\r\n")
								return &out
							}()
							c.say(chunked.String())
						} else {
							c.say(string(data))
						}
						got, _ := c.expect(200)
						if !strings.HasPrefix(got, want) {
							t.Errorf("%s: another body arrived", head)
						}
						if kind == "wsgi" && !strings.HasSuffix(got, fmt.Sprint(" ", size)) {
							t.Errorf("CONTENT_LENGTH is wrong: %s", got)
						}
					}
				})
			}
		}
	}
}

// TestUploadToADyingWorker: a collected body can be sent again, from its beginning.
func TestUploadToADyingWorker(t *testing.T) {
	t.Parallel()
	d := dispatch.New(dispatch.Options{QueueSize: 10, Retry: true})
	b := start(t, Options{BodyMemory: 1000}, d)
	attach(t, d, "wsgi", func(w *worker, m dispatchtest.Message) {
		<-w.stream(m.Stream)
		w.Die()
	})
	c, data := b.dial(), pattern(3<<20)
	c.say(fmt.Sprintf("OPTIONS / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(data)))
	c.say(string(data))
	eventually(t, "it waits for another worker", func() bool { return d.Waiting() == 1 })
	attach(t, d, "wsgi", upload(t))
	if got, _ := c.expect(200); !strings.HasPrefix(got, fmt.Sprintf("%x", sha256.Sum256(data))) {
		t.Error("another body arrived")
	}
}

func TestBodyTooLong(t *testing.T) {
	t.Parallel()
	for _, wsgi := range []bool{true, false} {
		t.Run(fmt.Sprint(wsgi), func(t *testing.T) {
			t.Parallel()
			b := withWorker(t, map[bool]string{true: "wsgi", false: "asgi"}[wsgi], Options{MaxBody: 1000}, dispatch.Options{}, upload(t))
			eventually(t, "the worker is up", func() bool { return b.only.Handler.WSGI() == wsgi })
			c := b.dial()
			c.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
			c.expect(413)
			c = b.dial()
			c.say("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + "3e8\r\n" + strings.Repeat("x", 1000) + "\r\n1\r\nx\r\n")
			c.expect(413)
		})
	}
}

func TestFileAnswers(t *testing.T) {
	t.Parallel()
	data := pattern(3 << 20)
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	b := start(t, Options{AnswerMemory: 1000, AnswerFile: 1000}, handler{answer: func(ex *dispatch.Exchange) {
		m := &wire.Message{Kind: wire.KindFile, Status: 200, Data: []byte(name), Length: -1}
		switch string(ex.Scope.Path) {
		case "/missing":
			m.Data = []byte(name + ".not")
		case "/longer":
			m.Fields = []backline.Field{{Name: []byte("content-length"), Value: []byte("9999999")}}
		case "/part":
			m.Fields = []backline.Field{{Name: []byte("Content-Length"), Value: []byte("10")}}
		case "/hello":
			hello(ex)
			return
		}
		ex.Client.Answer(ex, m)
	}})
	c := b.dial()
	for range 3 {
		if c.get("/") != string(data) {
			t.Fatal("not the file")
		}
		if c.get("/part") != string(data[:10]) {
			t.Fatal("not its beginning")
		}
		c.get("/hello") // what comes after a file must find no trace of it
		b.each(func(each *conn) {
			each.mu.Lock()
			defer each.mu.Unlock()
			if each.out.answer != nil {
				t.Error("a file that has been sent is still open")
			}
		})
	}
	c.say("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
	if head, err := io.ReadAll(io.LimitReader(c.in, 10)); err != nil || string(head) != "HTTP/1.1 2" {
		t.Fatalf("%q, %v", head, err)
	}
	c = b.dial()
	c.say("GET /missing HTTP/1.1\r\nHost: x\r\n\r\n")
	c.expect(500)
	c = b.dial()
	c.say("GET /longer HTTP/1.1\r\nHost: x\r\n\r\n")
	if rest, err := io.ReadAll(c.in); err != nil || !bytes.HasSuffix(rest, data) {
		t.Errorf("%d bytes and %v; expected the file and then the end of the connection", len(rest), err)
	}
}

// TestCutAnswers: a client must be able to tell that an answer is not whole, however its end is marked.
func TestCutAnswers(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, handler{answer: func(ex *dispatch.Exchange) {
		m := &wire.Message{Kind: wire.KindStart, Status: 200, Data: []byte("part")}
		if string(ex.Scope.Path) == "/length" {
			m.Fields = []backline.Field{{Name: []byte("Content-Length"), Value: []byte("9")}}
		}
		ex.Client.Answer(ex, m)
		if string(ex.Scope.Path) == "/short" {
			ex.Client.End(ex)
		} else {
			ex.Client.Fail(ex, dispatch.FailApp)
		}
	}})
	for _, request := range []string{"GET /chunked HTTP/1.1", "GET /length HTTP/1.1", "GET /close HTTP/1.0"} {
		c := b.dial()
		c.say(request + "\r\nHost: x\r\n\r\n")
		rest, err := io.ReadAll(c.in)
		switch {
		case strings.Contains(string(rest), "0\r\n\r\n"):
			t.Errorf("%s: looks whole: %q", request, rest)
		case strings.HasSuffix(request, "1.0") && err == nil:
			t.Errorf("%s: the connection ended as if the answer were whole", request)
		}
	}
	b.access.expect(t, "GET /chunked 200 4 application", "GET /length 200 4 application", "GET /close 200 4 application")
}
