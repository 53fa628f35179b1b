package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	quich3 "github.com/quic-go/quic-go/http3"

	"backline/dispatch"
)

func TestHTTP3(t *testing.T) {
	t.Parallel()
	b := start(t, over("h3", Options{HTTP2: true}), handler{answer: tell})
	client := b.client("h3")
	answer, got := fetch(t, client, "GET", b.url("h3", "/a%20b?x=%2f"), nil)
	if first, _, _ := strings.Cut(got, "\n"); first != "GET /a%20b?x=%2f /a%20b?x=%2f HTTP/3 https tls=true" || answer.Proto != "HTTP/3.0" {
		t.Errorf("%s: %s", answer.Proto, got)
	}
	if told := answer.Header.Get("Alt-Svc"); told != "" {
		t.Errorf("a client of HTTP/3 is told %s", told)
	}
	for _, kind := range []string{"h2", "h1"} {
		client := b.client("h2")
		if kind == "h1" {
			client = &http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS()}}
			defer client.CloseIdleConnections()
		}
		answer, _ := fetch(t, client, "GET", b.url("h2", "/"), nil)
		if told := answer.Header.Get("Alt-Svc"); told != `h3=":443"; ma=86400` {
			t.Errorf("%s: told %q", answer.Proto, told)
		}
	}
}

// TestHTTP3Rejects: by the rules of the other versions.
func TestHTTP3Rejects(t *testing.T) {
	t.Parallel()
	b := start(t, over("h3", Options{MaxBody: 1000}), handler{answer: tell, wsgi: true})
	client := b.client("h3")
	for name, c := range map[string]struct {
		request func() *http.Request
		status  int
	}{
		"long line": {func() *http.Request { return b.request("GET", "/"+strings.Repeat("x", 8<<10), nil) }, 414},
		"long head": {func() *http.Request {
			r := b.request("GET", "/", nil)
			r.Header.Set("A", strings.Repeat("x", 64<<10))
			return r
		}, 431},
		"many fields": {func() *http.Request {
			r := b.request("GET", "/", nil)
			r.Header["A"] = strings.Split(strings.Repeat("x", 101), "")
			return r
		}, 431},
		"long body": {func() *http.Request {
			return b.request("POST", "/", unsized{strings.NewReader(strings.Repeat("x", 1001))})
		}, 413},
		"other host": {func() *http.Request { r := b.request("GET", "/", nil); r.Host = "x,y"; return r }, 400},
		"fine":       {func() *http.Request { return b.request("POST", "/", unsized{strings.NewReader("x")}) }, 200},
	} {
		answer, err := client.Do(c.request())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode != c.status {
			t.Errorf("%s: status %d, expected %d", name, answer.StatusCode, c.status)
		}
	}
}

func (b *bundle) request(method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url("h3", path), body)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// TestHTTP3Slots: requests that their client has given up count until nobody is busy with them.
func TestHTTP3Slots(t *testing.T) {
	t.Parallel()
	a := underAttack(t, "h3", Options{Streams: 5})
	client := a.client("h3")
	for range 30 {
		request := a.request("GET", "/held", nil)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			answer, err := client.Do(request.WithContext(ctx))
			if err == nil {
				_ = answer.Body.Close()
			}
		}()
		eventually(t, "it has come, or has to wait", func() bool { return a.d.InFlight() == 5 || a.underWay() > 0 })
		cancel()
	}
	a.expectServed()
}

// TestDrainHTTP3: idle clients are told to leave, requests that have begun end.
func TestDrainHTTP3(t *testing.T) {
	t.Parallel()
	submitted := make(chan *dispatch.Exchange, 1)
	b := startOn(t, "127.0.0.1:0", time.Hour, over("h3", Options{}), handler{answer: func(ex *dispatch.Exchange) {
		if string(ex.Scope.Path) == "/later" {
			submitted <- ex
		} else {
			hello(ex)
		}
	}})
	idle, busy := b.client("h3"), b.client("h3")
	fetch(t, idle, "GET", b.url("h3", "/"), nil)
	answered := make(chan string, 1)
	go func() {
		_, body := fetch(t, busy, "GET", b.url("h3", "/later"), nil)
		answered <- body
	}()
	ex := <-submitted
	b.stop()
	eventually(t, "the idle connection has ended", func() bool { return b.Connections() == 1 })
	hello(ex)
	if body := <-answered; body != "/later" {
		t.Error(body)
	}
	<-b.ended
}

// TestHTTP3Limits: connections that idle are closed, for want of room or after KeepAlive, and half a handshake is one.
func TestHTTP3Limits(t *testing.T) {
	t.Parallel()
	b := start(t, over("h3", Options{MaxConnections: 1, KeepAlive: 2 * time.Second}), handler{answer: hello})
	for range 3 {
		eventually(t, "there is room in the end", func() bool {
			client := b.client("h3")
			answer, err := client.Get(b.url("h3", "/"))
			if err != nil {
				return false
			}
			return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
		})
	}
	eventually(t, "all idle connections are closed", func() bool { return b.Connections() == 0 })
}

// TestHTTP3Cut ends everything, and what a client sees is an error.
func TestHTTP3Cut(t *testing.T) {
	t.Parallel()
	submitted := make(chan *dispatch.Exchange, 1)
	b := start(t, over("h3", Options{}), handler{answer: func(ex *dispatch.Exchange) { submitted <- ex }})
	failed := make(chan error, 1)
	go func() {
		answer, err := b.client("h3").Get(b.url("h3", "/"))
		if err == nil {
			err = fmt.Errorf("status %d, and %w", answer.StatusCode, answer.Body.Close())
		}
		failed <- err
	}()
	<-submitted
	b.Cut()
	if err := <-failed; !isClosed(err) {
		t.Error(err)
	}
	b.access.expect(t, "GET / 0 0 client")
}

// isClosed tells whether a client's error is the end of its connection.
func isClosed(err error) bool {
	var app *quich3.Error
	var transport *quic.ApplicationError
	return errors.As(err, &app) || errors.As(err, &transport)
}
