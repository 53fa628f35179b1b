package edge

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"backline"
	"backline/dispatch"
)

// describing answers with what the application is told of the connection.
func describing(ex *dispatch.Exchange) {
	s := &ex.Scope
	respond(ex, fmt.Sprintf("%s %+v", s.Scheme, s.TLS))
}

func TestSecureConnections(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		for _, protocols := range [][]string{nil, {"http/1.1"}, {"h2", "http/1.1"}} {
			t.Run(fmt.Sprint(name, protocols), func(t *testing.T) {
				t.Parallel()
				said := make(chan *backline.TLS, 4)
				b := start(t, Options{TLS: serverTLS()}, handler{answer: func(ex *dispatch.Exchange) {
					said <- ex.Scope.TLS
					describing(ex)
				}})
				config := clientTLS()
				config.MinVersion, config.MaxVersion, config.NextProtos = version, version, protocols
				config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				first := b.dialTLS(config)
				for range 3 {
					if got := first.get("/"); !strings.HasPrefix(got, "https ") {
						t.Error(got)
					}
				}
				state := first.tls().ConnectionState()
				about := <-said
				if about.Version != version || about.CipherSuite != state.CipherSuite || about.Asked || about.Client != nil || about.Name != "" {
					t.Errorf("the application is told %+v", about)
				}
				if block, _ := pem.Decode([]byte(about.Server)); block == nil || !bytes.Equal(block.Bytes, certificate().Certificate[0]) {
					t.Errorf("the certificate is\n%s", about.Server)
				}
				for range 2 {
					if <-said != about {
						t.Error("the requests of a connection do not share what is known of it")
					}
				}
				second := b.dialTLS(config)
				second.get("/")
				if about := <-said; !second.tls().ConnectionState().DidResume || about.Server != "" {
					t.Errorf("the session was not resumed, or a certificate is claimed for it: %+v", about)
				}
			})
		}
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	authority := issue("authority", nil)
	known, unknown := issue("ada", &authority), issue("eve", nil)
	pool := x509.NewCertPool()
	pool.AddCert(authority.Leaf)
	for name, test := range map[string]struct {
		auth     tls.ClientAuthType
		client   *tls.Certificate
		mistrust bool
	}{
		"optional, none":     {tls.VerifyClientCertIfGiven, nil, false},
		"optional, verified": {tls.VerifyClientCertIfGiven, &known, false},
		"not verified":       {tls.RequireAnyClientCert, &unknown, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := make(chan *backline.TLS, 1)
			config := serverTLS()
			if config.ClientAuth = test.auth; !test.mistrust {
				config.ClientCAs = pool
			}
			b := start(t, Options{TLS: config}, handler{answer: func(ex *dispatch.Exchange) {
				said <- ex.Scope.TLS
				hello(ex)
			}})
			client, want := clientTLS(), []string(nil)
			if test.client != nil {
				client.Certificates = []tls.Certificate{*test.client}
				want = []string{encodePEM(test.client.Certificate[0])}
			}
			b.dialTLS(client).get("/")
			about := <-said
			if !about.Asked || !slices.Equal(about.Client, want) || (about.Mistrust != "") != test.mistrust {
				t.Errorf("the application is told %+v", about)
			}
			if test.client != nil && about.Name != fmt.Sprintf(`CN=%s,O=Zürich\, Ltd`, test.client.Leaf.Subject.CommonName) {
				t.Errorf("the name is %s", about.Name)
			}
		})
	}
}

// TestSlowRelay lets everything come and go byte by byte.
func TestSlowRelay(t *testing.T) {
	t.Parallel()
	b := start(t, Options{TLS: serverTLS()}, handler{answer: hello})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", b.address)
		if err != nil {
			return
		}
		go drip(near, far)
		drip(far, near)
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := (&caller{Conn: conn, t: t}).encrypt(clientTLS())
	for range 3 {
		c.get("/slowly")
	}
}

// drip passes bytes on one at a time.
func drip(to, from net.Conn) {
	defer to.Close()
	one := make([]byte, 1)
	for {
		if _, err := from.Read(one); err != nil {
			return
		}
		if _, err := to.Write(one); err != nil {
			return
		}
	}
}

// TestManyHandshakes has more clients than handshakes that are computed at once.
func TestManyHandshakes(t *testing.T) {
	t.Parallel()
	b := start(t, Options{TLS: serverTLS(), Handshakes: 1, Pollers: 2, HandshakeTimeout: patience}, handler{answer: hello})
	var clients sync.WaitGroup
	for range 100 {
		c := b.dial()
		clients.Go(func() {
			for range 3 {
				if c.get("/many") != "/many" {
					t.Error("not the answer")
				}
			}
			_ = c.Close()
		})
	}
	clients.Wait()
	eventually(t, "all are gone", func() bool { return b.Connections() == 0 })
	if n := len(b.handshakes.slots); n != 0 || b.FailedHandshakes() != 0 {
		t.Errorf("%d slots are taken, %d handshakes have failed", n, b.FailedHandshakes())
	}
}

// firstFlight is a client's first record.
func firstFlight(t *testing.T) string {
	t.Helper()
	near, far := net.Pipe()
	defer far.Close()
	go func() { _ = tls.Client(near, clientTLS()).Handshake() }()
	record := make([]byte, helloRoom)
	n, err := far.Read(record)
	if err != nil {
		t.Fatal(err)
	}
	return string(record[:n])
}

// TestHandshakesThatStop has clients that stop in the middle of a handshake. They keep nobody from theirs, are cut off in
// the end, and do not keep the server from ending.
func TestHandshakesThatStop(t *testing.T) {
	t.Parallel()
	flight := firstFlight(t)
	for name, said := range map[string]string{
		"nothing": "", "a byte": "\x16", "half": flight[:100], "all but one": flight[:len(flight)-1], "whole": flight,
	} {
		for _, timeout := range []time.Duration{time.Millisecond, time.Hour} {
			t.Run(fmt.Sprint(name, " ", timeout), func(t *testing.T) {
				t.Parallel()
				options := Options{TLS: serverTLS(), Handshakes: 1, HandshakeTimeout: timeout}
				b := startOn(t, "127.0.0.1:0", time.Millisecond, options, handler{answer: hello})
				stalled := make([]*caller, 5)
				for i := range stalled {
					stalled[i] = b.dialPlain()
					stalled[i].say(said)
				}
				if timeout == time.Hour {
					b.dial().get("/")
					b.stop()
				}
				for _, c := range stalled {
					_, _ = io.Copy(io.Discard, c.in) // ends
				}
			})
		}
	}
}

// TestSilentClientsMakeRoom: who has not begun with TLS yet idles.
func TestSilentClientsMakeRoom(t *testing.T) {
	t.Parallel()
	b := start(t, Options{TLS: serverTLS(), MaxConnections: 3, HandshakeTimeout: time.Hour}, handler{answer: hello})
	for range 3 {
		b.dialPlain()
	}
	eventually(t, "they are connected", func() bool { return b.Connections() == 3 })
	b.dial().get("/")
}

// TestNotTLS: people get an answer, scanners get nothing and leave no trace.
func TestNotTLS(t *testing.T) {
	t.Parallel()
	var log, quiet bytes.Buffer
	both := slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}), slog.NewTextHandler(&quiet, nil)))
	b := start(t, Options{TLS: serverTLS(), Log: both}, handler{answer: describing})
	c := b.dialPlain()
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	body, closes := c.expect(400)
	if !strings.Contains(body, "this port speaks https") || !closes {
		t.Errorf("%q, closes: %t", body, closes)
	}
	c.expectEnd()
	_ = c.Close()
	for n, said := range []string{"\x00\x01\x02\x03\x04\x05\x06", "\x80\x2e\x01\x00\x02", "\x16\x03\x01\xff\xff", "\x16\x03\x01\x00\x05hello"} {
		c := b.dialPlain()
		c.say(said)
		if all, err := io.ReadAll(c.in); err != nil || bytes.Contains(all, []byte("HTTP")) {
			t.Errorf("%q is answered with %q, %v", said, all, err)
		}
		_ = c.Close()
		eventually(t, "it is counted", func() bool { return b.FailedHandshakes() == int64(n+1) })
	}
	distrustful := tls.Client(b.dialPlain().Conn, &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()})
	if err := distrustful.Handshake(); err == nil {
		t.Fatal("expected a client that does not trust the certificate")
	}
	_ = distrustful.Close()
	eventually(t, "it is counted and gone", func() bool { return b.FailedHandshakes() == 5 && b.Connections() == 0 })
	b.stop()
	<-b.ended
	if quiet.Len() > 0 || strings.Count(log.String(), "a TLS handshake failed") != 5 || !strings.Contains(log.String(), `client=127.0.0.1 error="remote error: tls: bad certificate"`) {
		t.Errorf("the log has %q, and for debugging\n%s", quiet.String(), log.String())
	}
}

// TestPlainListeners: on Unix sockets, to which a proxy connects, nothing is encrypted.
func TestPlainListeners(t *testing.T) {
	t.Parallel()
	address := "unix:" + filepath.Join(t.TempDir(), "s")
	b := startOn(t, address, grace, Options{TLS: serverTLS()}, handler{answer: describing})
	if got := b.dialPlain().get("/"); got != "http <nil>" {
		t.Error(got)
	}
}

// TestChallenge: a handshake for an ACME authority is all that it wants (RFC 8737 3).
func TestChallenge(t *testing.T) {
	t.Parallel()
	config := serverTLS()
	challenge := &tls.Config{Certificates: config.Certificates, NextProtos: []string{"acme-tls/1"}}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return challenge, nil }
	b := start(t, Options{TLS: config}, handler{answer: hello})
	authority := clientTLS()
	authority.NextProtos = []string{"acme-tls/1"}
	b.dialTLS(authority).expectEnd()
}

// TestDrainDuringHandshake: a handshake that is under way when the server begins to end is not broken off.
func TestDrainDuringHandshake(t *testing.T) {
	t.Parallel()
	b := start(t, Options{TLS: serverTLS()}, handler{answer: hello})
	config := clientTLS()
	config.MaxVersion = tls.VersionTLS12 // there the last word of the handshake is the server's
	config.VerifyConnection = func(tls.ConnectionState) error {
		b.stop()
		eventually(t, "it drains", b.draining.Load)
		return nil
	}
	b.dialTLS(config).expectEnd()
}
