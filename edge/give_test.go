package edge

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// taking is a worker whose application answers handshakes itself, over the connection, or accepts where it does not get
// it. what it is told of the WebSocket's end goes to ended.
func taking(t *testing.T, ended chan<- int, talk func(conn net.Conn)) func(*worker, dispatchtest.Message) {
	return func(w *worker, m dispatchtest.Message) {
		w.Send(dispatchtest.Tuple{wire.KindTake, m.Stream, 7})
		token, conn := w.NextGiven()
		if token != 7 {
			t.Errorf("token %d", token)
		}
		if conn == nil {
			accepting(echo)(w, m)
			return
		}
		go func() {
			code := 0
			for each := range w.stream(m.Stream) {
				if each.Kind == wire.KindClosed {
					code = each.N
					break
				}
			}
			_ = conn.(interface{ CloseRead() error }).CloseRead() // as clientsocket.py does, so that talk sees the end
			ended <- code
		}()
		_, _ = conn.Write([]byte("HTTP/1.1 101 Mine\r\nUpgrade: websocket\r\n\r\n"))
		talk(conn)
		_ = conn.Close()
		w.Send(dispatchtest.Tuple{wire.KindClose, m.Stream, 1000, ""}, dispatchtest.Tuple{wire.KindDone, m.Stream})
	}
}

// parrot sends back what comes, until there is nothing more or it is told to leave.
func parrot(conn net.Conn) {
	buffer := make([]byte, 1<<10)
	for {
		n, err := conn.Read(buffer)
		if err != nil || string(buffer[:n]) == "leave" {
			return
		}
		_, _ = conn.Write(buffer[:n])
	}
}

// given dials a server whose worker takes connections; everything is plain, also in the build that has TLS everywhere.
func given(t *testing.T, b *bundle) *caller {
	t.Helper()
	if b.options.TLS != nil {
		t.Skip("over TLS the connection is never given away: TestKept")
	}
	c := b.dialPlain()
	if answer := c.open(""); answer.Status != "101 Mine" {
		t.Fatalf("answered with %q, expected the worker's own answer", answer.Status)
	}
	return c
}

func (c *caller) echoes(text string) {
	c.t.Helper()
	c.say(text)
	got := make([]byte, len(text))
	c.read(got)
	if string(got) != text {
		c.t.Fatalf("got %q, expected %q", got, text)
	}
}

func TestGiven(t *testing.T) {
	t.Parallel()
	ended := make(chan int, 1)
	b := withWorker(t, "wsgi", Options{}, dispatch.Options{}, taking(t, ended, parrot))
	c := given(t, b)
	c.echoes("as it is")
	if n := b.Connections(); n != 1 {
		t.Errorf("%d connections are counted", n)
	}
	c.echoes(strings.Repeat("x", 1000))
	c.say("leave")
	c.expectEnd()
	b.access.expect(t, "GET /ws?x=1 101 0 ")
	eventually(t, "it is not counted any more", func() bool { return b.Connections() == 0 })
}

// TestGivenAndStopped: the worker is told, and ends it; the server does not wait for that.
func TestGivenAndStopped(t *testing.T) {
	t.Parallel()
	ended := make(chan int, 1)
	b := withWorker(t, "wsgi", Options{}, dispatch.Options{}, taking(t, ended, parrot))
	c := given(t, b)
	c.echoes("here")
	b.stop()
	if code := <-ended; code != 1001 {
		t.Errorf("the worker is told of %d, expected 1001", code)
	}
	c.expectEnd()
	<-b.ended
	b.access.expect(t, "GET /ws?x=1 101 0 ")
}

func TestGivenToAWorkerThatDies(t *testing.T) {
	t.Parallel()
	ended := make(chan int, 1)
	var far *worker
	serve := taking(t, ended, parrot)
	b := withWorker(t, "wsgi", Options{}, dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
		far = w
		serve(w, m)
	})
	c := given(t, b)
	c.echoes("here")
	far.Die()
	eventually(t, "nobody is counted", func() bool { return b.Connections() == 0 })
	b.access.expect(t, "GET /ws?x=1 101 0 worker")
	<-ended // which closes for reading, as the kernel does with all that a process had open
	c.expectEnd()
}

// TestKept: where the connection is not to be had, or bytes would be lost, the worker goes on with messages.
func TestKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keep   bool
		behind string // the head, in one piece with it
	}{
		"by the setting":               {true, ""},
		"the client has said more":     {false, frame(1, "early")},
		"half of what it says is here": {false, frame(1, "early")[:3]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := Options{}
			options.WebSockets.Keep = c.keep
			b := withWorker(t, "wsgi", options, dispatch.Options{}, taking(t, make(chan int, 1), parrot))
			client := b.dial()
			client.say(upgrade + "\r\n" + c.behind)
			answer, err := http.ReadResponse(client.in, nil)
			if err != nil || answer.Status != "101 Switching Protocols" {
				t.Fatalf("answered with %v, %v; expected the server's own answer", answer, err)
			}
			client.say(frame(1, "early")[len(c.behind):])
			if got := client.expectFrame(1); got != "early" {
				t.Errorf("got %q", got)
			}
			client.say(frame(8, "\x03\xe8"))
			client.expectClose(1000)
		})
	}
	t.Run("over TLS", func(t *testing.T) {
		t.Parallel()
		options := Options{TLS: serverTLS()}
		b := withWorker(t, "wsgi", options, dispatch.Options{}, taking(t, make(chan int, 1), parrot))
		client := b.dial()
		if answer := client.open(""); answer.Status != "101 Switching Protocols" {
			t.Fatalf("answered with %q; expected the server's own answer", answer.Status)
		}
		client.say(frame(8, "\x03\xe8"))
		client.expectClose(1000)
	})
}
