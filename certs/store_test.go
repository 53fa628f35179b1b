package certs_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"backline/certs"
)

func TestCertificateIsChosenByName(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newRoot(t, "test")
	s := start(t, certs.Options{Pairs: []certs.Pair{
		ca.issue(t, "first.example", "192.0.2.1").pair(t, dir, "1"),
		ca.issue(t, "*.example.com").pair(t, dir, "2"),
		ca.issue(t, "www.example.com").pair(t, dir, "3"), // after the wildcard, and yet before it in rank
	}})
	for name, want := range map[string]int64{
		"first.example": 1, "shop.example.com": 2, "www.example.com": 3, "WWW.Example.COM": 3, "example.com": 1,
		"a.b.example.com": 1, "elsewhere.example": 1, "": 1,
	} {
		if got := s.serial(t, name); got != want {
			t.Errorf("%q gets certificate %d, want %d", name, got, want)
		}
	}
	for name, want := range map[string]bool{
		"first.example": true, "FIRST.example.": true, "192.0.2.1": true, "x.example.com": true, "example.com": false,
		"x.y.example.com": false, "elsewhere.example": false, "": false, "com": false,
	} {
		if got := s.Serves(name); got != want {
			t.Errorf("Serves(%q) = %t", name, got)
		}
	}
}

func TestClientGetsTheKindOfKeyThatItUnderstands(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newRoot(t, "test")
	s := start(t, certs.Options{Pairs: []certs.Pair{
		ca.issueFor(t, ecKey(t), time.Now().Add(time.Hour), "example.com").pair(t, dir, "1"),
		ca.issueFor(t, rsaKey(t), time.Now().Add(time.Hour), "example.com").pair(t, dir, "2"),
	}})
	for suite, want := range map[uint16]int64{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 1, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 2,
	} {
		conn, err := s.dial(t, &tls.Config{
			ServerName: "example.com", RootCAs: ca.pool(), MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != want {
			t.Errorf("with %s a client gets certificate %d, want %d", tls.CipherSuiteName(suite), got, want)
		}
	}
}

func TestOldestVersion(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newRoot(t, "test")
	pair := ca.issue(t, "example.com").pair(t, dir, "1")
	for _, c := range []struct {
		least, newest uint16
		works         bool
	}{
		{0, tls.VersionTLS11, false}, {0, tls.VersionTLS12, true}, {0, tls.VersionTLS13, true},
		{tls.VersionTLS13, tls.VersionTLS12, false}, {tls.VersionTLS13, tls.VersionTLS13, true},
	} {
		s := start(t, certs.Options{Pairs: []certs.Pair{pair}, MinVersion: c.least})
		_, err := s.dial(t, &tls.Config{
			ServerName: "example.com", RootCAs: ca.pool(), MinVersion: tls.VersionTLS10, MaxVersion: c.newest,
		})
		if (err == nil) != c.works {
			t.Errorf("least %s, a client of %s: %v", tls.VersionName(c.least), tls.VersionName(c.newest), err)
		}
	}
}

func TestReloadDisturbsNobody(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newRoot(t, "test")
	pair := ca.issue(t, "example.com").pair(t, dir, "site")
	s := start(t, certs.Options{Pairs: []certs.Pair{pair}})
	config := &tls.Config{ServerName: "example.com", RootCAs: ca.pool()}
	old, err := s.dial(t, config)
	if err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for !over.Load() {
				if _, err := s.dial(t, config); err != nil {
					t.Errorf("during reloads: %v", err)
					return
				}
			}
		})
	}
	var last leaf
	for range 20 {
		last = ca.issue(t, "example.com")
		last.pair(t, dir, "site")
		s.Reload()
		if err := roundTrip(old); err != nil {
			t.Fatalf("a connection from before the reload: %v", err)
		}
	}
	over.Store(true)
	group.Wait()
	if got := s.serial(t, "example.com"); got != 21 {
		t.Errorf("after the last reload clients get certificate %d, want 21\n%s", got, s.log)
	}
}

// TestChangeIsSeen has the ways in which files change in practice.
func TestChangeIsSeen(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, dir string, fresh leaf){
		"renamed into place": func(t *testing.T, dir string, fresh leaf) { fresh.pair(t, dir, "site") },
		"written over": func(t *testing.T, dir string, fresh leaf) {
			for file, data := range map[string][]byte{"site.pem": fresh.cert, "site-key.pem": fresh.key} {
				if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		},
		"a link to the folder turned, as Kubernetes does": func(t *testing.T, dir string, fresh leaf) {
			next := t.TempDir()
			fresh.pair(t, next, "site")
			if err := os.Symlink(next, dir+"-next"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(dir+"-next", dir); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca, dir := newRoot(t, "test"), filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(t.TempDir(), dir); err != nil {
				t.Fatal(err)
			}
			s := start(t, certs.Options{
				Pairs: []certs.Pair{ca.issue(t, "example.com").pair(t, dir, "site")}, Interval: time.Millisecond,
			})
			run(t, s.Store)
			change(t, dir, ca.issue(t, "example.com"))
			until(t, "the new certificate", func() bool { return s.serial(t, "example.com") == 2 })
		})
	}
}

func run(t *testing.T, s *certs.Store) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestBrokenFileKeepsTheOldCertificate(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newRoot(t, "test")
	pair := ca.issue(t, "example.com").pair(t, dir, "site")
	s := start(t, certs.Options{Pairs: []certs.Pair{pair}, Interval: time.Millisecond})
	run(t, s.Store)
	fresh := ca.issue(t, "example.com")
	write(t, pair.Cert, fresh.cert) // its key comes later
	until(t, "the complaint", func() bool { return s.log.has("the private key belongs to another certificate") })
	if got := s.serial(t, "example.com"); got != 1 {
		t.Errorf("with half of a new pair on disk clients get certificate %d, want 1", got)
	}
	if err := os.Remove(pair.Key); err != nil {
		t.Fatal(err)
	}
	until(t, "the complaint about the missing file", func() bool { return s.log.has("there is no such file") })
	write(t, pair.Key, fresh.key)
	until(t, "the new certificate", func() bool { return s.serial(t, "example.com") == 2 })
}

func TestExpiredCertificateIsMentioned(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newRoot(t, "test")
	pair := ca.issueFor(t, ecKey(t), time.Now().Add(-time.Hour), "old.example").pair(t, dir, "old")
	s := start(t, certs.Options{Pairs: []certs.Pair{pair}})
	if !s.log.has("clients will refuse a certificate: it expired on ") || !s.log.has("old.example") {
		t.Errorf("the log says nothing of it:\n%s", s.log)
	}
}

func TestNothingToServeWith(t *testing.T) {
	t.Parallel()
	_, err := certs.New(certs.Options{})
	wants(t, err, "neither files nor names")
}

// TestNameThatIsWaitedFor: until a certificate has been obtained, its name is refused and gets no other one; other names
// are served from files.
func TestNameThatIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newRoot(t, "test")
	acme := &certs.ACME{Names: []string{"Waiting.example"}, Folder: dir, TLS: "127.0.0.1:443"}
	s := start(t, certs.Options{ACME: acme, Pairs: []certs.Pair{ca.issue(t, "example.com").pair(t, dir, "1")}})
	if got := s.serial(t, "waiting.example"); got != 0 {
		t.Errorf("a name without a certificate got number %d", got)
	}
	for _, name := range []string{"example.com", "other.example", ""} {
		if got := s.serial(t, name); got != 1 {
			t.Errorf("%q gets certificate %d, want 1", name, got)
		}
	}
	if !s.Serves("waiting.EXAMPLE") {
		t.Error("a name that a certificate is being obtained for is not ours")
	}
	alone := start(t, certs.Options{ACME: acme})
	_, err := alone.dial(t, &tls.Config{ServerName: "stranger.example", InsecureSkipVerify: true})
	wants(t, err, "unrecognized name")
	select {
	case <-s.Loaded():
		t.Error("loaded before Run")
	default:
	}
}

func TestChallengeNobodyAskedFor(t *testing.T) {
	t.Parallel()
	s := start(t, certs.Options{ACME: &certs.ACME{Names: []string{"example.com"}, Folder: t.TempDir(), TLS: "127.0.0.1:443"}})
	for _, name := range []string{"example.com", "stranger.example"} {
		_, err := s.dial(t, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{certs.ACMEProtocol}})
		wants(t, err, "internal error")
	}
	if body, ok := s.Challenge("example.com", "/.well-known/acme-challenge/token"); ok {
		t.Errorf("a challenge that nobody has made is answered with %q", body)
	}
}

func TestACMENeedsAnAddress(t *testing.T) {
	t.Parallel()
	_, err := certs.New(certs.Options{ACME: &certs.ACME{Names: []string{"example.com"}, Folder: t.TempDir()}})
	wants(t, err, "no address is listened on that the authority could reach")
	_, err = certs.New(certs.Options{ACME: &certs.ACME{
		Names: []string{"example.com"}, Folder: t.TempDir(), TLS: ":443", Roots: filepath.Join(t.TempDir(), "missing.pem"),
	}})
	wants(t, err, "there is no such file")
}

// TestAuthorityThatCannotBeReached: the log says so with advice, and Run still ends when it is told to.
func TestAuthorityThatCannotBeReached(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	s := start(t, certs.Options{ACME: &certs.ACME{
		Names: []string{"example.test"}, Folder: t.TempDir(), TLS: "127.0.0.1:443",
		Directory: "https://" + nobody.Addr().String() + "/dir",
	}})
	run(t, s.Store)
	s.Begin()
	select {
	case <-s.Loaded():
	case <-time.After(patience):
		t.Fatal("the empty folder is never read")
	}
	until(t, "the complaint", func() bool { return s.log.has("the server has to reach the authority") })
	if !s.log.has("name=example.test") || !s.log.has("connection refused") {
		t.Errorf("the log does not say which name, or why:\n%s", s.log)
	}
}
