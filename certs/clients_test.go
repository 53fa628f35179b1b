package certs_test

import (
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"backline/certs"
)

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	dir, ca, clients, strangers := t.TempDir(), newRoot(t, "test"), newRoot(t, "clients"), newRoot(t, "strangers")
	pair := ca.issue(t, "example.com").pair(t, dir, "site")
	file := write(t, filepath.Join(dir, "clients.pem"), clients.pem())
	good, bad := clients.issue(t, "alice").client(t), strangers.issue(t, "mallory").client(t)
	late := clients.issueFor(t, ecKey(t), time.Now().Add(-time.Hour), "late").client(t)
	for _, c := range []struct {
		name      string
		auth      tls.ClientAuthType
		presented []tls.Certificate
		works     bool
		seen      bool
	}{
		{"none, nothing presented", tls.NoClientCert, nil, true, false},
		{"none, presented", tls.NoClientCert, good, true, false},
		{"optional, nothing presented", tls.VerifyClientCertIfGiven, nil, true, false},
		{"optional, presented", tls.VerifyClientCertIfGiven, good, true, true},
		{"optional, wrong authority", tls.VerifyClientCertIfGiven, bad, false, false},
		{"required, nothing presented", tls.RequireAndVerifyClientCert, nil, false, false},
		{"required, presented", tls.RequireAndVerifyClientCert, good, true, true},
		{"required, wrong authority", tls.RequireAndVerifyClientCert, bad, false, false},
		{"required, expired", tls.RequireAndVerifyClientCert, late, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, certs.Options{Pairs: []certs.Pair{pair}, ClientAuth: c.auth, ClientCAs: file})
			asked := false
			_, err := s.dial(t, &tls.Config{
				ServerName: "example.com", RootCAs: ca.pool(),
				// Whatever the server says it accepts: a client of bad will sends what it has.
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					asked = true
					if len(c.presented) == 0 {
						return &tls.Certificate{}, nil
					}
					return &c.presented[0], nil
				},
			})
			if (err == nil) != c.works {
				t.Errorf("the outcome is %v", err)
			}
			if want := c.auth != tls.NoClientCert; asked != want {
				t.Errorf("the client was asked: %t, want %t", asked, want)
			}
		})
	}
}

func TestAuthoritiesOfClientsAreReloaded(t *testing.T) {
	t.Parallel()
	dir, ca, before, after := t.TempDir(), newRoot(t, "test"), newRoot(t, "before"), newRoot(t, "after")
	file := write(t, filepath.Join(dir, "clients.pem"), before.pem())
	s := start(t, certs.Options{
		Pairs:      []certs.Pair{ca.issue(t, "example.com").pair(t, dir, "site")},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: file,
	})
	as := func(certificates []tls.Certificate) *tls.Config {
		return &tls.Config{
			ServerName: "example.com", RootCAs: ca.pool(), Certificates: certificates, NextProtos: []string{"h2"},
			ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}
	}
	alice, bob := as(before.issue(t, "alice").client(t)), as(after.issue(t, "bob").client(t))
	if _, err := s.dial(t, alice); err != nil {
		t.Fatal(err)
	}
	resumed, err := s.dial(t, alice)
	if err != nil || !resumed.ConnectionState().DidResume {
		t.Fatalf("a session is not resumed, and what follows proves less: %v", err)
	}
	write(t, file, after.pem())
	s.Reload()
	if _, err := s.dial(t, alice); err == nil {
		t.Error("a client of an authority that is gone is accepted, with its old session")
	}
	conn, err := s.dial(t, bob)
	if err != nil {
		t.Fatalf("a client of the new authority: %v\n%s", err, s.log)
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("after the reload the protocol is %q, want h2", got)
	}
	write(t, file, []byte("broken"))
	s.Reload()
	if _, err := s.dial(t, bob); err != nil {
		t.Errorf("after a broken file: %v", err)
	}
	if !s.log.has("the file holds no PEM block") {
		t.Errorf("the log does not say what is wrong:\n%s", s.log)
	}
}

func TestClientsNeedAuthorities(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newRoot(t, "test")
	options := certs.Options{
		Pairs: []certs.Pair{ca.issue(t, "example.com").pair(t, dir, "site")}, ClientAuth: tls.VerifyClientCertIfGiven,
	}
	_, err := certs.New(options)
	wants(t, err, "nothing says whose are accepted")
	options.ClientCAs = options.Pairs[0].Key
	_, err = certs.New(options)
	wants(t, err, "the file holds no CERTIFICATE block, only PRIVATE KEY")
}
