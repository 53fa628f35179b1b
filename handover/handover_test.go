package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"backline"
)

// patience is how long anything that must happen may take; the machine may be busy.
const patience = 30 * time.Second

// role is the variable that makes the test's binary a successor.
const role = "HANDOVER_ROLE"

// TestMain is also what successors run: they are real processes of this binary.
func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "serve":
		succeed()
	case "exit":
		os.Exit(7)
	case "close":
		_ = os.NewFile(pipeDescriptor, "pipe").Close()
		select {}
	case "babble":
		fmt.Fprintln(os.NewFile(pipeDescriptor, "pipe"), "hello from something else")
		select {}
	case "wait":
		say("waiting")
		select {}
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		say("waiting")
		select {}
	}
}

func say(words ...any) { fmt.Fprintln(os.Stdout, words...) }

func fail(words ...any) {
	say(words...)
	os.Exit(1)
}

// succeed takes over the addresses that it is told, answers one connection on each, and ends.
func succeed() {
	environ, from, err := Inherit(os.Environ())
	if err != nil || strings.Contains(strings.Join(environ, "\n"), variable) {
		fail("cannot inherit:", err)
	}
	var listeners []net.Listener
	for address := range strings.SplitSeq(os.Getenv("ADDRESSES"), ",") {
		descriptor, found := from.Take(address)
		if !found {
			fail("not inherited:", address)
		}
		listener, err := net.FileListener(os.NewFile(uintptr(descriptor), address))
		if err != nil {
			fail(err)
		}
		listeners = append(listeners, listener)
	}
	if err := from.Relieve(); err != nil {
		fail(err)
	}
	for _, listener := range listeners {
		conn, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		fmt.Fprintf(conn, "%d", os.Getpid())
		_ = conn.Close()
	}
}

// successor is a process of this binary in a role.
func successor(t *testing.T, name string, output io.Writer) *Successor {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Successor{
		Path: path, Args: []string{"backline", "serve"}, Dir: t.TempDir(), Environ: append(os.Environ(), role+"="+name),
		Stdout: output, Stderr: output,
	}
}

// listen opens an address and duplicates its socket.
func listen(t *testing.T, network, where, address string) (net.Listener, Socket) {
	t.Helper()
	listener, err := net.Listen(network, where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	socket, err := Duplicate(address, listener.(syscall.Conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.File.Close() })
	return listener, socket
}

func TestASuccessorTakesOver(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	kept, dropped := filepath.Join(folder, "kept"), filepath.Join(folder, "dropped")
	first, socket1 := listen(t, "tcp", "127.0.0.1:0", "127.0.0.1:0")
	second, socket2 := listen(t, "tcp", "127.0.0.1:0", "127.0.0.1:0") // the same address, and yet another socket
	local, socket3 := listen(t, "unix", kept, "unix:"+kept)
	_, socket4 := listen(t, "unix", dropped, "unix:"+dropped)
	s := successor(t, "serve", t.Output())
	s.Environ = append(s.Environ, "ADDRESSES=127.0.0.1:0,127.0.0.1:0,unix:"+kept)
	s.Sockets = []Socket{socket1, socket2, socket3, socket4}
	pid, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !nonblocking(t, first) {
		t.Error("the listener became blocking: closing it would not end an accept")
	}
	local.(*net.UnixListener).SetUnlinkOnClose(false)
	for _, listener := range []net.Listener{first, second, local} {
		_ = listener.Close()
	}
	for _, at := range []net.Addr{first.Addr(), second.Addr(), local.Addr()} {
		if got := read(t, at); got != strconv.Itoa(pid) {
			t.Errorf("%s: answered by %q, expected process %d", at, got, pid)
		}
	}
	if _, err := os.Stat(dropped); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v; expected that the path which the successor does not use is gone", dropped, err)
	}
}

func nonblocking(t *testing.T, listener net.Listener) (is bool) {
	t.Helper()
	raw, err := listener.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(descriptor uintptr) {
		flags, _ := unix.FcntlInt(descriptor, unix.F_GETFL, 0)
		is = flags&unix.O_NONBLOCK != 0
	}); err != nil {
		t.Fatal(err)
	}
	return is
}

func read(t *testing.T, from net.Addr) string {
	t.Helper()
	conn, err := net.DialTimeout(from.Network(), from.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestASuccessorThatFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ role, want string }{
		"ends":                      {"exit", "the new process gave up before it served (exit status 7)"},
		"hangs up":                  {"close", "the new process gave up before it served (signal: terminated)"},
		"says something else":       {"babble", "the new process gave up before it served (signal: terminated)"},
		"does not come to serve":    {"wait", "too slow (signal: terminated)"},
		"does not even end by TERM": {"deaf", "too slow (it did not end by itself and was killed)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			_, err := successor(t, test.role, &trigger{call: func() { cancel(errors.New("too slow")) }}).Run(ctx)
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, expected %q", err, test.want)
			}
		})
	}
}

// trigger calls a function when something is written.
type trigger struct{ call func() }

func (w *trigger) Write(p []byte) (int, error) {
	w.call()
	return len(p), nil
}

func TestWhatCannotBeStarted(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, hint := range map[string]string{
		filepath.Join(folder, "absent"):            "put the new version",
		file("plain", "text", 0o644):               "chmod +x",
		file("foreign", "\x7fELF and more", 0o755): "expected a binary for this system",
	} {
		s := successor(t, "exit", io.Discard)
		s.Path = path
		_, err := s.Run(t.Context())
		if fault, ok := errors.AsType[*backline.Error](err); !ok || !strings.Contains(fault.Hint, hint) {
			t.Errorf("%s: %v; expected a hint with %q", path, err, hint)
		}
	}
}

func TestInherit(t *testing.T) {
	t.Parallel()
	t.Run("nothing", func(t *testing.T) {
		t.Parallel()
		rest, from, err := Inherit([]string{"A=1", "BACKLINE_HANDOVERS=2"})
		if err != nil || from != nil || len(rest) != 2 {
			t.Fatalf("got %q, %v, %v; expected the environment and no predecessor", rest, from, err)
		}
		if _, found := from.Take("127.0.0.1:8000"); found {
			t.Error("a socket without a predecessor")
		}
		if err := from.Relieve(); err != nil {
			t.Errorf("Relieve: %v", err)
		}
	})
	many := strings.Repeat(`"x",`, 10_000) // some of these descriptors are not even open
	for name, value := range map[string]string{"no JSON": "3", "no sockets": `{"sockets":[` + many + `"x"]}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rest, from, err := Inherit([]string{"A=1", variable + "=" + value})
			fault := backline.AsError(err)
			if from != nil || fault.Code != backline.CodeUsage || !strings.Contains(fault.Hint, "unset it") || len(rest) != 1 {
				t.Errorf("got %q, %v, %v; expected an error that says what to do", rest, from, err)
			}
		})
	}
}

func TestDuplicateOfAClosedListener(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if _, err := Duplicate("here", listener.(syscall.Conn)); err == nil {
		t.Error("a socket of a listener that is closed")
	}
	runtime.KeepAlive(listener)
}
