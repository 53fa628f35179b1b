package tcp

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

func TestMain(m *testing.M) { os.Exit(dispatchtest.Main(m)) }

const patience20 = dispatchtest.Patience

// bundle is a server that runs until the test's end.
type bundle struct {
	*Server
	t    *testing.T
	logs *logs
	stop context.CancelFunc
	done chan error
}

func setup(t *testing.T, options Options) *bundle {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, logs: &logs{}, done: make(chan error, 1)}
	options.Listener, options.Log = l, slog.New(slog.NewTextHandler(b.logs, nil))
	b.Server = New(options)
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	go func() { b.done <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-b.done; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	return b
}

// dial connects a client.
func (b *bundle) dial() net.Conn {
	b.t.Helper()
	c, err := net.DialTimeout("tcp", b.Addr().String(), patience20)
	if err != nil {
		b.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience20))
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

// worker is the far end of a worker's connection, which says what the test wants.
type worker struct {
	*Worker
	t       *testing.T
	conn    *net.UnixConn
	given   chan *given // closed at the connection's end
	stopped chan struct{}
	retired chan Retirement
}

// given is a connection that was handed over.
type given struct {
	net.Conn
	stream uint32
	packet string
}

func (b *bundle) worker(concurrency int) *worker {
	b.t.Helper()
	ours, theirs, err := socketPair()
	if err != nil {
		b.t.Fatal(err)
	}
	conn, err := net.FileConn(theirs)
	_ = theirs.Close()
	if err != nil {
		b.t.Fatal(err)
	}
	far, _ := conn.(*net.UnixConn)
	w := &worker{
		t: b.t, conn: far, given: make(chan *given, 64), stopped: make(chan struct{}), retired: make(chan Retirement, 1),
	}
	go w.read()
	up := wire.Up{Interface: "tcp", Concurrency: concurrency, Application: "mod:handle"}
	w.Worker = b.Attach("tcp.1", wire.Hello{Codec: wire.Marshal}, up, ours, func(why Retirement) { w.retired <- why })
	b.t.Cleanup(w.die)
	return w
}

// die ends the connection, as a killed process does.
func (w *worker) die() {
	_ = w.conn.Close()
	for each := range w.given {
		_ = each.Close()
	}
}

// Where the kind and the stream stand in a packet of one message: after length, list, tuple and the types of numbers.
const (
	kindAt   = 4 + 5 + 2 + 1
	streamAt = kindAt + 4 + 1
)

func (w *worker) read() {
	defer close(w.given)
	buffer, rights := make([]byte, 4096), make([]byte, 4096)
	for {
		n, oob, _, _, err := w.conn.ReadMsgUnix(buffer, rights)
		if err != nil || n == 0 {
			return
		}
		if wire.Kind(buffer[kindAt]) == wire.KindStop {
			close(w.stopped)
			continue
		}
		control, _ := syscall.ParseSocketControlMessage(rights[:oob])
		numbers, _ := syscall.ParseUnixRights(&control[0])
		file := os.NewFile(uintptr(numbers[0]), "given")
		conn, err := net.FileConn(file)
		_ = file.Close()
		if err != nil {
			w.t.Errorf("what was handed over is no connection: %v", err)
			return
		}
		_ = conn.SetDeadline(time.Now().Add(patience20))
		w.given <- &given{conn, binary.LittleEndian.Uint32(buffer[streamAt:]), string(buffer[:n])}
	}
}

// next gives the connection that is handed over next.
func (w *worker) next() *given {
	w.t.Helper()
	select {
	case g, open := <-w.given:
		if open {
			return g
		}
		w.t.Fatal("the worker's connection has ended")
	case <-time.After(patience20):
		w.t.Fatal("no connection was handed over")
	}
	return nil
}

// finish ends a connection as a worker does whose function has returned.
func (w *worker) finish(g *given) {
	_ = g.Close()
	w.done(g.stream)
}

func (w *worker) done(stream uint32) { w.say(wire.KindDone, stream) }

func (w *worker) say(kind wire.Kind, stream uint32) {
	packet := []byte{0, 0, 0, 0, '[', 1, 0, 0, 0, ')', 2, 'i', byte(kind), 0, 0, 0, 'i'}
	packet = binary.LittleEndian.AppendUint32(packet, stream)
	binary.LittleEndian.PutUint32(packet, uint32(len(packet)-4))
	_, _ = w.conn.Write(packet)
}

// wantLine reads from one end what the other has written.
func wantLine(t *testing.T, from io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(from, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got[:n], err, want)
	}
}

func wantEnd(t *testing.T, from io.Reader) {
	t.Helper()
	if n, err := io.Copy(io.Discard, from); n != 0 || err != nil {
		t.Fatalf("read %d bytes, %v; want the end", n, err)
	}
}

func write(t *testing.T, to io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
}

func within[T any](t *testing.T, c <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(patience20):
		t.Fatalf("%s: not within %v", what, patience20)
	}
	return got
}

// eventually waits for what nobody signals.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(patience20); !is(); runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatalf("%s: not within %v", what, patience20)
		}
	}
}

// logs keeps what was logged.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}
