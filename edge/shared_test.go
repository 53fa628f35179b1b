package edge

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"backline/channel"
	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/websocket"
	"backline/wire"
)

// counted is a hub that says how many members its groups have.
type counted struct {
	*channel.Hub
	mu      sync.Mutex
	members map[string]map[channel.Member]bool
}

func newCounted() *counted {
	return &counted{Hub: channel.New(channel.Options{}), members: map[string]map[channel.Member]bool{}}
}

func (h *counted) Join(group string, m channel.Member) {
	h.Hub.Join(group, m)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members[group] == nil {
		h.members[group] = map[channel.Member]bool{}
	}
	h.members[group][m] = true
}

func (h *counted) Leave(group string, m channel.Member) {
	h.Hub.Leave(group, m)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.members[group], m)
}

func (h *counted) has(group string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.members[group])
}

// expect waits until a group has n members.
func (h *counted) expect(t *testing.T, group string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has %d members", group, n), func() bool { return h.has(group) == n })
}

func (h *counted) text(group, text string) {
	h.Publish(group, &channel.Publication{Socket: &channel.SocketMessage{Data: []byte(text), Text: true}})
}

// grouped is a worker that does what its sockets' clients say: "join room", "leave room", "close", "die". Each is in "all"
// before it is accepted.
func grouped(t *testing.T, kind string, options Options) (*bundle, *counted) {
	t.Helper()
	hub := newCounted()
	options.Layer = hub
	b := withWorker(t, kind, options, dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
		w.Send(dispatchtest.Tuple{wire.KindSocketJoin, m.Stream, "all"})
		accepting(follow)(w, m)
	})
	b.expectUp(t)
	return b, hub
}

func follow(w *worker, m dispatchtest.Message) bool {
	if m.Kind != wire.KindReceive {
		return true
	}
	order, group, _ := strings.Cut(string(m.Data), " ")
	switch order {
	case "join":
		w.Send(dispatchtest.Tuple{wire.KindSocketJoin, m.Stream, group})
	case "leave":
		w.Send(dispatchtest.Tuple{wire.KindSocketLeave, m.Stream, group})
	case "begin":
		w.Send(dispatchtest.Tuple{wire.KindSendPart, m.Stream, "one "})
	case "end":
		w.Send(dispatchtest.Tuple{wire.KindSend, m.Stream, "two"})
	case "close":
		w.Send(dispatchtest.Tuple{wire.KindClose, m.Stream, 4000, ""})
	case "die":
		w.Die()
		return false
	}
	return true
}

func (c *caller) order(text string) { c.say(frame(1, text)) }

func TestGroups(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"asgi", "wsgi"} {
		b, hub := grouped(t, kind, Options{})
		one, two := b.dial(), b.dial()
		one.open("")
		two.open("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n")
		hub.expect(t, "all", 2)
		hub.text("all", "hello")
		long := strings.Repeat("all of it, ", 100)
		hub.text("all", long)
		for _, c := range []*caller{one, two} {
			if got := c.expectFrame(1); got != "hello" {
				t.Errorf("got %q, expected what was published", got)
			}
		}
		if got := one.expectFrame(1); got != long {
			t.Errorf("got %q, expected %q", got, long)
		}
		if got := two.expectFrame(0x40 | 1); len(got) > len(long)/4 {
			t.Errorf("%d bytes for %d, expected them compressed", len(got), len(long))
		}
		one.order("join room")
		hub.expect(t, "room", 1)
		one.order("leave all")
		hub.expect(t, "all", 1)
		hub.text("all", "to the second")
		hub.Publish("room", &channel.Publication{Socket: &channel.SocketMessage{Data: []byte{0}}})
		if got := one.expectFrame(2); got != "\x00" {
			t.Errorf("got %q, expected the other group's", got)
		}
		if got := two.expectFrame(1); got != "to the second" {
			t.Errorf("got %q", got)
		}
	}
}

// TestGroupsEnd: however a socket ends, it is in no group afterwards.
func TestGroupsEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(b *bundle, c *caller){
		"by its client":       func(_ *bundle, c *caller) { c.say(frame(8, "\x03\xe8")) },
		"with its connection": func(_ *bundle, c *caller) { _ = c.Close() },
		"by the application":  func(_ *bundle, c *caller) { c.order("close") },
		"with its worker":     func(_ *bundle, c *caller) { c.order("die") },
		"with the server":     func(b *bundle, _ *caller) { b.stop() },
		"when it is cut":      func(b *bundle, _ *caller) { b.Cut() },
		"for a wrong frame":   func(_ *bundle, c *caller) { c.say("\x81\x01x") },
		"with a publication": func(b *bundle, _ *caller) {
			b.options.Layer.Publish("all", &channel.Publication{Close: channel.FormSocket})
		},
		"with a dead publisher": func(_ *bundle, c *caller) { c.order("join room"); c.order("die") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, hub := grouped(t, "asgi", Options{})
			c := b.dial()
			c.open("")
			hub.expect(t, "all", 1)
			end(b, c)
			hub.expect(t, "all", 0)
			hub.expect(t, "room", 0)
			hub.text("all", "nobody is here")
		})
	}
}

// TestGroupsRefused: a socket that is refused has joined nothing.
func TestGroupsRefused(t *testing.T) {
	t.Parallel()
	hub := newCounted()
	b := withWorker(t, "asgi", Options{Layer: hub}, dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
		if m.Path() == "/plain" {
			w.Answer(m.Stream, "plain")
			return
		}
		w.Send(dispatchtest.Tuple{wire.KindSocketJoin, m.Stream, "all"}, dispatchtest.Tuple{wire.KindClose, m.Stream, 1000, ""},
			dispatchtest.Tuple{wire.KindDone, m.Stream})
	})
	b.expectUp(t)
	c := b.dial()
	c.say(upgrade + "\r\n")
	c.expect(403)
	hub.text("all", "for nobody")
	if got := c.get("/plain"); got != "plain" || hub.has("all") != 0 {
		t.Errorf("the connection goes on with %q and is in %d groups", got, hub.has("all"))
	}
}

// TestGroupsAtMost: the server counts too.
func TestGroupsAtMost(t *testing.T) {
	t.Parallel()
	options := Options{}
	options.WebSockets.Groups = 2
	b, hub := grouped(t, "asgi", options)
	c := b.dial()
	c.open("")
	for _, order := range []string{"join one", "join one", "join two", "leave one", "join three"} {
		c.order(order)
	}
	hub.expect(t, "three", 1)
	if n := hub.has("two"); n != 0 {
		t.Errorf("a third group has %d members, expected none", n)
	}
}

// TestGroupsWithinAMessage: what is published between two pieces of a message comes behind it (RFC 6455 5.4).
func TestGroupsWithinAMessage(t *testing.T) {
	t.Parallel()
	b, hub := grouped(t, "asgi", Options{})
	c := b.dial()
	c.open("")
	c.order("begin")
	var head [2]byte
	c.read(head[:])
	piece := make([]byte, head[1])
	c.read(piece)
	hub.text("all", "between")
	c.order("end")
	c.read(head[:])
	if c.read(piece[:head[1]]); head[0] != 0x80 || string(piece[:3]) != "two" {
		t.Errorf("got %x %q, expected the rest of the message", head, piece)
	}
	if got := c.expectFrame(1); got != "between" {
		t.Errorf("got %q, expected what was published", got)
	}
}

// TestGroupsSlowMember: a client that does not read has no more than the window in the server, others get everything,
// and in the end it is cut off.
func TestGroupsSlowMember(t *testing.T) {
	t.Parallel()
	const times, size = 6000, 4000
	options := Options{}
	options.WebSockets.Window, options.WebSockets.WriteTimeout = 16<<10, time.Second
	b, hub := grouped(t, "asgi", options)
	slow, quick := b.dial(), b.dial()
	slow.open("")
	quick.open("")
	hub.expect(t, "all", 2)
	for i := range times {
		hub.text("all", fmt.Sprintf("%0*d", size, i))
		if got := quick.expectFrame(1); !strings.HasSuffix(got, fmt.Sprintf("%06d", i)) {
			t.Fatalf("got %.20q, expected number %d", got, i)
		}
		if i%100 == 0 {
			b.each(func(c *conn) {
				c.mu.Lock()
				defer c.mu.Unlock()
				if n := c.out.waiting(); n > 16<<10+size+4 {
					t.Errorf("%d bytes wait for a client", n)
				}
			})
		}
	}
	eventually(t, "the access log says who is to blame", func() bool { return b.access.contains(" 101 ", " client") })
	hub.expect(t, "all", 1)
}

// TestGroupsLargeMessage: what the sockets do not take at once waits as a reference, in order.
func TestGroupsLargeMessage(t *testing.T) {
	t.Parallel()
	b, hub := grouped(t, "asgi", Options{})
	c := b.dial()
	c.open("")
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	hub.Publish("all", &channel.Publication{Socket: &channel.SocketMessage{Data: large}})
	c.order("begin")
	if got := c.expectFrame(2); got != string(large) {
		t.Errorf("got %d bytes, expected what was published", len(got))
	}
	var head [2]byte
	if c.read(head[:]); head != [2]byte{1, 4} {
		t.Errorf("then %x, expected the application's message", head)
	}
}

func TestGroupsTunnel(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		hub := newCounted()
		b := withWorker(t, "asgi", over(kind, Options{Layer: hub}), dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
			w.Send(dispatchtest.Tuple{wire.KindSocketJoin, m.Stream, "all"})
			accepting(follow)(w, m)
		})
		b.expectUp(t)
		f := b.frames(kind)
		c, _ := f.webSocket()
		hub.expect(t, "all", 1)
		for range 3 {
			hub.text("all", "hello")
			if got := c.expectFrame(1); got != "hello" {
				t.Errorf("%s: got %q", kind, got)
			}
		}
		b.stop()
		c.expectClose(websocket.CloseGoingAway)
		c.say(frame(8, "\x03\xe9"))
		hub.expect(t, "all", 0)
	}
}
