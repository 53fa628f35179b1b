package dispatch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

func (c *client) Accept(_ *Exchange, m *wire.Message) { c.events <- "accept " + string(m.Data) }

func (c *client) Take(*Exchange) { c.events <- "take" }

func (c *client) Message(_ *Exchange, data []byte, text, last bool) {
	kind := map[bool]string{true: "text", false: "binary"}[text]
	if !last {
		kind += ", goes on"
	}
	c.events <- fmt.Sprintf("message %s %s", data, kind)
}

func (c *client) Close(_ *Exchange, code int, reason []byte) {
	c.events <- fmt.Sprintf("close %d %s", code, reason)
}

func (c *client) Join(_ *Exchange, group []byte) { c.events <- "join " + string(group) }

func (c *client) Enter(_ *Exchange, a *wire.Action, name string) {
	c.events <- fmt.Sprintf("enter %s as %s by %s: %s, %s", a.Group, a.User, name, a.Info, a.Since)
}

func (c *client) Leave(_ *Exchange, group []byte) { c.events <- "leave " + string(group) }

// socket submits a WebSocket's handshake.
func (b *bundle) socket(path string) *client {
	c := b.request("GET", path)
	c.ex.Scope.WebSocket, c.ex.Scope.Scheme = true, "ws"
	c.ex.Socket, c.ex.More = c, wire.BodyFollows
	b.Submit(c.ex)
	return c
}

// accepted submits one that the worker accepts.
func (b *bundle) accepted(w *attached, path string) (c *client, stream uint32) {
	b.t.Helper()
	c = b.socket(path)
	stream = w.Expect(wire.KindRequest).Stream
	w.Send(dispatchtest.Tuple{wire.KindAccept, stream, "chat", []dispatchtest.Tuple{}})
	c.expect("wanted 262144 true", "accept chat")
	return c, stream
}

func TestSocket(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("asgi", 1)
	c, stream := b.accepted(w, "/ws")
	w.Send(dispatchtest.Tuple{wire.KindSendPart, stream, "one "}, dispatchtest.Tuple{wire.KindSend, stream, "two"},
		dispatchtest.Tuple{wire.KindSend, stream, []byte{0}}, dispatchtest.Tuple{wire.KindRead, stream, 7})
	c.expect("message one  text, goes on", "message two text", "message \x00 binary", "wanted 7 false")
	c.ex.SendMessage([]byte("up"), true)
	if m := w.Expect(wire.KindReceive); string(m.Data) != "up" || !m.Text {
		t.Errorf("the worker got %+v", m)
	}
	c.ex.SendMessage([]byte(strings.Repeat("\u20ac", wire.MaxPiece/2)), true)
	if m := w.Expect(wire.KindPart); len(m.Data) != wire.MaxPiece/3*3 {
		t.Errorf("the first piece has %d bytes, expected as many whole characters as fit", len(m.Data))
	}
	w.Expect(wire.KindReceive)
	c.ex.Took(20_000)
	if m := w.Expect(wire.KindCredit); m.N != 20_000 {
		t.Errorf("credit for %d", m.N)
	}
	w.Send(dispatchtest.Tuple{wire.KindClose, stream, 4000, "bye"})
	c.expect("close 4000 bye")
	c.ex.SendMessage([]byte("late"), true)
	w.Send(dispatchtest.Tuple{wire.KindDone, stream})
	b.submit("GET", "/")
	if m := w.Expect(wire.KindRequest); m.Stream != stream {
		t.Errorf("stream %d, expected the socket's number again", m.Stream)
	}
	w.Answer(stream, "")
}

// TestSocketGroups: a socket joins before it is accepted, and after; a request that is none cannot.
func TestSocketGroups(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("asgi", 2)
	c := b.socket("/ws")
	stream := w.Expect(wire.KindRequest).Stream
	w.Send(dispatchtest.Tuple{wire.KindSocketJoin, stream, "early"}, dispatchtest.Tuple{wire.KindAccept, stream, nil, []dispatchtest.Tuple{}},
		dispatchtest.Tuple{wire.KindSocketJoin, stream, "room"}, dispatchtest.Tuple{wire.KindSocketLeave, stream, "early"},
		dispatchtest.Tuple{wire.KindSocketEnter, stream, "hall", "ann", "tab", "{}", "1f-9"})
	c.expect("wanted 262144 true", "join early", "accept ", "join room", "leave early", "enter hall as ann by tab: {}, 1f-9")
	c.ex.TellGap("hall")
	if m := w.Expect(wire.KindGap); string(m.Data) != "hall" {
		t.Errorf("a gap is told in %q", m.Data)
	}
	w.Send(dispatchtest.Tuple{wire.KindClose, stream, 1000, ""}, dispatchtest.Tuple{wire.KindSocketLeave, stream, "room"},
		dispatchtest.Tuple{wire.KindSocketEnter, stream, "hall", nil, "", "", nil})
	c.expect("close 1000 ")
	c.ex.TellGap("late")
	w.Send(dispatchtest.Tuple{wire.KindDone, stream})
	plain := b.submit("GET", "/")
	w.Send(dispatchtest.Tuple{wire.KindSocketJoin, w.Expect(wire.KindRequest).Stream, "room"})
	plain.expect("fail worker")
}

// TestSocketsEnterWhenAccepted: there is nobody to write what was missed to before.
func TestSocketsEnterWhenAccepted(t *testing.T) {
	b := setup(t, Options{})
	w := b.attach("asgi", 1)
	c := b.socket("/ws")
	w.Send(dispatchtest.Tuple{wire.KindSocketEnter, w.Expect(wire.KindRequest).Stream, "hall", nil, "", "", ""})
	c.expect("wanted 262144 true", "fail worker")
}

// TestSocketsAreNotInFlight: sockets that wait do not keep requests from a worker, nor do they count for its choice
// before the requests do.
func TestSocketsAreNotInFlight(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("asgi", 1)
	for range 3 {
		b.accepted(w, "/ws")
	}
	if w.link.Sockets() != 3 || b.InFlight() != 0 {
		t.Fatalf("%d sockets and %d requests, expected 3 and 0", w.link.Sockets(), b.InFlight())
	}
	other := b.attach("asgi", 1)
	b.accepted(other, "/ws") // the one with fewer sockets
	if other.link.Sockets() != 1 {
		t.Error("the next socket did not go to the worker with fewer")
	}
	w.Die()
	other.Die()
}

// TestSocketOfWSGI: a handshake is a request like others until it is accepted. From then on the worker has a thread for it
// alone, also when it has been closed and the application has not returned.
func TestSocketOfWSGI(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Timeout: time.Minute})
	w := b.attach("wsgi", 1)
	submit := func() (*client, uint32) {
		c := b.request("GET", "/ws")
		c.ex.Scope.WebSocket, c.ex.Socket = true, c
		b.Submit(c.ex)
		return c, w.Expect(wire.KindRequest).Stream
	}
	c, stream := submit()
	c.ex.Disconnect()
	w.Expect(wire.KindDisconnect)
	w.Send(dispatchtest.Tuple{wire.KindDone, stream})

	c, stream = submit()
	w.Answer(stream, "no")
	c.expect("answer 200 no")

	c, stream = submit()
	w.Send(dispatchtest.Tuple{wire.KindAccept, stream, nil, []dispatchtest.Tuple{}})
	c.expect("accept ")
	c.ex.Disconnect()
	w.Expect(wire.KindClosed)
	b.look(time.Now().Add(time.Hour))
	other := b.submit("GET", "/")
	w.Answer(w.Expect(wire.KindRequest).Stream, "there is room")
	other.expect("answer 200 there is room")
	if b.InFlight() != 0 || w.link.Sockets() != 1 {
		t.Errorf("%d requests and %d sockets, expected the one that has not returned", b.InFlight(), w.link.Sockets())
	}
	w.Send(dispatchtest.Tuple{wire.KindDone, stream})
	eventually(t, "the socket is gone", func() bool { return w.link.Sockets() == 0 })
}

func TestSocketEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(b *bundle, w *attached, c *client, stream uint32)
		told string // what the client hears
		code int    // what the worker hears, 0 for nothing
	}{
		"client closes": {func(_ *bundle, _ *attached, c *client, _ uint32) { c.ex.CloseSocket(3000, "enough") }, "", 3000},
		"client lost":   {func(_ *bundle, _ *attached, c *client, _ uint32) { c.ex.Disconnect() }, "", 1006},
		"application fails": {func(_ *bundle, w *attached, _ *client, stream uint32) {
			w.Send(dispatchtest.Tuple{wire.KindError, stream, "why"})
		}, "fail application", 0},
		"message cannot be sent": {func(_ *bundle, w *attached, _ *client, stream uint32) {
			w.Send(dispatchtest.Tuple{wire.KindSend, stream, "\xed\xa0\x80"})
		}, "fail application", 1011},
		"drained": {func(_ *bundle, w *attached, _ *client, _ uint32) { w.link.CloseSockets(5) }, "fail restart", 1012},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Options{QueueSize: 8})
			w := b.attach("asgi", 4)
			client, stream := b.accepted(w, "/ws")
			c.end(b, w, client, stream)
			if c.told != "" {
				client.expect(c.told)
			}
			if c.code != 0 {
				if m := w.Expect(wire.KindClosed); m.N != c.code {
					t.Errorf("the worker hears %d, expected %d", m.N, c.code)
				}
				if w.link.Sockets() != 0 || b.InFlight() != 1 {
					t.Error("until its application has returned, an ended socket counts as a request")
				}
				w.Send(dispatchtest.Tuple{wire.KindDone, stream})
			}
			eventually(t, "nothing is left", func() bool { return b.InFlight() == 0 && w.link.Sockets() == 0 })
		})
	}
}

func TestSocketOfADeadWorker(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Retry: true})
	w := b.attach("asgi", 4)
	open, _ := b.accepted(w, "/open")
	waiting := b.socket("/waiting")
	w.Expect(wire.KindRequest)
	waiting.expect("wanted 262144 true")
	w.Die()
	open.expect("fail worker")
	other := b.attach("asgi", 4)
	stream := other.Expect(wire.KindRequest).Stream // a handshake is a GET
	waiting.expect("wanted 262144 true")
	other.Send(dispatchtest.Tuple{wire.KindClose, stream, 1000, ""}, dispatchtest.Tuple{wire.KindDone, stream})
	waiting.expect("close 1000 ")
}

func TestDrainWithSockets(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("asgi", 4)
	first, _ := b.accepted(w, "/first")
	second, _ := b.accepted(w, "/second")
	b.submit("GET", "/")
	request := w.Expect(wire.KindRequest).Stream
	w.link.Drain()
	select {
	case <-w.link.Calm():
		t.Fatal("calm while a request runs")
	default:
	}
	w.Answer(request, "")
	await(t, "calm", w.link.Calm())
	w.link.CloseSockets(1)
	first.expect("fail restart")
	w.Send(dispatchtest.Tuple{wire.KindDone, w.Expect(wire.KindClosed).Stream})
	select {
	case <-w.link.Idle():
		t.Fatal("idle with a socket")
	default:
	}
	w.link.CloseSockets(10)
	second.expect("fail restart")
	w.Send(dispatchtest.Tuple{wire.KindDone, w.Expect(wire.KindClosed).Stream})
	await(t, "idle", w.link.Idle())
	w.Expect(wire.KindStop)
}

func TestSocketThatIsNotAcceptedInTime(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Timeout: 5 * turn})
	w := b.attach("asgi", 4)
	c := b.socket("/ws")
	stream := w.Expect(wire.KindRequest).Stream
	b.look(later(10 * turn))
	c.expect("wanted 262144 true", "fail timeout")
	w.traced()
	w.Expect(wire.KindCancel)
	w.Send(dispatchtest.Tuple{wire.KindDone, stream})
}

// TestSocketMessagesOutOfTurn: a worker that sends them breaks the protocol.
func TestSocketMessagesOutOfTurn(t *testing.T) {
	t.Parallel()
	for name, say := range map[string][]dispatchtest.Tuple{
		"accept for HTTP":     {{wire.KindAccept, 0, nil, []dispatchtest.Tuple{}}},
		"close for HTTP":      {{wire.KindClose, 0, 1000, ""}},
		"send for HTTP":       {{wire.KindSend, 0, "x"}},
		"send before accept":  {{wire.KindSend, 1, "x"}},
		"second accept":       {{wire.KindAccept, 1, nil, []dispatchtest.Tuple{}}, {wire.KindAccept, 1, nil, []dispatchtest.Tuple{}}},
		"answer after accept": {{wire.KindAccept, 1, nil, []dispatchtest.Tuple{}}, {wire.KindStart, 1, 200, []dispatchtest.Tuple{}, []byte{}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Options{QueueSize: 8})
			w := b.attach("asgi", 4)
			b.submit("POST", "/")
			b.socket("/ws")
			w.Expect(wire.KindRequest)
			w.Expect(wire.KindRequest)
			w.Send(say...)
			w.expectRetired(t, RetireProtocol)
		})
	}
}
