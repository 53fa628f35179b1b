package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"backline"
)

// recorded is a connection that reads what was recorded, and keeps what is written.
type recorded struct {
	net.Conn
	input  io.Reader
	output bytes.Buffer
}

func (r *recorded) Read(p []byte) (int, error)       { return r.input.Read(p) }
func (r *recorded) Write(p []byte) (int, error)      { return r.output.Write(p) }
func (r *recorded) Close() error                     { return nil }
func (r *recorded) SetDeadline(time.Time) error      { return nil }
func (r *recorded) SetReadDeadline(time.Time) error  { return nil }
func (r *recorded) SetWriteDeadline(time.Time) error { return nil }

// hijackable gives the recorded connection to gorilla's server.
type hijackable struct {
	http.ResponseWriter
	conn *recorded
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// gorillaEvents says what gorilla's server makes of input, in the words of connection. failed is an error of the peer.
func gorillaEvents(tb testing.TB, input []byte) (heard string, failed error) {
	tb.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, line := range handshake() {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	conn, err := (&websocket.Upgrader{}).Upgrade(hijackable{conn: &recorded{input: bytes.NewReader(input)}}, r, nil)
	if err != nil {
		tb.Fatal(err)
	}
	c := &connection{tb: tb}
	conn.SetReadLimit(1 << 20)
	conn.SetPingHandler(func(data string) error { c.note(Event{Kind: Ping, Data: []byte(data)}); return nil })
	conn.SetPongHandler(func(data string) error { c.note(Event{Kind: Pong, Data: []byte(data)}); return nil })
	conn.SetCloseHandler(func(code int, reason string) error {
		c.note(Event{Kind: Close, Code: code, Data: []byte(reason)})
		return nil
	})
	for {
		kind, data, err := conn.ReadMessage()
		closing, isClose := errors.AsType[*websocket.CloseError](err)
		switch {
		case err == nil:
			c.note(Event{Kind: Kind(kind), Data: data})
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isClose && closing.Code == CloseAbnormal:
			return c.events.String(), nil
		case isClose:
			return c.events.String(), nil
		default:
			return c.events.String(), err
		}
	}
}

// laxer are the mistakes that gorilla's server does not look for.
var laxer = []string{"1007 text is not UTF-8", "1009 message is in too many frames", "1002 close frame with half a code"}

// compareWithGorilla: what we accept it hears alike, and what it refuses we refuse.
func compareWithGorilla(t *testing.T, input []byte, ours string) {
	t.Helper()
	theirs, failed := gorillaEvents(t, input)
	if failed != nil && !strings.Contains(ours, "error ") {
		// It judges a header's first two bytes alone, and has refused what to us is not whole yet.
		ours = events(t, string(input)+strings.Repeat("\x00", maxHeader), 0, fuzzSettings(), false)
	}
	accepted, mistake, refused := strings.Cut(ours, "error ")
	switch {
	case strings.Contains(ours, "close 1014 "): // registered after gorilla's table was made
	case refused && slices.Contains(laxer, strings.TrimSpace(mistake)):
		if !strings.HasPrefix(theirs, accepted) {
			t.Errorf("ours:\n%s\ngorilla:\n%s", ours, theirs)
		}
	case theirs != accepted, failed != nil && !refused:
		t.Errorf("ours:\n%s\ngorilla (%v):\n%s", ours, failed, theirs)
	}
}

func TestSameAsGorilla(t *testing.T) {
	t.Parallel()
	for _, cases := range [][]parserCase{frameCases, fragmentCases, violationCases, closeCases} {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				compareWithGorilla(t, []byte(c.input), events(t, c.input, 0, fuzzSettings(), false))
			})
		}
	}
}

// echo is a server made of this package: it answers one client on conn until that closes.
func echo(conn net.Conn, codecs *Codecs, settings DeflateSettings) error {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	r, err := http.ReadRequest(reader)
	if err != nil {
		return err
	}
	scope := &backline.Scope{Method: []byte(r.Method), Version: "1.1"}
	for name, values := range r.Header {
		for _, value := range values {
			scope.Fields = append(scope.Fields, backline.Field{Name: []byte(name), Value: []byte(value)})
		}
	}
	offer, wanted, refusal := Upgrade(scope)
	if !wanted || refusal != nil {
		return fmt.Errorf("handshake: wanted %v, refused: %v", wanted, refusal != nil)
	}
	params, extensions := offer.Negotiate(settings)
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		string(AppendAccept(nil, offer.Key)) + "\r\n"
	if len(offer.Protocols) > 0 {
		head += "Sec-WebSocket-Protocol: " + offer.Protocols[0] + "\r\n"
	}
	if params.On {
		head += "Sec-WebSocket-Extensions: " + string(extensions) + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return err
	}
	return echoMessages(conn, reader, NewParser(codecs, params), NewWriter(codecs, params))
}

func echoMessages(conn net.Conn, reader *bufio.Reader, parser Parser, writer Writer) error {
	buffer := make([]byte, 1000)
	for {
		n, err := reader.Read(buffer)
		if err != nil {
			return err
		}
		var out []byte
		for rest := buffer[:n]; ; {
			event, used, failed := parser.Next(rest)
			if failed != nil {
				return failed
			}
			if event.Kind == None {
				break
			}
			rest = rest[used:]
			switch event.Kind {
			case Close:
				_, err := conn.Write(AppendClose(out, event.Code, string(event.Data)))
				return err
			case Ping:
				out = AppendFrame(out, Pong, event.Data)
			case Text, Binary:
				half := len(event.Data) / 2 // in two parts, where there is more than one byte
				if half > 0 {
					out = writer.Append(out, event.Kind, event.Data[:half], false)
				}
				out = writer.Append(out, event.Kind, event.Data[half:], true)
			}
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
	}
}

// A client that was not written for this package gets back what it has sent, with and without compression.
func TestGorillaAsClient(t *testing.T) {
	t.Parallel()
	messages := []string{"", "a", "grüße", strings.Repeat("Hello, world. ", 10_000)}
	for _, compress := range []bool{false, true} {
		t.Run(fmt.Sprintf("compression %v", compress), func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			ended := make(chan error, 1)
			go func() {
				conn, err := listener.Accept()
				if err == nil {
					err = echo(conn, NewCodecs(Settings{}), DeflateSettings{})
				}
				ended <- err
			}()
			where := url.URL{Scheme: "ws", Host: listener.Addr().String(), Path: "/"}
			dialer := websocket.Dialer{EnableCompression: compress, Subprotocols: []string{"chat"}, WriteBufferSize: 512}
			client, answer, err := dialer.Dial(where.String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			defer answer.Body.Close()
			if got := answer.Header.Get("Sec-WebSocket-Extensions"); (got != "") != compress || client.Subprotocol() != "chat" {
				t.Errorf("extensions %q, subprotocol %q", got, client.Subprotocol())
			}
			for _, message := range messages {
				for _, kind := range []int{websocket.TextMessage, websocket.BinaryMessage} {
					if err := client.WriteMessage(kind, []byte(message)); err != nil {
						t.Fatal(err)
					}
					gotKind, got, err := client.ReadMessage()
					if err != nil || gotKind != kind || string(got) != message {
						t.Fatalf("%d bytes came back as %d of kind %d (%v)", len(message), len(got), gotKind, err)
					}
				}
			}
			goodbye := websocket.FormatCloseMessage(4001, "bye")
			if err := client.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := client.ReadMessage(); !websocket.IsCloseError(err, 4001) || !strings.Contains(err.Error(), "bye") {
				t.Errorf("closed with %v", err)
			}
			if err := <-ended; err != nil {
				t.Errorf("the server ended with %v", err)
			}
		})
	}
}
