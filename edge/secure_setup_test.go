package edge

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// certificate is one for "localhost" that has signed itself.
var certificate = sync.OnceValue(func() tls.Certificate { return issue("localhost", nil) })

// issue makes a certificate, signed by the parent or by itself.
func issue(name string, parent *tls.Certificate) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{"Zürich, Ltd"}}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: parent == nil, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	issuer, signer := template, key
	if parent != nil {
		issuer, signer = parent.Leaf, parent.PrivateKey.(*ecdsa.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// serverTLS is a server's side, which edge may change: one for each server.
func serverTLS() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{certificate()}} }

// clientTLS trusts it.
func clientTLS() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(certificate().Leaf)
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// dialTLS gives a caller with a handshake behind it.
func (b *bundle) dialTLS(config *tls.Config) *caller {
	b.t.Helper()
	return b.dialPlain().encrypt(config)
}

// encrypt does the client's side of a handshake.
func (c *caller) encrypt(config *tls.Config) *caller {
	c.t.Helper()
	conn := tls.Client(c.Conn, config)
	if err := conn.Handshake(); err != nil {
		c.t.Fatalf("expected a TLS connection: %v", err)
	}
	return &caller{Conn: conn, t: c.t, in: bufio.NewReader(conn)}
}

// tls is the connection of dialTLS.
func (c *caller) tls() *tls.Conn { return c.Conn.(*tls.Conn) }

// tcp is the connection below.
func (c *caller) tcp() *net.TCPConn {
	if conn, ok := c.Conn.(*tls.Conn); ok {
		return conn.NetConn().(*net.TCPConn)
	}
	return c.Conn.(*net.TCPConn)
}

// pipe gives a server's connection over one end of a pair of sockets, as the handshake leaves it, and the client at the
// other end. There is no server that would move it on.
func pipe(t *testing.T, watcher watcher, version uint16) (*conn, *tls.Conn) {
	t.Helper()
	near, far := socketPair(t)
	s := New(Options{TLS: serverTLS()}, nothing())
	c := &conn{server: s, watcher: watcher, phase: phaseIdle, release: func() {}, budget: turnBytes, fd: near}
	c.secure = &secure{conn: c}
	blocking, err := c.netConn()
	if err != nil {
		t.Fatal(err)
	}
	defer blocking.Close()
	c.secure.socket = blocking
	c.secure.tls = tls.Server(c.secure, s.options.TLS)
	config := clientTLS()
	config.MaxVersion = version
	client := tls.Client(&tap{Conn: far}, config)
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := c.secure.tls.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.secure.socket = nil
	return c, client
}

// socketPair gives both ends of a connection, the near one as a descriptor that does not block.
func socketPair(t *testing.T) (near int, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = far.Close(), accepted.Close() })
	raw, err := accepted.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { near = int(fd) }); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// tap keeps what comes from the other side.
type tap struct {
	net.Conn
	all []byte
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.all = append(c.all, p[:n]...)
	return n, err
}

// lastRecord is the type of the last record.
func (c *tap) lastRecord(t *testing.T) (kind byte) {
	t.Helper()
	for rest := c.all; len(rest) > 0; {
		if len(rest) < 5 {
			t.Fatalf("half a record: %x", rest)
		}
		kind = rest[0]
		rest = rest[5+int(rest[3])<<8+int(rest[4]):]
	}
	return kind
}
