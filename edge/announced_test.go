package edge

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"backline/proxyproto"
)

// announce connects, sends what stands before everything else, and goes on as this run of the tests does.
func (b *bundle) announce(header string) *caller {
	b.t.Helper()
	c := b.dialPlain()
	c.say(header)
	if overTLS {
		return c.encrypt(clientTLS())
	}
	return c
}

const (
	header1 = "PROXY TCP4 203.0.113.7 198.51.100.2 51234 443\r\n"
	header2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\xc6\x33\x64\x02\xc8\x22\x01\xbb"
	local2  = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	tls2    = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x14\xcb\x00\x71\x07\xc6\x33\x64\x02\xc8\x22\x01\xbb\x20\x00\x05\x01\x00\x00\x00\x00"
)

func TestAnnouncedConnections(t *testing.T) {
	t.Parallel()
	b := start(t, Options{Gate: Gate{Announced: true, Announcers: peers(t, "127.0.0.1")}}, handler{answer: scope})
	for _, c := range []struct{ name, header, want string }{
		{"version 1", header1, "203.0.113.7 " + here() + " 198.51.100.2"},
		{"version 2", header2, "203.0.113.7 " + here() + " 198.51.100.2"},
		{"its own", local2, "127.0.0.1 " + here() + " 127.0.0.1"},
		{"unknown", "PROXY UNKNOWN\r\n", "127.0.0.1 " + here() + " 127.0.0.1"},
		{"over TLS", tls2, "203.0.113.7 https 198.51.100.2"},
	} {
		caller := b.announce(c.header)
		for range 2 { // it holds for all requests of the connection
			if got := caller.get("/"); got != c.want+" host=x" {
				t.Errorf("%s: %s, expected %s", c.name, got, c.want)
			}
		}
	}
}

// TestAnnouncedPieceByPiece: however the bytes come, the header ends where it ends.
func TestAnnouncedPieceByPiece(t *testing.T) {
	t.Parallel()
	if overTLS {
		t.Skip("the client's TLS cannot be written together with what is before it")
	}
	b := start(t, Options{Gate: Gate{Announced: true, Announcers: peers(t, "127.0.0.1")}}, handler{answer: scope})
	const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, header := range []string{header1, header2, tls2} {
		whole := b.dialPlain()
		whole.say(header + request + request)
		for range 2 {
			if got, _ := whole.expect(200); !strings.HasPrefix(got, "203.0.113.7 ") {
				t.Errorf("in one piece: %s", got)
			}
		}
		single := b.dialPlain()
		for i := range len(header + request) {
			single.say((header + request)[i : i+1])
		}
		if got, _ := single.expect(200); !strings.HasPrefix(got, "203.0.113.7 ") {
			t.Errorf("byte by byte: %s", got)
		}
	}
}

func TestWrongAnnouncements(t *testing.T) {
	t.Parallel()
	said := &log{}
	from := func(announcers string) *bundle {
		return start(t, Options{Log: logTo(said), Gate: Gate{Announced: true, Announcers: peers(t, announcers)}}, handler{answer: scope})
	}
	proxy, stranger := from("127.0.0.1"), from("10.0.0.1")
	for _, c := range []struct {
		name string
		to   *bundle
		sent string
	}{
		{"a proxy without a header", proxy, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"a proxy that begins with TLS", proxy, "\x16\x03\x01\x00\x05hello"},
		{"a proxy with a wrong header", proxy, "PROXY TCP4 203.0.113.7 localhost 1 2\r\n"},
		{"a proxy with an endless header", proxy, "PROXY UNKNOWN " + strings.Repeat("x", proxyproto.MaxHeader)},
		{"a stranger with a header", stranger, header1},
		{"a stranger with a binary header", stranger, header2},
	} {
		caller := c.to.dialPlain()
		caller.say(c.sent)
		caller.expectCut(c.name)
	}
	if got := stranger.dial().get("/"); got != "127.0.0.1 "+here()+" 127.0.0.1 host=x" {
		t.Errorf("a stranger without a header: %s", got)
	}
	if said.count("a connection was closed because of its beginning") != 2 { // for each of the two servers once
		t.Errorf("log: %s", said.text.String())
	}
}

// TestSlowAnnouncement: nobody keeps a connection by never ending its header, and an end in the middle is one.
func TestSlowAnnouncement(t *testing.T) {
	t.Parallel()
	b := start(t, Options{HeaderTimeout: 50 * time.Millisecond, Gate: Gate{Announced: true, Announcers: peers(t, "127.0.0.1")}}, handler{answer: hello})
	for _, beginning := range []string{"", "PROXY TCP4 1", header2[:20]} {
		c := b.dialPlain()
		c.say(beginning)
		c.expectCut(beginning)
	}
	patient := start(t, Options{HeaderTimeout: time.Hour, Gate: Gate{Announced: true, Announcers: peers(t, "127.0.0.1")}}, handler{answer: hello})
	patient.dialPlain()
	c := patient.dialPlain()
	c.say("PROXY TCP4 1")
	eventually(t, "both are connected", func() bool { return patient.Connections() == 2 })
	patient.stop() // a server that ends does not wait for either
	c.expectCut("at the server's end")
}

// TestConnectionsOfOneAddress: over the limit they are closed, and one that ends makes room.
func TestConnectionsOfOneAddress(t *testing.T) {
	t.Parallel()
	said := &log{}
	b := start(t, Options{Log: logTo(said), Gate: Gate{PerAddress: 2}}, handler{answer: hello})
	first, second := b.dial(), b.dial()
	first.get("/")
	second.get("/")
	b.refuses()
	if said.count("limit_connections_per_address") != 1 {
		t.Errorf("log: %s", said.text.String())
	}
	_ = first.Close()
	eventually(t, "the first has left", func() bool { return b.Connections() == 1 })
	b.dial().get("/")
	second.get("/")
	b.refuses()
}

// refuses sees that a further connection is closed.
func (b *bundle) refuses() {
	b.t.Helper()
	b.dialPlain().expectCut("a connection too many")
}

// expectCut wants the server to close without a byte. What it has not read makes that a reset.
func (c *caller) expectCut(what string) {
	c.t.Helper()
	got, err := io.ReadAll(c.in)
	if timeout, ok := errors.AsType[net.Error](err); len(got) > 0 || ok && timeout.Timeout() {
		c.t.Errorf("%s: got %q and %v, expected the end of the connection", what, got, err)
	}
}

func TestConnectionsThatDoNotCount(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]Gate{
		"a proxy":       {Forwarded: believing(t, "127.0.0.1")},
		"exempt":        {Exempt: peers(t, "127.0.0.0/8")},
		"health checks": {Announced: true, Announcers: peers(t, "127.0.0.1")},
	} {
		header := ""
		if g.Announced {
			header = local2
		}
		g.PerAddress = 1
		b := start(t, Options{Gate: g}, handler{answer: hello})
		for range 3 {
			if got := b.announce(header).get("/a"); got != "/a" {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
}

// TestConnectionsOfAnnouncedAddresses: the client's address counts, not the proxy's.
func TestConnectionsOfAnnouncedAddresses(t *testing.T) {
	t.Parallel()
	b := start(t, Options{Gate: Gate{PerAddress: 1, Announced: true, Announcers: peers(t, "127.0.0.1")}}, handler{answer: hello})
	kept := b.announce(header1)
	kept.get("/")
	second := b.dialPlain()
	second.say(header2) // the same client
	second.expectCut("the same client")
	other := strings.Replace(header1, "203.0.113.7", "203.0.113.8", 1)
	b.announce(other).get("/")
	_ = kept.Close()
	eventually(t, "it has left", func() bool { return b.Connections() == 1 })
	b.announce(header1).get("/")
}

// TestConnectionsOfOneAddressOverHTTP2: a connection that changes hands is still one, and gone when it is gone.
func TestConnectionsOfOneAddressOverHTTP2(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		b := start(t, over(kind, Options{Gate: Gate{PerAddress: 1}}), handler{answer: hello})
		client := b.client(kind)
		for range 2 {
			answer, err := client.Get(b.url(kind, "/"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			b.refuses()
			client.CloseIdleConnections()
			eventually(t, "it has left", func() bool { return b.Connections() == 0 })
		}
	}
}
