package edge

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"backline/dispatch"
	"backline/websocket"
)

// expectReleased waits until a server that retires has let go of everything but WebSockets.
func (b *bundle) expectReleased() {
	b.t.Helper()
	select {
	case <-b.Released():
	case <-time.After(patience):
		b.t.Fatalf("not released; %d connections are left", b.Connections())
	}
}

func TestRetireWithoutClients(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, handler{answer: hello})
	b.Retire()
	b.Retire()
	b.expectReleased()
	if conn, err := net.Dial("tcp", b.address); err == nil {
		_ = conn.Close()
		t.Error("it still listens")
	}
	select {
	case <-b.ended:
		t.Error("Run has returned; its context has not ended")
	default:
	}
}

func TestRetireAnswersOnceMore(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, handler{answer: hello})
	used, fresh := b.dial(), b.dial()
	if got := used.get("/before"); got != "/before" {
		t.Fatalf("got %q", got)
	}
	eventually(t, "both are connected", func() bool { return b.Connections() == 2 })
	b.Retire()
	eventually(t, "it retires", b.retiring.Load)
	for _, client := range []*caller{used, fresh} {
		client.say("GET /after HTTP/1.1\r\nHost: x\r\n\r\n")
		if body, closes := client.expect(200); body != "/after" || !closes {
			t.Errorf("got %q, closes: %v; expected an answer that says it is the last", body, closes)
		}
		client.expectEnd()
	}
	b.expectReleased()
}

func TestRetireLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	defer group.Wait()
	begun, finish := make(chan struct{}), make(chan struct{})
	b := start(t, Options{}, handler{answer: func(ex *dispatch.Exchange) {
		close(begun)
		group.Go(func() {
			<-finish
			hello(ex)
		})
	}})
	client := b.dial()
	client.say("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	b.Retire()
	eventually(t, "it retires", b.retiring.Load)
	select {
	case <-b.Released():
		t.Error("released with a request under way")
	default:
	}
	close(finish)
	if body, closes := client.expect(200); body != "/slow" || !closes {
		t.Errorf("got %q, closes: %v", body, closes)
	}
	b.expectReleased()
}

func TestRetireClosesIdleConnections(t *testing.T) {
	t.Parallel()
	b := startOn(t, "127.0.0.1:0", time.Second, Options{}, handler{answer: hello}) // sooner than the last call ends
	client := b.dial()
	client.get("/before")
	b.Retire()
	client.expectEnd()
	b.expectReleased()
}

func TestRetireCutsRequestsInTheEnd(t *testing.T) {
	t.Parallel()
	b := startOn(t, "127.0.0.1:0", time.Second, Options{}, handler{answer: func(*dispatch.Exchange) {}})
	client := b.dial()
	client.say("GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
	b.Retire()
	if rest, err := io.ReadAll(client.in); len(rest) > 0 {
		t.Errorf("got %q, %v; expected that the connection is cut", rest, err)
	}
	b.expectReleased()
}

func TestRetireKeepsWebSockets(t *testing.T) {
	t.Parallel()
	b := withWorker(t, "asgi", Options{}, dispatch.Options{}, accepting(echo))
	client := b.dial()
	client.open("")
	b.Retire()
	b.expectReleased()
	client.say(frame(1, "still here"))
	if got := client.expectFrame(1); got != "still here" {
		t.Errorf("got %q", got)
	}
	b.stop()
	client.expectClose(websocket.CloseGoingAway)
}

func TestAStopWhileAServerRetires(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, handler{answer: func(*dispatch.Exchange) {}})
	client := b.dial()
	client.say("GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
	b.Retire()
	eventually(t, "it retires", b.retiring.Load)
	b.stop()
	b.Cut()
	<-b.ended
}

func TestRetireOverHTTP2(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var group sync.WaitGroup
			defer group.Wait()
			begun, finish := make(chan struct{}), make(chan struct{})
			b := start(t, over(kind, Options{}), handler{answer: func(ex *dispatch.Exchange) {
				close(begun)
				group.Go(func() {
					<-finish
					hello(ex)
				})
			}})
			client := b.client(kind)
			answered := make(chan string, 1)
			group.Go(func() {
				_, body := fetch(t, client, http.MethodGet, b.url(kind, "/slow"), nil)
				answered <- body
			})
			<-begun
			b.Retire()
			eventually(t, "it retires", b.retiring.Load)
			close(finish)
			if body := <-answered; body != "/slow" {
				t.Errorf("got %q", body)
			}
			b.expectReleased()
		})
	}
}

func TestRetireCutsRequestsOfHTTP2InTheEnd(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := startOn(t, "127.0.0.1:0", time.Second, over(kind, Options{}), handler{answer: func(*dispatch.Exchange) {}})
			var group sync.WaitGroup
			defer group.Wait()
			group.Go(func() {
				answer, err := b.client(kind).Get(b.url(kind, "/never"))
				if err == nil {
					t.Errorf("got status %d; expected that the request is cut", answer.StatusCode)
				}
			})
			eventually(t, "the request is under way", func() bool { return b.http2.holding() == 1 })
			b.Retire()
			b.expectReleased()
		})
	}
}

func TestRetireGivesTheUDPPortUp(t *testing.T) {
	t.Parallel()
	begun := make(chan *dispatch.Exchange, 1)
	b := start(t, over("h3", Options{}), handler{answer: func(ex *dispatch.Exchange) { begun <- ex }})
	client := b.client("h3")
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() {
		if _, body := fetch(t, client, http.MethodGet, b.url("h3", "/slow"), nil); body != "/slow" {
			t.Errorf("got %q", body)
		}
	})
	ex := <-begun
	b.Retire()
	eventually(t, "it retires", b.retiring.Load)
	if packets, err := net.ListenPacket("udp", b.address); err == nil {
		_ = packets.Close()
		t.Error("the port can be had while a client is still connected to it")
	}
	hello(ex)
	b.expectReleased()
	eventually(t, "the port can be had", func() bool {
		packets, err := net.ListenPacket("udp", b.address)
		if err == nil {
			_ = packets.Close()
		}
		return err == nil
	})
}

func TestServePacketsOfARunningServer(t *testing.T) {
	t.Parallel()
	b := start(t, over("h2", Options{}), handler{answer: hello})
	l, err := Listen(t.Context(), "127.0.0.1:0", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := b.ServePackets(l); err != nil || len(b.http3.opened()) != 0 {
		t.Fatalf("a listener without a UDP port: %v", err)
	}
	l = listenAt(t, "127.0.0.1:0", true)
	defer l.Close()
	if err := b.ServePackets(l); err != nil {
		t.Fatal(err)
	}
	b.address = l.Addr().String()
	if _, body := fetch(t, b.client("h3"), http.MethodGet, b.url("h3", "/there"), nil); body != "/there" {
		t.Errorf("got %q", body)
	}
}
