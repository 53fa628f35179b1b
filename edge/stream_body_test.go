package edge

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"

	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// unsized is a body whose length nobody is told.
type unsized struct{ io.Reader }

func TestStreamUploads(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"wsgi", "asgi"} {
		for _, way := range everyMultiplexed() {
			for _, memory := range []int{100, 1 << 20} {
				t.Run(fmt.Sprint(kind, " ", way, " ", memory), func(t *testing.T) {
					t.Parallel()
					b := withWorker(t, kind, over(way, Options{BodyMemory: memory}), dispatch.Options{}, upload(t))
					eventually(t, "the worker is up", func() bool { return b.only.Handler.WSGI() == (kind == "wsgi") })
					client := b.client(way)
					for _, size := range []int{0, 1, 3000, wire.MaxPiece, wire.MaxPiece + 1, 5 << 20} {
						data := pattern(size)
						want := fmt.Sprintf("%x", sha256.Sum256(data))
						for _, body := range []io.Reader{bytes.NewReader(data), unsized{bytes.NewReader(data)}} {
							_, got := fetch(t, client, "POST", b.url(way, "/"), body)
							if !strings.HasPrefix(got, want) {
								t.Errorf("%d bytes as %T: another body arrived", size, body)
							}
							if kind == "wsgi" && size > 0 && !strings.HasSuffix(got, fmt.Sprint(" ", size)) {
								t.Errorf("%d bytes as %T: CONTENT_LENGTH is wrong: %s", size, body, got)
							}
						}
					}
				})
			}
		}
	}
}

// TestStreamUploadToADyingWorker: a collected body can be sent again, from its beginning.
func TestStreamUploadToADyingWorker(t *testing.T) {
	t.Parallel()
	d := dispatch.New(dispatch.Options{QueueSize: 10, Retry: true})
	b := start(t, over("h2", Options{BodyMemory: 1000}), d)
	attach(t, d, "wsgi", func(w *worker, m dispatchtest.Message) {
		<-w.stream(m.Stream)
		w.Die()
	})
	data, answered := pattern(3<<20), make(chan string, 1)
	eventually(t, "the worker is up", d.WSGI)
	client := b.client("h2")
	go func() {
		_, body := fetch(t, client, "OPTIONS", b.url("h2", "/"), bytes.NewReader(data))
		answered <- body
	}()
	eventually(t, "it waits for another worker", func() bool { return d.Waiting() == 1 })
	attach(t, d, "wsgi", upload(t))
	if got := <-answered; !strings.HasPrefix(got, fmt.Sprintf("%x", sha256.Sum256(data))) {
		t.Error("another body arrived")
	}
}

// TestStreamBodies: bodies that are too long, or not as long as was said.
func TestStreamBodies(t *testing.T) {
	t.Parallel()
	post := []string{":method: POST", ":scheme: http", ":path: /", ":authority: x"}
	for _, kind := range []string{"wsgi", "asgi"} {
		for name, c := range map[string]struct {
			length string
			pieces []string
			want   string
		}{
			"announced too long": {"1001", nil, "413"},
			"too long":           {"", []string{strings.Repeat("x", 600), strings.Repeat("x", 401)}, "413"},
			"more than said":     {"5", []string{"hello!"}, "0 PROTOCOL_ERROR"},
			"less than said":     {"7", []string{"hello!"}, "400"},
			"as said":            {"6", []string{"hel", "lo!"}, "200"},
			"nothing":            {"0", []string{""}, "200"},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				b := withWorker(t, kind, over("h2", Options{MaxBody: 1000}), dispatch.Options{}, upload(t))
				eventually(t, "the worker is up", func() bool { return b.only.Handler.WSGI() == (kind == "wsgi") })
				f, head := b.frames("h2"), post
				if c.length != "" {
					head = append(slices.Clip(head), "content-length: "+c.length)
				}
				f.open(false, head...)
				for i, piece := range c.pieces {
					f.must(f.WriteData(1, i == len(c.pieces)-1, []byte(piece)))
				}
				status, _, reset := f.whole(1)
				if got := strings.TrimSpace(fmt.Sprint(status, " ", reset)); got != c.want {
					t.Errorf("got %s, expected %s", got, c.want)
				}
			})
		}
	}
}

// TestStreamSlowBody: a body that does not come ends in 408, before the application is called or after.
func TestStreamSlowBody(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"wsgi", "asgi"} {
		for _, way := range multiplexed() {
			t.Run(kind+" "+way, func(t *testing.T) {
				t.Parallel()
				b := withWorker(t, kind, over(way, Options{BodyWindow: time.Millisecond}), dispatch.Options{}, upload(t))
				eventually(t, "the worker is up", func() bool { return b.only.Handler.WSGI() == (kind == "wsgi") })
				f := b.frames(way)
				f.open(false, ":method: POST", ":scheme: http", ":path: /", ":authority: x", "content-length: 9")
				if status, _, _ := f.whole(1); status != 408 {
					t.Errorf("status %d, expected 408", status)
				}
			})
		}
	}
}

// TestStreamReadLate: an application that does not read is not its client's fault.
func TestStreamReadLate(t *testing.T) {
	t.Parallel()
	looked := make(chan struct{})
	b := withWorker(t, "asgi", over("h2", Options{BodyWindow: time.Millisecond, UploadWindow: 64 << 10}), dispatch.Options{},
		func(w *worker, m dispatchtest.Message) {
			for taken := 0; taken < wire.Window; {
				taken += len((<-w.stream(m.Stream)).Data)
			}
			<-looked
			w.Send(dispatchtest.Tuple{wire.KindRead, m.Stream, wire.Window})
			for (<-w.stream(m.Stream)).More == 1 {
			}
			w.Answer(m.Stream, "thanks")
		})
	eventually(t, "the worker is up", func() bool { return !b.only.Handler.WSGI() })
	go func() {
		defer close(looked)
		eventually(t, "the worker's window is full", func() bool { return b.stalled() })
		for range 3 {
			b.clock.Add(int64(time.Minute))
			b.streams.each((*stream).checkDeadline)
		}
	}()
	if _, body := fetch(t, b.client("h2"), "POST", b.url("h2", "/"), bytes.NewReader(pattern(wire.Window+100_000))); body != "thanks" {
		t.Error(body)
	}
}

// stalled tells whether a stream's worker can take no more of its body.
func (b *bundle) stalled() (yes bool) {
	b.streams.each(func(st *stream) {
		st.mu.Lock()
		defer st.mu.Unlock()
		yes = yes || st.body.passed > 0 && st.body.window <= 0
	})
	return yes
}

// TestStreamIsReset: the application hears of it, and the handler waits for the worker.
func TestStreamIsReset(t *testing.T) {
	t.Parallel()
	for _, way := range multiplexed() {
		told, carryOn := make(chan wire.Kind, 1), make(chan struct{})
		b := withWorker(t, "asgi", over(way, Options{}), dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
			if m.Path() == "/later" {
				w.Answer(m.Stream, "fine")
				return
			}
			w.Send(dispatchtest.Tuple{wire.KindStart, m.Stream, 200, []dispatchtest.Tuple{}, []byte("x")})
			told <- (<-w.stream(m.Stream)).Kind
			<-carryOn
			w.Send(dispatchtest.Tuple{wire.KindDone, m.Stream})
		})
		f := b.frames(way)
		f.open(true, plainGet...)
		f.headers(1)
		f.must(f.WriteRSTStream(1, h2.ErrCodeCancel))
		if kind := <-told; kind != wire.KindDisconnect {
			t.Errorf("%s: a message of kind %d", way, kind)
		}
		f.open(true, ":method: GET", ":scheme: http", ":path: /later", ":authority: x")
		if status, _, _ := f.whole(3); status != 200 {
			t.Errorf("%s: status %d", way, status)
		}
		if n := b.underWay(); n != 1 {
			t.Errorf("%s: %d handlers, expected one to wait for the worker", way, n)
		}
		close(carryOn)
		eventually(t, "the handler has returned", func() bool { return b.underWay() == 0 })
		b.access.expect(t, "GET /later 200 4 ", "GET / 200 1 client")
	}
}

// underWay is how many requests have a stream.
func (b *bundle) underWay() (n int) {
	b.streams.each(func(*stream) { n++ })
	return n
}

// TestStreamNobodyReads: who takes nothing is cut off, and only that stream.
func TestStreamNobodyReads(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"wsgi", "asgi"} {
		for _, way := range multiplexed() {
			t.Run(kind+" "+way, func(t *testing.T) {
				t.Parallel()
				b := withWorker(t, kind, over(way, Options{}), dispatch.Options{}, download(1<<20))
				f := b.frames(way)
				f.open(true, plainGet...)
				eventually(t, "something waits for the client", func() bool { return b.writing() })
				eventually(t, "it is cut off", func() bool {
					b.clock.Add(int64(b.options.WriteTimeout + time.Second)) // until the server's clock sets it right again
					b.streams.each((*stream).checkDeadline)
					return b.underWay() == 0
				})
				if _, _, reset := f.whole(1); reset != "INTERNAL_ERROR" {
					t.Errorf("reset %q", reset)
				}
				f.must(f.WritePing(false, [8]byte{1}))
				f.until("an answer to the ping", func(frame h2.Frame) bool { return frame.Header().Type == h2.FramePing })
			})
		}
	}
}

// writing tells whether a stream has given net/http all that the client takes.
func (b *bundle) writing() (yes bool) {
	b.streams.each(func(st *stream) {
		st.mu.Lock()
		defer st.mu.Unlock()
		yes = yes || st.writing && st.answer.sent > 65535
	})
	return yes
}

// TestStreamLeavesNothing behind, however an answer ends.
func TestStreamLeavesNothing(t *testing.T) {
	t.Parallel()
	b := withWorker(t, "asgi", over("h2", Options{}), dispatch.Options{}, misbehave)
	client := b.client("h2")
	for range 50 {
		answer, err := client.Get(b.url("h2", "/"))
		if err != nil {
			continue // misbehave does not always answer
		}
		_, err = io.Copy(io.Discard, answer.Body)
		_ = errors.Join(err, answer.Body.Close())
	}
	eventually(t, "all handlers have returned", func() bool { return b.underWay() == 0 })
}
