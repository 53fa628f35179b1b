package certs_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"backline/certs"
)

// patience is how long anything may take before a test fails.
const patience = 20 * time.Second

// root is an authority for a test.
type root struct {
	cert   *x509.Certificate
	key    crypto.Signer
	serial *atomic.Int64
}

func newRoot(t *testing.T, name string) root {
	t.Helper()
	r := root{key: ecKey(t), serial: new(atomic.Int64)}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SerialNumber: big.NewInt(1),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, r.key.Public(), r.key)
	if err != nil {
		t.Fatal(err)
	}
	if r.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r root) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.cert.Raw})
}

func (r root) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(r.cert)
	return pool
}

// leaf is a certificate from a root, as the contents of two files.
type leaf struct{ cert, key []byte }

// issue makes a certificate. Serial numbers count from 1, so that tests can tell versions apart.
func (r root) issue(t *testing.T, names ...string) leaf {
	t.Helper()
	return r.issueFor(t, ecKey(t), time.Now().Add(time.Hour), names...)
}

func (r root) issueFor(t *testing.T, key crypto.Signer, until time.Time, names ...string) leaf {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, SerialNumber: big.NewInt(r.serial.Add(1)),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, r.cert, key.Public(), r.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return leaf{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// pair writes the leaf to two files of the folder.
func (l leaf) pair(t *testing.T, folder, name string) certs.Pair {
	t.Helper()
	return certs.Pair{
		Cert: write(t, filepath.Join(folder, name+".pem"), l.cert),
		Key:  write(t, filepath.Join(folder, name+"-key.pem"), l.key),
	}
}

// client is the leaf as a client presents it.
func (l leaf) client(t *testing.T) []tls.Certificate {
	t.Helper()
	cert, err := tls.X509KeyPair(l.cert, l.key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{cert}
}

// write puts a file there as careful people do: beside it, and then renamed.
func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// site is a store and a server that uses it: it sends back each line that a client writes.
type site struct {
	*certs.Store

	address string
	log     *journal
}

func start(t *testing.T, options certs.Options) site {
	t.Helper()
	s := site{log: &journal{}}
	options.Log = slog.New(slog.NewTextHandler(s.log, nil))
	var err error
	if s.Store, err = certs.New(options); err != nil {
		t.Fatal(err)
	}
	config := s.Config()
	config.NextProtos = []string{"h2", "http/1.1"}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { echo(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
	})
	return s
}

func echo(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for lines := bufio.NewReader(conn); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if _, err := conn.Write([]byte(line)); err != nil {
			return
		}
	}
}

// dial shakes hands and has one line echoed: with TLS 1.3 a client learns only then that its certificate was refused.
func (s site) dial(t *testing.T, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	dialer := &net.Dialer{Timeout: patience}
	conn, err := tls.DialWithDialer(dialer, "tcp", s.address, config)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, roundTrip(conn)
}

func roundTrip(conn *tls.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte("hello\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && line != "hello\n" {
		err = fmt.Errorf("the echo was %q", line)
	}
	return err
}

// serial is the serial number of the certificate that a client of that name gets; 0 if it gets none.
func (s site) serial(t *testing.T, name string) int64 {
	t.Helper()
	conn, err := s.dial(t, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Log(err)
		return 0
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// journal is a log that tests read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) has(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.text.String(), text)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// until waits for a state that nothing announces.
func until(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(time.Millisecond); !check(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("in vain waited for: " + what)
		}
	}
}

// wants fails the test unless the error holds the text.
func wants(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("the error is %v, want one with %q", err, text)
	}
}

// ecSigner is the key of a certificate that was read from files.
func ecSigner(t *testing.T, cert tls.Certificate) crypto.Signer {
	t.Helper()
	key, ok := cert.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("the key is a %T", cert.PrivateKey)
	}
	return key
}
