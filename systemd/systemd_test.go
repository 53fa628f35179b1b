package systemd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const patience = 30 * time.Second

const pid = 4711

func TestSockets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		environ []string
		want    []Socket
	}{
		{"none", []string{"LISTEN_PID=4711"}, nil},
		{"zero", []string{"LISTEN_PID=4711", "LISTEN_FDS=0"}, []Socket{}},
		{"for another process", []string{"LISTEN_PID=4712", "LISTEN_FDS=2"}, nil},
		{"for nobody", []string{"LISTEN_FDS=2"}, nil},
		{"two", []string{"LISTEN_PID=4711", "LISTEN_FDS=2"}, []Socket{{FD: 3}, {FD: 4}}},
		{"with names", []string{"LISTEN_PID=4711", "LISTEN_FDS=2", "LISTEN_FDNAMES=web.socket:admin"}, []Socket{{3, "web.socket"}, {4, "admin"}}},
		{"with too few names", []string{"LISTEN_PID=4711", "LISTEN_FDS=2", "LISTEN_FDNAMES=web"}, []Socket{{3, "web"}, {FD: 4}}},
		{"the last value counts", []string{"LISTEN_PID=1", "LISTEN_FDS=9", "LISTEN_PID=4711", "LISTEN_FDS=1"}, []Socket{{FD: 3}}},
	} {
		// That descriptors 3 and 4 of this process are something else does not matter: Go keeps all from children anyway.
		got, err := Sockets(c.environ, pid)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; expected %v", c.name, got, err, c.want)
		}
	}
	for _, count := range []string{"x", "-1", "1025", "1 "} {
		if _, err := Sockets([]string{"LISTEN_PID=4711", "LISTEN_FDS=" + count}, pid); err == nil || !strings.Contains(err.Error(), "LISTEN_FDS="+count) {
			t.Errorf("LISTEN_FDS=%s: %v", count, err)
		}
	}
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	got := Environ([]string{
		"PATH=/bin", "LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=a=b", "NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=1", "WATCHDOG_PID=1",
		"LISTEN_FDSX=1", "EMPTY=", "ODD",
	})
	if want := []string{"PATH=/bin", "LISTEN_FDSX=1", "EMPTY=", "ODD"}; !slices.Equal(got, want) {
		t.Errorf("%q, expected %q", got, want)
	}
}

func TestWhoseEnvironment(t *testing.T) {
	t.Parallel()
	all := []string{"LISTEN_PID=4711", "LISTEN_FDS=1", "LISTEN_PORT=80", "WATCHDOG_PID=4711", "WATCHDOG_USEC=1", "NOTIFY_SOCKET=/n"}
	if got := Own(all, pid); !slices.Equal(got, all) {
		t.Errorf("its own: %q", got)
	}
	if got, want := Own(all, 4712), []string{"LISTEN_PORT=80", "NOTIFY_SOCKET=/n"}; !slices.Equal(got, want) {
		t.Errorf("another's: %q, expected %q", got, want)
	}
	if got, want := Own(all[1:], pid), all[1:]; !slices.Equal(got, want) {
		t.Errorf("nobody's: %q, expected %q", got, want)
	}
	if got := Own(Adopt(all, 4712), 4712); len(got) != len(all) || got[0] != "LISTEN_PID=4712" || got[3] != "WATCHDOG_PID=4712" {
		t.Errorf("adopted: %q", got)
	}
}

// manager is systemd's end.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return conn
}

func hear(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatalf("nothing was told: %v", err)
	}
	return string(b[:n])
}

// socketPath is short enough for a socket's address, whatever the test is called.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd") //nolint:usetesting // its folder has the test's name in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "notify")
}

func TestNotify(t *testing.T) {
	t.Parallel()
	names := []string{socketPath(t)}
	if _, err := os.Stat("/proc/net/unix"); err == nil { // only Linux has abstract names
		names = append(names, fmt.Sprintf("@backline-test-%d", os.Getpid()))
	}
	for _, name := range names {
		far := manager(t, name)
		n, err := NewNotifier(t.Context(), []string{"NOTIFY_SOCKET=" + name}, pid, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		n.Ready("serving\nREADY=0  a")
		if got, want := hear(t, far), "READY=1\nSTATUS=serving READY=0 a"; got != want {
			t.Errorf("%q, expected %q", got, want)
		}
		n.Reloading("reloading")
		lines := strings.Split(hear(t, far), "\n")
		usec, found := strings.CutPrefix(lines[1], "MONOTONIC_USEC=")
		if number, err := strconv.ParseInt(usec, 10, 64); !found || err != nil || number <= 0 || lines[0] != "RELOADING=1" || lines[2] != "STATUS=reloading" {
			t.Errorf("%q", lines)
		}
		n.MainPID(17)
		if got, want := hear(t, far), "MAINPID=17"; got != want {
			t.Errorf("%q, expected %q", got, want)
		}
		n.Stopping("bye")
		if got, want := hear(t, far), "STOPPING=1\nSTATUS=bye"; got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}

func TestNobodyToTell(t *testing.T) {
	t.Parallel()
	n, err := NewNotifier(t.Context(), []string{"WATCHDOG_USEC=1000"}, pid, nil)
	if n != nil || err != nil {
		t.Fatalf("%v, %v", n, err)
	}
	n.Ready("")
	n.Reloading("")
	n.Stopping("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Run(ctx, func() error { return errors.New("asked") }); err != nil {
		t.Error(err)
	}
}

func TestWrongEnvironment(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	manager(t, path)
	for _, c := range []struct{ word, socket, usec string }{
		{"neither a path", "vsock:2:1234", ""},
		{"cannot be connected to", path + "x", ""},
		{"WATCHDOG_USEC=x", path, "x"},
		{"WATCHDOG_USEC=0", path, "0"},
		{"WATCHDOG_USEC=9999999999999999999", path, "9999999999999999999"},
	} {
		_, err := NewNotifier(t.Context(), []string{"NOTIFY_SOCKET=" + c.socket, "WATCHDOG_USEC=" + c.usec}, pid, nil)
		if err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s, %s: %v; expected something with %q", c.socket, c.usec, err, c.word)
		}
	}
}

// sink is a log to look into.
type sink struct {
	mu   sync.Mutex
	text bytes.Buffer
	said chan struct{}
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.said <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

// TestWatchdog: it is told while all is well and only then, and the log says why not.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	far := manager(t, path)
	log := &sink{said: make(chan struct{}, 1)}
	environ := []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=10000", "WATCHDOG_PID=4711"}
	n, err := NewNotifier(t.Context(), environ, pid, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx, func() error { return <-results }) }()
	for range 2 {
		results <- nil
		if got := hear(t, far); got != "WATCHDOG=1" {
			t.Errorf("%q", got)
		}
	}
	results <- errors.New("the clock stands still")
	<-log.said
	results <- nil
	if got := hear(t, far); got != "WATCHDOG=1" {
		t.Errorf("%q", got)
	}
	if log.mu.Lock(); !strings.Contains(log.text.String(), "the clock stands still") {
		t.Errorf("log: %s", log.text.String())
	}
	log.mu.Unlock()
	cancel()
	close(results)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ []string
		want    time.Duration
	}{
		{nil, 0},
		{[]string{"WATCHDOG_USEC=3000000"}, 3 * time.Second},
		{[]string{"WATCHDOG_USEC=3000000", "WATCHDOG_PID=4711"}, 3 * time.Second},
		{[]string{"WATCHDOG_USEC=3000000", "WATCHDOG_PID=1"}, 0},
	} {
		if got, err := interval(c.environ, pid); err != nil || got != c.want {
			t.Errorf("%q: %v, %v; expected %v", c.environ, got, err, c.want)
		}
	}
}

// TestCloseOnExec: what a process starts does not get the sockets. Not parallel: it uses descriptors by number.
func TestCloseOnExec(t *testing.T) {
	environ := []string{"LISTEN_PID=" + strconv.Itoa(os.Getpid()), "LISTEN_FDS=2", "LISTEN_FDNAMES=web"}
	if os.Getenv("BE_STARTED") == "" {
		startSelf(t)
		return
	}
	flags := func(fd int) int {
		n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno != 0 {
			t.Fatalf("descriptor %d: %v", fd, errno)
		}
		return int(n)
	}
	if flags(3)&syscall.FD_CLOEXEC != 0 {
		t.Fatal("the descriptor is not as systemd passes it")
	}
	got, err := Sockets(environ, os.Getpid())
	if want := []Socket{{3, "web"}, {FD: 4}}; err != nil || !slices.Equal(got, want) {
		t.Fatalf("%v, %v; expected %v", got, err, want)
	}
	for _, s := range got {
		if flags(s.FD)&syscall.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d would be inherited", s.FD)
		}
	}
}

// startSelf runs the test that calls it once more, in a process with two further descriptors.
func startSelf(t *testing.T) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	command.Env = append(os.Environ(), "BE_STARTED=yes")
	for range 2 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		command.ExtraFiles = append(command.ExtraFiles, r)
	}
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
