package tcp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// keys gives both sides' configuration.
func keys(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"raw.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
	return server, &tls.Config{RootCAs: roots, ServerName: "raw.example"}
}

// encrypted is a server of TLS with one worker and one client of it.
func encrypted(t *testing.T, options Options) (b *bundle, w *worker, client *tls.Conn, g *given) {
	t.Helper()
	server, trust := keys(t)
	options.TLS = server
	b = setup(t, options)
	w = b.worker(1)
	client = tls.Client(b.dial(), trust)
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	return b, w, client, w.next()
}

func TestTLSIsCarried(t *testing.T) {
	t.Parallel()
	b, w, client, g := encrypted(t, Options{})
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for _, way := range []struct {
		from io.Writer
		to   io.Reader
	}{{client, g}, {g, client}} {
		sent := make(chan error, 1)
		go func() { _, err := way.from.Write(large); sent <- err }()
		wantLine(t, way.to, string(large))
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	w.finish(g)
	wantEnd(t, client) // with close_notify: an error otherwise
	b.dial()           // the place is free again
}

func TestTLSEndsOneWayAtATime(t *testing.T) {
	t.Parallel()
	_, w, client, g := encrypted(t, Options{})
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, g)
	write(t, g, "the answer")
	wantLine(t, client, "the answer")
	w.finish(g)
	wantEnd(t, client)
}

func TestTLSClientGoes(t *testing.T) {
	t.Parallel()
	_, w, client, g := encrypted(t, Options{})
	raw, _ := client.NetConn().(*net.TCPConn)
	_ = raw.SetLinger(0) // resets
	_ = raw.Close()
	wantEnd(t, g)
	for err := error(nil); err == nil; { // and who writes learns it
		_, err = g.Write(make([]byte, 1<<16))
	}
	w.finish(g)
}

// TestTLSClientThatDoesNotRead may take so long, and no longer, for what is left when the function has returned.
func TestTLSClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	_, w, client, g := encrypted(t, Options{WriteTimeout: 50 * time.Millisecond})
	_ = g.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for err := error(nil); err == nil; {
		_, err = g.Write(make([]byte, 1<<20))
	}
	w.finish(g)
	err := error(nil)
	for err == nil {
		_, err = client.Write([]byte("are you there?"))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

func TestTLSIsCutAtTheEnd(t *testing.T) {
	t.Parallel()
	b, _, client, g := encrypted(t, Options{})
	write(t, client, "x")
	wantLine(t, g, "x")
	b.stop()
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the client reads on")
	}
	wantEnd(t, g)
}

func TestHandshakesThatComeToNothing(t *testing.T) {
	t.Parallel()
	server, trust := keys(t)
	b := setup(t, Options{TLS: server, HandshakeTimeout: 200 * time.Millisecond})
	w := b.worker(1)
	silent := b.dial()
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("a client that says nothing is answered")
	}
	plain := b.dial()
	write(t, plain, "this is not the beginning of TLS\n")
	_, _ = io.Copy(io.Discard, plain) // an alert, and the end
	client := tls.Client(b.dial(), trust)
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	w.next()
}
