package edge

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"backline"
	"backline/dispatch"
	"backline/wire"
)

// byPath leads /collect to a handler that wants bodies whole and is mounted at /mounted, everything else to one that
// does not, which alone takes WebSockets.
func byPath(options *Options) {
	tell := func(who string) func(ex *dispatch.Exchange) {
		return func(ex *dispatch.Exchange) {
			more := map[int]string{wire.BodyWhole: "whole", wire.BodyFollows: "follows", wire.BodyOnRead: "on read"}[ex.More]
			if ex.Urgent {
				more += ", urgent"
			}
			respond(ex, who+" at "+ex.Scope.RootPath+", body "+more)
		}
	}
	collecting := &Route{Handler: handler{answer: tell("collecting"), wsgi: true}, RootPath: "/mounted", Urgent: true}
	streaming := &Route{Handler: handler{answer: tell("streaming")}}
	options.Route = func(scope *backline.Scope, webSocket bool) *Route {
		switch {
		case webSocket:
			return nil
		case bytes.HasPrefix(scope.Path, []byte("/collect")):
			return collecting
		default:
			return streaming
		}
	}
}

func TestEachRequestHasItsRoute(t *testing.T) {
	t.Parallel()
	var options Options
	byPath(&options)
	b := start(t, options, nothing())
	c := b.dial()
	for _, step := range []struct{ request, want string }{
		{"GET /collect HTTP/1.1\r\nHost: a\r\n\r\n", "collecting at /mounted, body whole, urgent"},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "streaming at , body whole"},
		{"POST /collect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "collecting at /mounted, body whole, urgent"},
		{"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "streaming at , body whole"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "streaming at , body follows"},
	} {
		c.say(step.request)
		if got, _ := c.expect(200); got != step.want {
			t.Errorf("%q is answered %q, want %q", step.request, got, step.want)
		}
	}
}

func TestRoutesOfHTTP2(t *testing.T) {
	t.Parallel()
	if overTLS {
		t.Skip("without TLS only")
	}
	options := Options{HTTP2Cleartext: true}
	byPath(&options)
	b := start(t, options, nothing())
	client := b.client("h2c")
	for path, want := range map[string]string{
		"/collect": "collecting at /mounted, body whole, urgent", "/": "streaming at , body follows",
	} {
		// Of unknown length, so that it matters who waits for it.
		_, got := fetch(t, client, "POST", b.url("h2c", path), io.MultiReader(strings.NewReader("body")))
		if got != want {
			t.Errorf("%s is answered %q, want %q", path, got, want)
		}
	}
}
