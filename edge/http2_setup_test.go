package edge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	quich3 "github.com/quic-go/quic-go/http3"
	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// multiplexed are the ways by which many requests come over one connection.
func multiplexed() []string {
	if overTLS {
		return []string{"h2"}
	}
	return []string{"h2c", "h2"}
}

// everyMultiplexed are these and HTTP/3, for tests that do not look at frames.
func everyMultiplexed() []string { return append(multiplexed(), "h3") }

// over gives options with which a server takes them.
func over(kind string, o Options) Options {
	switch kind {
	case "h2":
		o.TLS, o.HTTP2 = serverTLS(), true
	case "h2c":
		o.HTTP2Cleartext = true
	case "h3":
		o.TLS, o.HTTP3Port = serverTLS(), 443
	}
	return o
}

// client is an ordinary one, of Go's own.
func (b *bundle) client(kind string) *http.Client {
	b.t.Helper()
	if kind == "h3" {
		transport := &quich3.Transport{TLSClientConfig: clientTLS(), DisableCompression: true}
		b.t.Cleanup(func() { _ = transport.Close() })
		return &http.Client{Transport: transport, Timeout: 2 * patience}
	}
	var protocols http.Protocols
	protocols.SetHTTP2(kind == "h2")
	protocols.SetUnencryptedHTTP2(kind == "h2c")
	transport := &http.Transport{Protocols: &protocols, DisableCompression: true}
	if kind == "h2" {
		transport.TLSClientConfig = clientTLS()
	}
	b.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 2 * patience}
}

// url is where such a client finds a path.
func (b *bundle) url(kind, path string) string {
	_, port, _ := net.SplitHostPort(b.address)
	if kind == "h2c" {
		return "http://localhost:" + port + path
	}
	return "https://localhost:" + port + path
}

// fetch does a request that must succeed, and gives the answer with its body.
func fetch(t testing.TB, client *http.Client, method, url string, body io.Reader) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: expected a whole body, got %d bytes and %v", method, url, len(all), err)
	}
	return answer, string(all)
}

// framed is a client that chooses each of its frames.
type framed struct {
	*caller
	*h2.Framer

	block   bytes.Buffer
	encoder *hpack.Encoder
	next    uint32 // number of its next stream
}

// frames connects and says what every client says first.
func (b *bundle) frames(kind string) *framed {
	b.t.Helper()
	f := &framed{caller: b.dialPlain(), next: 1}
	if kind == "h2" {
		config := clientTLS()
		config.NextProtos = []string{"h2"}
		f.caller = f.encrypt(config)
		if got := f.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "h2" {
			b.t.Fatalf("expected h2 to be agreed on, got %q", got)
		}
	}
	f.Framer = h2.NewFramer(f.Conn, f.in)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.encoder = hpack.NewEncoder(&f.block)
	f.say(h2.ClientPreface)
	f.must(f.WriteSettings())
	return f
}

func (f *framed) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// fields encodes "name value" lines, in HPACK.
func (f *framed) fields(lines ...string) []byte {
	f.block.Reset()
	for _, line := range lines {
		at := strings.Index(line[1:], ":") + 1 // the first colon may be that of a pseudo field
		f.must(f.encoder.WriteField(hpack.HeaderField{Name: line[:at], Value: strings.TrimPrefix(line[at+1:], " ")}))
	}
	return f.block.Bytes()
}

// plainGet is the fields of the simplest request.
var plainGet = []string{":method: GET", ":scheme: http", ":path: /", ":authority: x"}

// open begins a stream with these fields.
func (f *framed) open(end bool, lines ...string) uint32 {
	f.t.Helper()
	id := f.next
	f.next += 2
	f.must(f.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: f.fields(lines...), EndStream: end, EndHeaders: true}))
	return id
}

// until reads frames until one is what is waited for, and gives that.
func (f *framed) until(what string, found func(h2.Frame) bool) h2.Frame { //nolint:ireturn // as the framer gives it
	f.t.Helper()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			f.t.Fatalf("expected %s, got %v", what, err)
		}
		if found(frame) {
			return frame
		}
	}
}

// headers reads the stream's next block of fields, as "name: value" lines without those that are always there.
func (f *framed) headers(id uint32) (lines []string) {
	f.t.Helper()
	f.until("header fields", func(frame h2.Frame) bool {
		block, is := frame.(*h2.MetaHeadersFrame)
		if !is || block.StreamID != id {
			return false
		}
		for _, each := range block.Fields {
			if each.Name != "date" && each.Name != "server" {
				lines = append(lines, each.Name+": "+each.Value)
			}
		}
		return true
	})
	return lines
}

// whole reads until the stream has ended. It gives the status, 0 if there was none, the body, and the code if the stream
// was reset.
func (f *framed) whole(id uint32) (status int, body, reset string) {
	f.t.Helper()
	f.until("the end of the stream", func(frame h2.Frame) bool {
		if frame.Header().StreamID != id {
			return false
		}
		switch frame := frame.(type) {
		case *h2.MetaHeadersFrame:
			if now, err := strconv.Atoi(frame.PseudoValue("status")); err == nil && now >= 200 {
				status = now
			}
			return frame.StreamEnded()
		case *h2.DataFrame:
			body += string(frame.Data())
			return frame.StreamEnded()
		case *h2.RSTStreamFrame:
			reset = frame.ErrCode.String()
			return true
		}
		return false
	})
	return status, body, reset
}

// expectGone wants the server to end the connection, whatever it says before.
func (f *framed) expectGone() {
	f.t.Helper()
	_ = f.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, err := f.ReadFrame(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				f.t.Fatal("expected the server to end the connection")
			}
			return
		}
	}
}

// openLong begins a stream whose fields may need more than one frame.
func (f *framed) openLong(lines ...string) {
	f.t.Helper()
	block, first := f.fields(lines...), true
	for first || len(block) > 0 {
		piece := block[:min(len(block), 16<<10)]
		block = block[len(piece):]
		if first {
			f.must(f.WriteHeaders(h2.HeadersFrameParam{StreamID: f.next, BlockFragment: piece, EndStream: true, EndHeaders: len(block) == 0}))
		} else {
			f.must(f.WriteContinuation(f.next, len(block) == 0, piece))
		}
		first = false
	}
	f.next += 2
}
