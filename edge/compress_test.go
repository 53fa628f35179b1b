package edge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"backline"
	"backline/compress"
	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/negotiate"
	"backline/wire"
)

// gzipping are options with which two answers at a time are compressed.
func gzipping() Options {
	return Options{Compress: compress.New(compress.Options{
		Codings: []negotiate.Coding{negotiate.Gzip}, Types: []string{"text/*"}, MinSize: 100, Encoders: 2,
	})}
}

// gunzip reads a compressed body.
func gunzip(t testing.TB, body io.Reader) *gzip.Reader {
	t.Helper()
	reader, err := gzip.NewReader(body)
	if err != nil {
		t.Fatal(err)
	}
	return reader
}

const askGzip = " HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"

// textAnswer answers with text in every way that a worker has.
func textAnswer(data []byte) func(ex *dispatch.Exchange) {
	return func(ex *dispatch.Exchange) {
		m := &wire.Message{Kind: wire.KindAnswer, Status: 200, Data: data}
		m.Fields = []backline.Field{{Name: []byte("Content-Type"), Value: []byte("text/plain")}, {Name: []byte("ETag"), Value: []byte(`"x"`)}}
		length := backline.Field{Name: []byte("Content-Length"), Value: fmt.Append(nil, len(data))}
		switch string(ex.Scope.Path) {
		case "/sized":
			m.Fields = append(m.Fields, length)
		case "/image":
			m.Fields[0].Value = []byte("image/png")
		case "/stream", "/sized-stream", "/short-stream":
			m.Kind, m.Data = wire.KindStart, data[:len(data)/2]
			if string(ex.Scope.Path) != "/stream" {
				m.Fields = append(m.Fields, length)
			}
			ex.Client.Answer(ex, m)
			if string(ex.Scope.Path) != "/short-stream" {
				ex.Client.Data(ex, data[len(data)/2:])
			}
			ex.Client.End(ex)
			return
		}
		ex.Client.Answer(ex, m)
	}
}

func TestCompressedAnswers(t *testing.T) {
	t.Parallel()
	data := pattern(40_000)
	b := start(t, gzipping(), handler{answer: textAnswer(data)})
	c := b.dial()
	for range 3 {
		for _, path := range []string{"/whole", "/sized", "/stream", "/sized-stream"} {
			c.say("GET " + path + askGzip)
			answer, err := http.ReadResponse(c.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(gunzip(t, bytes.NewReader(body)))
			if err != nil || !bytes.Equal(got, data) || len(body) > len(data)*2/3 {
				t.Errorf("%s: %d bytes in %d, %v", path, len(got), len(body), err)
			}
			h := answer.Header
			if h.Get("Content-Encoding") != "gzip" || h.Get("Vary") != "Accept-Encoding" || h.Get("ETag") != `W/"x"` {
				t.Errorf("%s: %v", path, h)
			}
			if streams := strings.HasSuffix(path, "stream"); streams == (answer.ContentLength >= 0) {
				t.Errorf("%s: length %d", path, answer.ContentLength)
			}
		}
	}
	for _, request := range []string{"GET /image" + askGzip, "GET /whole HTTP/1.1\r\nHost: x\r\n\r\n"} {
		c.say(request)
		if body, _ := c.expect(200); body != string(data) {
			t.Errorf("%q: not the bytes as they were", request)
		}
	}
	c.say("HEAD /sized" + askGzip + "GET /whole" + askGzip)
	head, err := http.ReadResponse(c.in, &http.Request{Method: http.MethodHead})
	if err != nil || head.ContentLength >= 0 || head.Header.Get("Content-Encoding") != "gzip" || head.Header.Get("ETag") != `W/"x"` {
		t.Errorf("HEAD: %v, %v", head, err)
	}
	c.expect(200)
	c = b.dial()
	c.say("GET /stream HTTP/1.0\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
	old, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Body.Close()
	if got, err := io.ReadAll(gunzip(t, old.Body)); err != nil || !bytes.Equal(got, data) {
		t.Errorf("HTTP/1.0: %d bytes and %v", len(got), err)
	}
}

func TestCompressedStreams(t *testing.T) {
	t.Parallel()
	data := pattern(40_000)
	for _, kind := range multiplexed() {
		b := start(t, over(kind, gzipping()), handler{answer: textAnswer(data)})
		client := b.client(kind)
		for _, path := range []string{"/whole", "/stream", "/sized-stream", "/image"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url(kind, path), nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept-Encoding", "gzip")
			answer, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			var body io.Reader = answer.Body
			if compressed := path != "/image"; compressed != (answer.Header.Get("Content-Encoding") == "gzip") {
				t.Errorf("%s %s: %v", kind, path, answer.Header)
			} else if compressed {
				body = gunzip(t, body)
			}
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s %s: %d bytes and %v", kind, path, len(got), err)
			}
			_ = answer.Body.Close()
		}
	}
}

// TestCompressedPromise: that the client is not told Content-Length any more does not free the application from it.
func TestCompressedPromise(t *testing.T) {
	t.Parallel()
	b := start(t, gzipping(), handler{answer: textAnswer(pattern(40_000))})
	c := b.dial()
	c.say("GET /short-stream" + askGzip)
	if rest, _ := io.ReadAll(c.in); bytes.HasSuffix(rest, []byte("0\r\n\r\n")) || len(rest) < 1000 {
		t.Errorf("%d bytes that look whole", len(rest))
	}
	eventually(t, "the access log says so", func() bool { return b.access.contains("/short-stream 200", "application") })
}

// TestCompressedPieces: the client can decode each piece when it comes, and the worker may go on as the client takes
// it.
func TestCompressedPieces(t *testing.T) {
	t.Parallel()
	steps := make(chan struct{})
	b := withWorker(t, "asgi", gzipping(), dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
		fields := []dispatchtest.Tuple{{"Content-Type", "text/html"}}
		w.Send(dispatchtest.Tuple{wire.KindStart, m.Stream, 200, fields, []byte{}})
		n := 0
		for range steps {
			w.Send(dispatchtest.Tuple{wire.KindData, m.Stream, fmt.Appendf(nil, "data: %d\n\n", n)})
			n++
		}
		w.Send(dispatchtest.Tuple{wire.KindEnd, m.Stream}, dispatchtest.Tuple{wire.KindDone, m.Stream})
	})
	c := b.dial()
	c.say("GET /" + askGzip)
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	steps <- struct{}{}
	body := gunzip(t, answer.Body)
	for n := range 20 {
		want := fmt.Sprintf("data: %d\n\n", n)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(body, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v; expected %q before anything else is sent", got, err, want)
		}
		steps <- struct{}{}
	}
	close(steps)
	if rest, err := io.ReadAll(body); err != nil || string(rest) != "data: 20\n\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestEncodersComeBack: clients that leave in the middle, and answers that fail, do not keep an encoder for ever; and
// while all are in use, answers go out as they are.
func TestEncodersComeBack(t *testing.T) {
	t.Parallel()
	options := gzipping()
	begun := make(chan *dispatch.Exchange, 10)
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		m := &wire.Message{Kind: wire.KindStart, Status: 200, Data: []byte("begun")}
		m.Fields = []backline.Field{{Name: []byte("Content-Type"), Value: []byte("text/plain")}}
		ex.Client.Answer(ex, m)
		begun <- ex
	}})
	coding := func() (string, *caller, *dispatch.Exchange) {
		c := b.dial()
		c.say("GET /" + askGzip)
		answer, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Header.Get("Content-Encoding"), c, <-begun
	}
	for range 3 {
		first, leaves, _ := coding()
		second, fails, ex := coding()
		third, _, last := coding()
		if first != "gzip" || second != "gzip" || third != "" {
			t.Fatalf("%q, %q, %q", first, second, third)
		}
		_ = leaves.Close()
		ex.Client.Fail(ex, dispatch.FailApp)
		_, _ = io.Copy(io.Discard, fails.in)
		last.Client.End(last)
		eventually(t, "both encoders are back", func() bool {
			one, two := options.Compress.Encoder(negotiate.Gzip), options.Compress.Encoder(negotiate.Gzip)
			one.Release()
			two.Release()
			return one != nil && two != nil
		})
	}
}
