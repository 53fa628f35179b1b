package edge

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"backline/channel"
	"backline/dispatch"
)

// TestRecover: a long poll's view is asked again, a stream asks its link and tells what it has seen last,
// one without a link goes on.
func TestRecover(t *testing.T) {
	t.Parallel()
	for _, kind := range append([]string{"h1"}, everyMultiplexed()...) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			options, hub := holding()
			last := make(chan string, 1)
			var polls atomic.Int64
			b := start(t, over(kind, options), handler{answer: func(ex *dispatch.Exchange) {
				stream := []string{"Content-Type: text/plain", "Grip-Hold: stream", "Grip-Channel: room; prev-id=7"}
				switch string(ex.Scope.Path) {
				case "/poll":
					if polls.Add(1) == 2 {
						say(ex, 203, "looked again", "Content-Type: text/plain")
						return
					}
					say(ex, 200, "nothing", holdFor("room")...)
				case "/plain":
					say(ex, 200, "plain\n", "Content-Type: text/plain", "Grip-Hold: stream", "Grip-Channel: room")
				case "/linked":
					say(ex, 200, "linked\n", append(stream, "Grip-Link: </next>; rel=next")...)
				case "/next":
					said := ""
					for _, f := range ex.Scope.Fields {
						if string(f.Name) == "Grip-Last" {
							said = string(f.Value)
						}
					}
					last <- said
					say(ex, 200, "caught up\n", stream...)
				}
			}})
			client := b.oneOf(kind)
			lines := map[string]*bufio.Reader{}
			for i, path := range []string{"/plain", "/linked"} {
				answer, err := client.Get(urlOf(b, kind, path))
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				lines[path] = bufio.NewReader(answer.Body)
				if got := line(t, lines[path]); got != path[1:]+"\n" {
					t.Fatal(got)
				}
				b.joined(i + 1)
			}
			polled := make(chan string, 1)
			go func() {
				_, body := fetch(t, client, http.MethodGet, urlOf(b, kind, "/poll"), nil)
				polled <- body
			}()
			b.joined(3)
			b.Recover()
			if got := <-polled; got != "looked again" {
				t.Errorf("%q", got)
			}
			if got := <-last; got != "room; last-id=7" {
				t.Errorf("%q", got)
			}
			if got := line(t, lines["/linked"]); got != "caught up\n" {
				t.Errorf("%q", got)
			}
			b.joined(4)
			hub.Publish("room", &channel.Publication{Stream: []byte("news\n")})
			for path, each := range lines {
				if got := line(t, each); got != "news\n" {
					t.Errorf("%s: %q", path, got)
				}
			}
		})
	}
}

func line(t *testing.T, from *bufio.Reader) string {
	t.Helper()
	text, err := from.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// oneOf is a client for HTTP/1.1 too, with TLS where the server has it.
func (b *bundle) oneOf(kind string) *http.Client {
	if kind != "h1" {
		return b.client(kind)
	}
	dial := func(context.Context, string, string) (net.Conn, error) { return b.dial().Conn, nil }
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

func urlOf(b *bundle, kind, path string) string {
	if kind == "h1" {
		return "http://" + b.address + path
	}
	return b.url(kind, path)
}
