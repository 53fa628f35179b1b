package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"backline"
	"backline/certs"
)

func develop(t *testing.T, folder, machine string) certs.Local {
	t.Helper()
	local, err := certs.Develop(folder, machine)
	if err != nil {
		t.Fatal(err)
	}
	return local
}

func trusting(t *testing.T, local certs.Local) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(local.Authority)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		t.Fatalf("%s holds no certificate", local.Authority)
	}
	if block, _ := pem.Decode(data); block.Type != "CERTIFICATE" {
		t.Errorf("%s, which people copy, begins with %s", local.Authority, block.Type)
	}
	return pool
}

func TestDevelopmentCertificate(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "state", "dev")
	local := develop(t, folder, "Desk.local")
	s := start(t, certs.Options{Pairs: []certs.Pair{local.Pair}})
	pool := trusting(t, local)
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "desk.local"} {
		if _, err := s.dial(t, &tls.Config{ServerName: name, RootCAs: pool}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, mode := range map[string]fs.FileMode{
		".": 0o700 | fs.ModeDir, "authority-key.pem": 0o600, "authority.pem": 0o644, "localhost.pem": 0o600,
	} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, mode)
		}
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 3 {
		t.Errorf("the folder has %d files, want 3: %v", len(left), err)
	}
}

// TestDevelopmentCertificateIsKept: who has told a browser to trust it must not have to do so again.
func TestDevelopmentCertificateIsKept(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := develop(t, folder, "desk")
	if !first.New {
		t.Error("the first authority is not new")
	}
	before := contents(t, first)
	second := develop(t, folder, "desk")
	if second.New || contents(t, second) != before {
		t.Error("the second start made another certificate")
	}
	third := develop(t, folder, "laptop")
	if !third.New {
		t.Error("an authority that may not speak for the machine's new name is kept")
	}
	s := start(t, certs.Options{Pairs: []certs.Pair{third.Pair}})
	if _, err := s.dial(t, &tls.Config{ServerName: "laptop", RootCAs: trusting(t, third)}); err != nil {
		t.Error(err)
	}
}

func contents(t *testing.T, local certs.Local) string {
	t.Helper()
	data, err := os.ReadFile(local.Pair.Cert)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDevelopmentAuthorityIsWorthNothingElsewhere: its key lies on a disk, and people tell their browsers to believe it.
func TestDevelopmentAuthorityIsWorthNothingElsewhere(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	local := develop(t, folder, "desk")
	both, err := tls.LoadX509KeyPair(filepath.Join(folder, "authority-key.pem"), filepath.Join(folder, "authority-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	thief := newRoot(t, "thief")
	thief.cert, thief.key = both.Leaf, ecSigner(t, both)
	s := start(t, certs.Options{Pairs: []certs.Pair{thief.issue(t, "bank.example").pair(t, t.TempDir(), "stolen")}})
	_, err = s.dial(t, &tls.Config{ServerName: "bank.example", RootCAs: trusting(t, local)})
	wants(t, err, "is not permitted")
}

func TestDevelopAtTheSameTime(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := certs.Develop(folder, "desk"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	local := develop(t, folder, "desk")
	s := start(t, certs.Options{Pairs: []certs.Pair{local.Pair}})
	if _, err := s.dial(t, &tls.Config{ServerName: "desk", RootCAs: trusting(t, local)}); err != nil {
		t.Error(err)
	}
}

func TestMachinesWithStrangeNames(t *testing.T) {
	t.Parallel()
	for _, machine := range []string{"", "localhost", "my_desk", "schreibtisch-größe", "10.0.0.1"} {
		if local := develop(t, t.TempDir(), machine); len(local.Names) != 3 {
			t.Errorf("a machine called %q: the certificate is for %q", machine, local.Names)
		}
	}
}

func TestFolderThatCannotBeMade(t *testing.T) {
	t.Parallel()
	file := write(t, filepath.Join(t.TempDir(), "file"), nil)
	_, err := certs.Develop(filepath.Join(file, "dev"), "desk")
	wants(t, err, "make a development certificate")
	if backline.AsError(err).Hint == "" {
		t.Error("nothing says what to do")
	}
}
