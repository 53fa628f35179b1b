package edge

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"backline/channel"
	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// said accepts every socket, puts it into a group and answers each message with its number, which is the state.
func said(w *worker, m dispatchtest.Message) {
	state := []byte(string(m.State) + ".")
	var actions []dispatchtest.Tuple
	switch wire.What(m.N) {
	case wire.EventConnect:
		actions = []dispatchtest.Tuple{{int(wire.DoAccept), nil, []dispatchtest.Tuple{{"x-app", "yes"}}}, {int(wire.DoJoin), "all"}}
		state = nil
	case wire.EventReceive:
		switch text := string(m.Data); text {
		case "fail":
			w.Send(dispatchtest.Tuple{wire.KindError, m.Stream, "LookupError"})
			return
		case "close":
			actions = []dispatchtest.Tuple{{int(wire.DoClose), 4000, "bye"}}
		default:
			actions = []dispatchtest.Tuple{{int(wire.DoSend), string(state) + text}}
		}
	case wire.EventDisconnect:
	}
	w.Send(dispatchtest.Tuple{wire.KindActed, m.Stream, actions, state})
}

func talking(t *testing.T, serve func(*worker, dispatchtest.Message)) (*bundle, *channel.Hub) {
	t.Helper()
	hub := channel.New(channel.Options{})
	return withWorker(t, "sockets", Options{Layer: hub}, dispatch.Options{QueueSize: 8}, serve), hub
}

func TestTalk(t *testing.T) {
	t.Parallel()
	b, hub := talking(t, said)
	c := b.dial()
	if answer := c.open(""); answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("X-App") != "yes" {
		t.Fatalf("the handshake is answered with %d %v", answer.StatusCode, answer.Header)
	}
	c.say(frame(1, "a") + frame(1, "b") + frame(9, "ping") + frame(1, "c"))
	for _, want := range []string{".a", "..b", "...c"} {
		got := c.expectAny()
		if got == "ping" {
			got = c.expectAny()
		}
		if got != want {
			t.Fatalf("got %q, expected %q", got, want)
		}
	}
	hub.Publish("all", &channel.Publication{Socket: &channel.SocketMessage{Data: []byte("to all"), Text: true}})
	for {
		if got := c.expectAny(); got == "to all" {
			break
		} else if got != "ping" {
			t.Fatalf("got %q", got)
		}
	}
	c.say(frame(8, "\x03\xe8"))
	c.expectClose(1000)
	c.expectEnd()
	eventually(t, "the application knows", func() bool { return b.Talks() == 0 })
	hub.Publish("all", &channel.Publication{Socket: &channel.SocketMessage{Data: []byte("nobody"), Text: true}})
}

// expectAny reads a text message or a pong.
func (c *caller) expectAny() string {
	c.t.Helper()
	head, err := c.in.Peek(1)
	if err != nil {
		c.t.Fatalf("expected a frame: %v", err)
	}
	return c.expectFrame(head[0] &^ 0x80)
}

func TestTalkEnds(t *testing.T) {
	t.Parallel()
	for say, code := range map[string]int{"fail": 1011, "close": 4000} {
		t.Run(say, func(t *testing.T) {
			t.Parallel()
			b, _ := talking(t, said)
			c := b.dial()
			c.open("")
			c.say(frame(1, say) + frame(1, "dropped"))
			c.expectClose(code)
			c.say(frame(8, "\x03\xe8"))
			eventually(t, "the application knows", func() bool { return b.Talks() == 0 })
		})
	}
}

// TestTalkIsRefused: by an action, and by none.
func TestTalkIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		actions []dispatchtest.Tuple
		status  int
	}{
		"with a status": {[]dispatchtest.Tuple{{int(wire.DoClose), 401, ""}}, 401},
		"with a code":   {[]dispatchtest.Tuple{{int(wire.DoClose), 1000, ""}}, 403},
		"silently":      {[]dispatchtest.Tuple{}, 403},
		"too early":     {[]dispatchtest.Tuple{{int(wire.DoSend), "a"}}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := talking(t, func(w *worker, m dispatchtest.Message) {
				w.Send(dispatchtest.Tuple{wire.KindActed, m.Stream, c.actions, nil})
			})
			if answer := b.dial().open(""); answer.StatusCode != c.status {
				t.Errorf("answered with %d, expected %d", answer.StatusCode, c.status)
			}
			if b.Talks() != 0 {
				t.Error("a socket that was refused counts as one")
			}
		})
	}
}

// TestTalkIsNotRead: a client that sends faster than it is handled waits, and loses nothing.
func TestTalkIsNotRead(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var handled atomic.Int64
	b, _ := talking(t, func(w *worker, m dispatchtest.Message) {
		if wire.What(m.N) == wire.EventReceive {
			<-release
			handled.Add(1)
		}
		said(w, m)
	})
	c := b.dial()
	c.open("")
	const messages = 300
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range messages {
			c.say(frame(1, strings.Repeat("x", 60_000)))
		}
	}()
	var t0 *talk
	eventually(t, "the socket is not read", func() bool {
		found := false
		b.each(func(conn *conn) {
			conn.mu.Lock()
			if conn.talk != nil && conn.ws != nil && conn.ws.window <= 0 {
				t0, found = conn.talk, true
			}
			conn.mu.Unlock()
		})
		return found
	})
	t0.mu.Lock()
	if n := len(t0.waiting); n > 5 {
		t.Errorf("%d messages of 60 KB wait", n)
	}
	t0.mu.Unlock()
	close(release)
	for range messages {
		c.expectAny()
	}
	<-sent
}
