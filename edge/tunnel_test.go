package edge

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	quich3 "github.com/quic-go/quic-go/http3"
	h2 "golang.org/x/net/http2"

	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/websocket"
	"backline/wire"
)

// carriedBytes are those of one stream, as if it were a connection.
type carriedBytes struct {
	*framed
	id   uint32
	rest []byte
	over bool
}

func (c *carriedBytes) Read(p []byte) (int, error) {
	for len(c.rest) == 0 && !c.over {
		frame, err := c.ReadFrame()
		if err != nil {
			return 0, err
		}
		if frame.Header().StreamID != c.id {
			continue
		}
		switch frame := frame.(type) {
		case *h2.DataFrame:
			c.rest = append(c.rest, frame.Data()...)
			c.over = frame.StreamEnded()
			if n := uint32(len(frame.Data())); n > 0 && !c.over {
				c.must(c.WriteWindowUpdate(0, n))
				c.must(c.WriteWindowUpdate(c.id, n))
			}
		case *h2.RSTStreamFrame:
			return 0, fmt.Errorf("the stream was reset: %v", frame.ErrCode)
		}
	}
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *carriedBytes) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), 16<<10)
		if err := c.WriteData(c.id, false, rest[:n]); err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// webSocket asks for one on a stream of its own, and gives its bytes and the answer's header fields.
func (f *framed) webSocket(more ...string) (*caller, []string) {
	f.t.Helper()
	id := f.open(false, append([]string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /ws?x=1", ":authority: x",
		"sec-websocket-version: 13"}, more...)...)
	lines := f.headers(id)
	stream := &carriedBytes{framed: f, id: id}
	return &caller{Conn: stream, t: f.t, in: bufio.NewReader(stream)}, lines
}

// expectUp waits until it is known what kind of application there is.
func (b *bundle) expectUp(t *testing.T) {
	t.Helper()
	eventually(t, "the worker is up", func() bool { return b.only.Handler.(*dispatch.Dispatcher).Serving().Interface != "" })
}

// TestExtendedConnect: clients are told that there are WebSockets; a Go release that asks in another way is found out here.
func TestExtendedConnect(t *testing.T) {
	t.Parallel()
	b := start(t, over("h2", Options{}), handler{answer: hello})
	f := b.frames("h2")
	settings := f.until("settings", func(frame h2.Frame) bool { return frame.Header().Type == h2.FrameSettings }).(*h2.SettingsFrame)
	if value, ok := settings.Value(h2.SettingEnableConnectProtocol); !ok || value != 1 {
		t.Errorf("SETTINGS_ENABLE_CONNECT_PROTOCOL is %d, %v", value, ok)
	}
}

func TestTunnel(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		scopes := make(chan map[string]any, 1)
		b := withWorker(t, "asgi", over(kind, Options{}), dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
			scopes <- m.Scope
			accepting(echo)(w, m)
		})
		b.expectUp(t)
		f := b.frames(kind)
		c, head := f.webSocket("sec-websocket-protocol: chat", "cookie: a=1", "cookie: b=2")
		if got := strings.Join(head, "|"); got != ":status: 200|x-app: yes" {
			t.Errorf("%s: answered with %s", kind, got)
		}
		scope := <-scopes
		if got := fmt.Sprint(scope["type"], scope["http_version"], scope["path"], scope["subprotocols"]); got != "websocket2/ws[chat]" {
			t.Errorf("%s: the application sees %s", kind, got)
		}
		c.say(frame(1, "hello") + frame(2, strings.Repeat("x", 50_000)))
		if got := c.expectFrame(1); got != "hello" {
			t.Errorf("%s: %q", kind, got)
		}
		if got := c.expectFrame(2); len(got) != 50_000 {
			t.Errorf("%s: %d bytes", kind, len(got))
		}
		c.say(frame(8, "\x03\xe8bye"))
		c.expectClose(1000)
		c.expectEnd()
		if status, _, _ := f.whole(f.open(true, ":method: GET", ":scheme: http", ":path: /", ":authority: x")); status == 0 {
			t.Errorf("%s: the connection does not serve others any more", kind)
		}
	}
}

// TestTunnelIsRefused: by the application, by the rules of WebSockets, and where there is none.
func TestTunnelIsRefused(t *testing.T) {
	t.Parallel()
	refuse := func(w *worker, m dispatchtest.Message) {
		if _, wsgi := m.Scope["PATH_INFO"]; wsgi || m.Path() == "/page" {
			w.Answer(m.Stream, "a page")
			return
		}
		w.Send(dispatchtest.Tuple{wire.KindClose, m.Stream, 1000, ""}, dispatchtest.Tuple{wire.KindDone, m.Stream})
	}
	for _, kind := range []string{"asgi", "wsgi"} {
		b := withWorker(t, kind, over("h2", Options{}), dispatch.Options{}, refuse)
		b.expectUp(t)
		connect := []string{":method: CONNECT", ":scheme: https", ":authority: x"}
		for lines, want := range map[string]map[string]int{
			":protocol: websocket|:path: /|sec-websocket-version: 13":            {"asgi": 403, "wsgi": 501},
			":protocol: websocket|:path: /page|sec-websocket-version: 13":        {"asgi": 501, "wsgi": 501},
			":protocol: websocket|:path: /|sec-websocket-version: 12":            {"asgi": 426, "wsgi": 501},
			":protocol: websocket|:path: /#|sec-websocket-version: 13":           {"asgi": 400, "wsgi": 400},
			":protocol: websocket|:path: /|a: \x7f|sec-websocket-version: 13":    {"asgi": 0, "wsgi": 0},
			":protocol: connect-udp|:path: /.well-known/masque/udp/a/1/":         {"asgi": 501, "wsgi": 501},
			":protocol: websocket|:path: /|sec-websocket-version: 13|upgrade: x": {"asgi": 400, "wsgi": 400},
		} {
			f := b.frames("h2")
			head := connect
			for line := range strings.SplitSeq(lines, "|") {
				head = append(slices.Clip(head), line)
			}
			if status, _, _ := f.whole(f.open(true, head...)); status != want[kind] {
				t.Errorf("%s %s: status %d, expected %d", kind, lines, status, want[kind])
			}
		}
	}
}

// TestTunnelIsCut: an application hears of a client that goes, and a client of a server that ends.
func TestTunnelIsCut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(b *bundle, f *framed)
		code int
	}{
		"reset":      {func(_ *bundle, f *framed) { f.must(f.WriteRSTStream(1, h2.ErrCodeCancel)) }, dispatch.CloseLost},
		"half":       {func(_ *bundle, f *framed) { f.must(f.WriteData(1, true, nil)) }, dispatch.CloseLost},
		"connection": {func(_ *bundle, f *framed) { _ = f.Close() }, dispatch.CloseLost},
		"drain":      {func(b *bundle, _ *framed) { b.stop() }, websocket.CloseGoingAway},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan int, 1)
			b := withWorker(t, "asgi", over("h2", Options{}), dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
				w.Send(dispatchtest.Tuple{wire.KindAccept, m.Stream, nil, []dispatchtest.Tuple{}})
				closed <- (<-w.stream(m.Stream)).N
				w.Send(dispatchtest.Tuple{wire.KindDone, m.Stream})
			})
			b.expectUp(t)
			f := b.frames("h2")
			f.webSocket()
			c.do(b, f)
			if code := <-closed; code != c.code {
				t.Errorf("closed with %d, expected %d", code, c.code)
			}
			if name != "drain" {
				eventually(t, "nothing is left", func() bool { return b.underWay() == 0 })
			}
		})
	}
}

// quicBytes are those of a stream of HTTP/3.
type quicBytes struct {
	net.Conn // none
	*quich3.RequestStream
}

func (q quicBytes) Read(p []byte) (int, error)  { return q.RequestStream.Read(p) }
func (q quicBytes) Write(p []byte) (int, error) { return q.RequestStream.Write(p) }
func (q quicBytes) Close() error                { return q.RequestStream.Close() }

func (q quicBytes) SetDeadline(t time.Time) error      { return q.RequestStream.SetDeadline(t) }
func (q quicBytes) SetReadDeadline(t time.Time) error  { return q.RequestStream.SetReadDeadline(t) }
func (q quicBytes) SetWriteDeadline(t time.Time) error { return q.RequestStream.SetWriteDeadline(t) }

func TestTunnelHTTP3(t *testing.T) {
	t.Parallel()
	b := withWorker(t, "asgi", over("h3", Options{}), dispatch.Options{}, accepting(echo))
	b.expectUp(t)
	config := clientTLS()
	config.NextProtos = []string{quich3.NextProtoH3}
	conn, err := quic.DialAddr(t.Context(), b.address, config, &quic.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	client := (&quich3.Transport{}).NewClientConn(conn)
	<-client.ReceivedSettings()
	if !client.Settings().EnableExtendedConnect {
		t.Fatal("clients are not told that there are WebSockets")
	}
	stream, err := client.OpenRequestStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	request := b.request(http.MethodConnect, "/ws?x=1", nil)
	request.Proto, request.Header = "websocket", http.Header{"Sec-Websocket-Version": {"13"}}
	if err := stream.SendRequestHeader(request); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.ReadResponse()
	if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("X-App") != "yes" {
		t.Fatalf("answered with %+v, %v", answer, err)
	}
	c := &caller{Conn: quicBytes{RequestStream: stream}, t: t, in: bufio.NewReader(stream)}
	c.say(frame(1, "hello"))
	if got := c.expectFrame(1); got != "hello" {
		t.Error(got)
	}
	c.say(frame(8, "\x03\xe8bye"))
	c.expectClose(1000)
	c.expectEnd()
}
