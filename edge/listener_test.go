package edge

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"backline"
	"backline/dispatch"
)

func TestListenErrors(t *testing.T) {
	t.Parallel()
	taken, err := Listen(t.Context(), "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	inUse, err := Listen(t.Context(), "unix:"+filepath.Join(dir, "used"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.Close()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A bare number: it is Listen's to close, and no os.File may close it again.
	file, err := syscall.Open(plain, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{ // address to what the error must say
		taken.Addr().String():                   "another process already listens there",
		"unix:" + filepath.Join(dir, "used"):    "another process already listens there",
		"unix:" + filepath.Join(dir, "no", "s"): "the folder does not exist",
		"unix:" + plain:                         "another process already listens there",
		"203.0.113.7:1":                         "this machine has no such address",
		"fd://99999":                            "no listening socket",
		"fd://" + fmt.Sprint(file):              "no listening socket",
		"fd://x":                                "not the number of a file descriptor",
		"127.0.0.1:http:":                       "cannot listen there",
	}
	for address, want := range cases {
		_, err := Listen(t.Context(), address, 0o600)
		if err == nil {
			t.Errorf("%s: no error", address)
			continue
		}
		var e *backline.Error
		if !errors.As(err, &e) || e.Code != backline.CodeBind || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v; expected %q", address, err, want)
		}
	}
	if kept, _ := os.ReadFile(plain); string(kept) != "precious" {
		t.Error("a file that is no socket was replaced")
	}
}

func TestUnixSockets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = stale.Close()
	l, err := Listen(t.Context(), "unix:"+path, 0o640)
	if err != nil {
		t.Fatalf("a socket that nobody listens on is in the way: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v; expected 0640", info.Mode(), err)
	}
	if l.Name != "unix:"+path || l.Address() != (backline.Addr{Host: path}) {
		t.Errorf("it is called %s at %+v", l.Name, l.Address())
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left behind")
	}
}

func TestInheritedListener(t *testing.T) {
	t.Parallel()
	original, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := original.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	number, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	_ = original.Close()
	b := startOn(t, fmt.Sprintf("fd://%d", number), grace, Options{}, handler{answer: hello})
	b.dial().get("/")
}

// TestAddresses: on a wildcard address each connection has its own; IPv6 is written as people write it.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", "[::1]:0"} {
		b := startOn(t, address, grace, Options{}, handler{answer: whereabouts})
		_, port, err := net.SplitHostPort(b.address)
		if err != nil {
			t.Fatal(err)
		}
		want := "::1"
		if address == "0.0.0.0:0" {
			b.address, want = "127.0.0.1:"+port, "127.0.0.1"
		}
		c := b.dial()
		if got := c.get("/"); got != fmt.Sprintf("%s %s from %s", want, port, c.LocalAddr()) {
			t.Errorf("%s: %s", address, got)
		}
	}
}

func whereabouts(ex *dispatch.Exchange) {
	s := ex.Scope
	respond(ex, fmt.Sprintf("%s %d from %s", s.Server.Host, s.Server.Port, net.JoinHostPort(s.Client.Host, fmt.Sprint(s.Client.Port))))
}
