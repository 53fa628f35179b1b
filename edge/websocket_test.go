package edge

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/websocket"
	"backline/wire"
)

const upgrade = "GET /ws?x=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// frame is a whole frame as clients send it: masked.
func frame(opcode byte, payload string) string {
	head := []byte{0x80 | opcode}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	key := []byte{1, 2, 3, 4}
	body := []byte(payload)
	for i := range body {
		body[i] ^= key[i%4]
	}
	return string(head) + string(key) + string(body)
}

// expectFrame reads one frame from the server.
func (c *caller) expectFrame(opcode byte) string {
	c.t.Helper()
	var head [10]byte
	c.read(head[:2])
	n := int(head[1])
	switch n {
	case 126:
		c.read(head[2:4])
		n = int(binary.BigEndian.Uint16(head[2:4]))
	case 127:
		c.read(head[2:10])
		n = int(binary.BigEndian.Uint64(head[2:10]))
	}
	payload := make([]byte, n)
	c.read(payload)
	if head[0] != 0x80|opcode {
		c.t.Fatalf("a frame that begins with %02x and has %.40q, expected opcode %d", head[0], payload, opcode)
	}
	return string(payload)
}

func (c *caller) read(p []byte) {
	c.t.Helper()
	if _, err := io.ReadFull(c.in, p); err != nil {
		c.t.Fatalf("expected a frame: %v", err)
	}
}

// expectClose reads our close frame.
func (c *caller) expectClose(code int) {
	c.t.Helper()
	if payload := c.expectFrame(8); len(payload) < 2 || int(binary.BigEndian.Uint16([]byte(payload))) != code {
		c.t.Fatalf("closed with %q, expected %d", payload, code)
	}
}

// open does the handshake and gives the answer's head.
func (c *caller) open(more string) *http.Response {
	c.t.Helper()
	c.say(upgrade + more + "\r\n")
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("expected an answer: %v", err)
	}
	return answer
}

// accepting is a worker whose application accepts every WebSocket and then does what talk does with what comes.
func accepting(talk func(w *worker, m dispatchtest.Message) (goOn bool)) func(*worker, dispatchtest.Message) {
	return func(w *worker, m dispatchtest.Message) {
		w.Send(dispatchtest.Tuple{wire.KindAccept, m.Stream, nil, []dispatchtest.Tuple{{"x-app", "yes"}}})
		for each := range w.stream(m.Stream) {
			if each.Kind == wire.KindClosed || !talk(w, each) {
				break
			}
		}
		w.Send(dispatchtest.Tuple{wire.KindDone, m.Stream})
	}
}

// echo sends back what comes, and says that it has been taken.
func echo(w *worker, m dispatchtest.Message) bool {
	var data any = m.Data
	if m.Text {
		data = string(m.Data)
	}
	switch m.Kind {
	case wire.KindPart:
		w.Send(dispatchtest.Tuple{wire.KindSendPart, m.Stream, data})
	case wire.KindReceive:
		w.Send(dispatchtest.Tuple{wire.KindSend, m.Stream, data}, dispatchtest.Tuple{wire.KindRead, m.Stream, wire.Cost(m.Data, m.Text)})
	}
	return true
}

func TestWebSocketEcho(t *testing.T) {
	t.Parallel()
	b := withWorker(t, "asgi", Options{}, dispatch.Options{}, accepting(echo))
	c := b.dial()
	answer := c.open("")
	if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || answer.Header.Get("X-App") != "yes" {
		t.Fatalf("the handshake is answered with %d %v", answer.StatusCode, answer.Header)
	}
	c.say(frame(9, "are you there") + frame(1, "hello") + frame(2, "\xff\x00") + frame(1, ""))
	if got := c.expectFrame(10); got != "are you there" {
		t.Errorf("the pong has %q", got)
	}
	for i, want := range []string{"hello", "\xff\x00", ""} {
		if got := c.expectFrame([]byte{1, 2, 1}[i]); got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
	c.say(frame(8, "\x03\xe8bye"))
	c.expectClose(1000)
	c.expectEnd()
	b.access.expect(t, "GET /ws?x=1 101 13 ")
}

// TestWebSocketLongMessages: the worker gets pieces that end between characters.
func TestWebSocketLongMessages(t *testing.T) {
	t.Parallel()
	pieces := make(chan int, 100)
	b := withWorker(t, "asgi", Options{}, dispatch.Options{}, accepting(func(_ *worker, m dispatchtest.Message) bool {
		pieces <- len(m.Data)
		return m.Kind != wire.KindReceive
	}))
	c := b.dial()
	c.open("")
	c.say(frame(1, strings.Repeat("\u20ac", 50_000)))
	total := 0
	for total < 150_000 {
		n := <-pieces
		if n > wire.MaxPiece || n%3 != 0 {
			t.Errorf("a piece of %d bytes", n)
		}
		total += n
	}
}

func TestWebSocketBreaksRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, bytes string
		code        int
	}{
		{"not masked", "\x81\x05hello", 1002},
		{"not UTF-8", frame(1, "\xff"), 1007},
		{"too long", frame(2, strings.Repeat("x", 1001)), 1009},
		{"too long by its header", "\x82\xff\x00\x00\x00\x10\x00\x00\x00\x00mask", 1009},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan dispatchtest.Message, 1)
			options := Options{}
			options.WebSockets.MaxMessage = 1000
			b := withWorker(t, "asgi", options, dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
				w.Send(dispatchtest.Tuple{wire.KindAccept, m.Stream, nil, []dispatchtest.Tuple{}})
				closed <- <-w.stream(m.Stream)
				w.Send(dispatchtest.Tuple{wire.KindDone, m.Stream})
			})
			client := b.dial()
			client.open("")
			client.say(c.bytes)
			client.expectClose(c.code)
			client.expectEnd()
			if m := <-closed; m.Kind != wire.KindClosed || m.N != c.code {
				t.Errorf("the worker got %v with %d, expected to hear of %d", m.Kind, m.N, c.code)
			}
		})
	}
}

func TestWebSocketNotAccepted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer []dispatchtest.Tuple
		status int
	}{
		{"closed", []dispatchtest.Tuple{{wire.KindClose, 0, 1000, ""}, {wire.KindDone, 0}}, 403},
		{"failed", []dispatchtest.Tuple{{wire.KindError, 0, "why"}}, 500},
		{"answered", []dispatchtest.Tuple{{wire.KindAnswer, 0, 401, []dispatchtest.Tuple{}, []byte("who are you")}}, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := withWorker(t, "asgi", Options{}, dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
				if m.Path() == "/plain" {
					w.Answer(m.Stream, "plain")
					return
				}
				for _, each := range c.answer {
					each[1] = m.Stream
				}
				w.Send(c.answer...)
			})
			client := b.dial()
			client.say(upgrade + "\r\n")
			client.expect(c.status)
			if got := client.get("/plain"); got != "plain" {
				t.Errorf("the connection goes on with %q", got)
			}
		})
	}
}

func TestWebSocketHandshakesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := withWorker(t, "asgi", Options{}, dispatch.Options{}, accepting(echo))
	for request, status := range map[string]int{
		strings.Replace(upgrade, "13", "12", 1):          426,
		strings.Replace(upgrade, "dGhl", "d", 1):         400,
		upgrade + "Content-Length: 0\r\n":                101,
		upgrade + "Content-Length: 3\r\n":                400,
		upgrade + "Sec-WebSocket-Protocol: \u00e9\r\n":   400,
		strings.Replace(upgrade, "GET", "POST", 1):       405,
		upgrade + "Sec-WebSocket-Protocol: chat, v2\r\n": 101,
	} {
		c := b.dial()
		c.say(request + "\r\n")
		answer, err := http.ReadResponse(c.in, nil)
		if err != nil || answer.StatusCode != status {
			t.Errorf("%q: %v %v, expected %d", request, answer, err, status)
		}
	}
}

// TestWebSocketSlowReader: what waits for a client that does not read stays within the window, and the client is cut
// off.
func TestWebSocketSlowReader(t *testing.T) {
	t.Parallel()
	const window = 16 << 10
	options := Options{}
	options.WebSockets.Window, options.WebSockets.WriteTimeout = window, time.Second
	sent := make(chan int, 1)
	b := withWorker(t, "asgi", options, dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
		w.Send(dispatchtest.Tuple{wire.KindAccept, m.Stream, nil, []dispatchtest.Tuple{}})
		credit, total := window, 0
		for {
			for credit > 0 {
				w.Send(dispatchtest.Tuple{wire.KindSend, m.Stream, bytes.Repeat([]byte("x"), 4000)})
				credit -= 4000 + wire.MessageCost
				total += 4000
			}
			each := <-w.stream(m.Stream)
			if each.Kind == wire.KindClosed {
				break
			}
			credit += each.N
		}
		w.Send(dispatchtest.Tuple{wire.KindDone, m.Stream})
		sent <- total
	})
	c := b.dial()
	c.open("")
	if total := <-sent; total > 16<<20 {
		t.Errorf("%d bytes were taken for a client that reads nothing", total) // the kernel's buffers hold a few MiB
	}
	eventually(t, "the access log says who is to blame", func() bool { return b.access.contains(" 101 ", " client") })
}

// TestWebSocketPing: a client that gives no sign of life is asked for one, then cut off.
func TestWebSocketPing(t *testing.T) {
	t.Parallel()
	options := Options{}
	options.WebSockets.PingInterval, options.WebSockets.PingTimeout = time.Second, time.Second
	closed := make(chan int, 1)
	b := withWorker(t, "asgi", options, dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
		w.Send(dispatchtest.Tuple{wire.KindAccept, m.Stream, nil, []dispatchtest.Tuple{}})
		closed <- (<-w.stream(m.Stream)).N
		w.Send(dispatchtest.Tuple{wire.KindDone, m.Stream})
	})
	c := b.dial()
	c.open("")
	c.expectFrame(9)
	c.say(frame(10, ""))
	c.expectFrame(9)
	if code := <-closed; code != 1006 {
		t.Errorf("the worker heard of %d, expected 1006", code)
	}
	c.expectEnd()
}

func TestWebSocketsLeaveWithTheServer(t *testing.T) {
	t.Parallel()
	b := withWorker(t, "asgi", Options{}, dispatch.Options{}, accepting(echo))
	c := b.dial()
	c.open("")
	b.stop()
	c.expectClose(websocket.CloseGoingAway)
	c.say(frame(8, "\x03\xe9"))
	c.expectEnd()
}

func TestWebSocketWorkerDies(t *testing.T) {
	t.Parallel()
	b := withWorker(t, "asgi", Options{}, dispatch.Options{}, accepting(func(w *worker, _ dispatchtest.Message) bool {
		w.Die()
		return false
	}))
	c := b.dial()
	c.open("")
	c.say(frame(1, "die"))
	c.expectClose(dispatch.CloseInternal)
}

// TestUpgradeForWSGI: such an application answers the request as it stands, unless it makes a WebSocket of it.
func TestUpgradeForWSGI(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, handler{wsgi: true, answer: func(ex *dispatch.Exchange) {
		if !ex.Scope.WebSocket || ex.Scope.Scheme != here() || ex.More != wire.BodyWhole {
			t.Errorf("the application gets %+v", ex.Scope)
		}
		hello(ex)
	}})
	c := b.dial()
	c.say(upgrade + "\r\n")
	c.expect(200)
	c.say(upgrade + "\r\n")
	c.expect(200)

	b = withWorker(t, "wsgi", Options{}, dispatch.Options{}, accepting(echo))
	c = b.dial()
	if status := c.open("").StatusCode; status != http.StatusSwitchingProtocols {
		t.Fatalf("the handshake is answered with %d", status)
	}
	c.say(frame(1, "hello"))
	if got := c.expectFrame(1); got != "hello" {
		t.Errorf("got %q, expected what was sent", got)
	}
	c.say(frame(8, "\x03\xe8"))
	c.expectClose(1000)
}
