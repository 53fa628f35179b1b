package edge

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"

	"backline/dispatch"
	"backline/wire"
)

// TestWhichHTTP: who decides on HTTP/2, and that HTTP/1.1 goes on beside it.
func TestWhichHTTP(t *testing.T) {
	t.Parallel()
	cleartext := !overTLS
	for name, c := range map[string]struct {
		options Options
		client  string
		want    string // the version, or "" where there is no answer
	}{
		"agreed on":         {over("h2", Options{}), "h2", "2"},
		"not offered":       {Options{TLS: serverTLS()}, "h2", ""},
		"HTTP/1.1 with TLS": {over("h2", Options{}), "", "1.1"},
		"prior knowledge":   {Options{HTTP2Cleartext: true}, "h2c", "2"},
		"none expected":     {Options{}, "h2c", ""},
		"HTTP/1.1 without":  {Options{HTTP2Cleartext: true}, "", "1.1"},
	} {
		if c.options.TLS == nil && !cleartext {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, c.options, handler{answer: func(ex *dispatch.Exchange) { respond(ex, ex.Scope.Version) }})
			if c.client == "" {
				if got := b.dial().get("/"); got != c.want {
					t.Errorf("HTTP/%s", got)
				}
				return
			}
			answer, err := b.client(c.client).Get(b.url(c.client, "/"))
			if err != nil {
				if c.want != "" {
					t.Error(err)
				}
				return
			}
			defer answer.Body.Close()
			if got, _ := io.ReadAll(answer.Body); string(got) != c.want {
				t.Errorf("HTTP/%s, expected %q", got, c.want)
			}
		})
	}
}

// TestPreface comes in one piece with what follows, or byte by byte, or is something else after all.
func TestPreface(t *testing.T) {
	t.Parallel()
	if overTLS {
		t.Skip("without TLS only")
	}
	b := start(t, Options{HTTP2Cleartext: true}, handler{answer: hello})
	f := &framed{caller: b.dialPlain()}
	for i := range len(h2.ClientPreface) {
		f.say(h2.ClientPreface[i : i+1])
	}
	f.Framer = h2.NewFramer(f.Conn, f.in)
	f.must(f.WriteSettings())
	f.until("settings", func(frame h2.Frame) bool { return frame.Header().Type == h2.FrameSettings })
	for text, status := range map[string]int{
		"PRI * HTTP/2.0\r\n\r\nNO":                       505,
		"PRIVATE / HTTP/1.1\r\nHost: x\r\n\r\n":          200,
		"PRI * HTTP/1.1\r\nHost: x\r\n\r\n":              400,
		"P / HTTP/1.1\r\nHost: x\r\n\r\n":                200,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX and no further": 505,
	} {
		c := b.dialPlain()
		c.say(text)
		c.expect(status)
	}
	off := start(t, Options{}, handler{answer: hello})
	c := off.dialPlain()
	c.say(h2.ClientPreface)
	c.expect(505)
	slow := start(t, Options{HTTP2Cleartext: true, HeaderTimeout: time.Nanosecond}, handler{answer: hello})
	c = slow.dialPlain()
	c.say(h2.ClientPreface[:10])
	c.expect(408)
}

// TestStreamsAreIndependent: 50 answers that nobody takes and 50 uploads that nobody reads do not keep a request waiting.
func TestStreamsAreIndependent(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		held := make(chan *dispatch.Exchange, 100)
		b := start(t, over(kind, Options{}), handler{answer: func(ex *dispatch.Exchange) {
			if string(ex.Scope.Path) == "/held" {
				held <- ex
				return
			}
			hello(ex)
		}})
		f := b.frames(kind)
		for range 50 {
			f.open(true, ":method: GET", ":scheme: http", ":path: /held", ":authority: x")
			f.open(false, ":method: POST", ":scheme: http", ":path: /held", ":authority: x")
		}
		for range 100 {
			<-held
		}
		if status, _, reset := f.whole(f.open(true, plainGet...)); reset != "REFUSED_STREAM" {
			t.Errorf("%s: the 101st stream: %d %s", kind, status, reset)
		}
		f.must(f.WriteRSTStream(1, h2.ErrCodeCancel))
		if status, _, reset := f.whole(f.open(true, plainGet...)); status != 200 {
			t.Errorf("%s: %d %s", kind, status, reset)
		}
	}
}

// TestDrainHTTP2: clients are told, and requests that have begun end.
func TestDrainHTTP2(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		submitted := make(chan *dispatch.Exchange, 1)
		b := startOn(t, "127.0.0.1:0", time.Hour, over(kind, Options{}), handler{answer: func(ex *dispatch.Exchange) { submitted <- ex }})
		idle, f := b.frames(kind), b.frames(kind)
		f.open(true, plainGet...)
		ex := <-submitted
		b.stop()
		goAway := func(frame h2.Frame) bool { return frame.Header().Type == h2.FrameGoAway }
		if got := f.until("GOAWAY", goAway).(*h2.GoAwayFrame); got.LastStreamID != 1 || got.ErrCode != h2.ErrCodeNo {
			t.Errorf("%s: %v", kind, got)
		}
		idle.until("GOAWAY", goAway)
		idle.expectGone()
		hello(ex)
		if status, body, _ := f.whole(1); status != 200 || body != "/" {
			t.Errorf("%s: %d %q", kind, status, body)
		}
		f.expectGone()
		<-b.ended
	}
}

// TestDrainTellsWhoHasJustCome, whom net/http may not have got to yet.
func TestDrainTellsWhoHasJustCome(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		for range 50 {
			b := startOn(t, "127.0.0.1:0", time.Hour, over(kind, Options{KeepAlive: time.Hour}), handler{answer: hello})
			f := b.frames(kind)
			b.stop()
			f.expectGone()
			<-b.ended
		}
	}
}

// TestDrainCutsHTTP2 when grace is over, and Cut does at once.
func TestDrainCutsHTTP2(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(b *bundle){"drain": func(b *bundle) { b.stop() }, "cut": func(b *bundle) { b.Cut() }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			submitted := make(chan *dispatch.Exchange, 1)
			b := startOn(t, "127.0.0.1:0", time.Millisecond, over("h2", Options{}), handler{answer: func(ex *dispatch.Exchange) { submitted <- ex }})
			f := b.frames("h2")
			f.open(true, plainGet...)
			<-submitted
			end(b)
			f.expectGone()
			b.access.expect(t, "GET / 0 0 client")
		})
	}
}

// TestConnectionLimitHTTP2: an idle connection makes room, one with a request does not.
func TestConnectionLimitHTTP2(t *testing.T) {
	t.Parallel()
	submitted := make(chan *dispatch.Exchange, 1)
	b := start(t, over("h2", Options{MaxConnections: 2, KeepAlive: 2 * time.Second}), handler{answer: func(ex *dispatch.Exchange) {
		if string(ex.Scope.Path) == "/busy" {
			submitted <- ex
		} else {
			hello(ex)
		}
	}})
	busy, idle := b.frames("h2"), b.frames("h2")
	busy.open(true, ":method: GET", ":scheme: https", ":path: /busy", ":authority: x")
	ex := <-submitted
	if status, _, _ := idle.whole(idle.open(true, plainGet...)); status != 200 {
		t.Errorf("status %d", status)
	}
	if _, body := fetch(t, b.client("h2"), "GET", b.url("h2", "/"), nil); body != "/" {
		t.Error(body)
	}
	idle.expectGone()
	hello(ex)
	if status, _, _ := busy.whole(1); status != 200 {
		t.Errorf("status %d", status)
	}
}

// TestIdleHTTP2: KeepAlive holds for connections of every version.
func TestIdleHTTP2(t *testing.T) {
	t.Parallel()
	for _, keepAlive := range []time.Duration{time.Millisecond, -1} {
		b := start(t, over("h2", Options{KeepAlive: keepAlive}), handler{answer: hello})
		f := b.frames("h2")
		f.until("GOAWAY", func(frame h2.Frame) bool { return frame.Header().Type == h2.FrameGoAway })
		f.expectGone()
	}
}

// TestTrailersAreDropped: they have no place in WSGI or ASGI.
func TestTrailersAreDropped(t *testing.T) {
	t.Parallel()
	b := start(t, over("h2", Options{}), handler{wsgi: true, answer: func(ex *dispatch.Exchange) {
		ex.Client.Answer(ex, &wire.Message{Kind: wire.KindAnswer, Status: 200, Data: fmt.Append(nil, string(ex.Body), len(ex.Scope.Fields))})
	}})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url("h2", "/"), unsized{strings.NewReader("body")})
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"User-Agent": {"x"}}
	request.Trailer = http.Header{"Checksum": {"x"}}
	answer, err := b.client("h2").Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got, _ := io.ReadAll(answer.Body); string(got) != "body2" {
		t.Errorf("got %q, expected the body and two fields", got)
	}
}
