// Package dispatchtest is a worker for tests: the far end of a dispatcher's connections, in Go and in the test's own
// process, that says exactly what the test wants and nothing by itself.
package dispatchtest

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"backline/wire"
)

// Patience is how long anything that must happen may take; the machine may be busy.
const Patience = 20 * time.Second

// Message is one message from the dispatcher.
type Message struct {
	Kind   wire.Kind
	Stream uint32
	Scope  map[string]any // KindRequest
	Data   []byte         // KindRequest, KindBody, KindReceive and KindPart; KindClosed's reason; KindJob, KindResult
	Text   bool           // Data of KindReceive and KindPart came as str
	More   int            // the same; 1 for true
	State  []byte         // KindEvent
	N      int            // KindEvent's event; KindCredit; KindGiven; KindClosed's code; KindResult's outcome

	Function string // KindJob
}

// Path is what the request's path was, in an environ or a scope.
func (m Message) Path() string {
	for _, key := range []string{"PATH_INFO", "path"} {
		if path, ok := m.Scope[key].(string); ok {
			return path
		}
	}
	return ""
}

// Worker is the worker's end of both connections.
type Worker struct {
	tb      testing.TB
	codec   wire.Codec
	conn    net.Conn
	control net.Conn
	in      chan Message
	stacks  chan Message
	given   rights // the descriptors that come over control
	ended   chan struct{}

	mu sync.Mutex // guards writing to conn
}

// New makes a worker and gives the server's ends of its connections. The worker ends with the test.
func New(tb testing.TB, codec wire.Codec) (w *Worker, conn, control net.Conn) {
	tb.Helper()
	conn, ours := pair(tb)
	control, oursToo := pair(tb)
	w = &Worker{
		tb: tb, codec: codec, conn: ours, control: oursToo,
		in: make(chan Message, 1<<14), stacks: make(chan Message, 16), ended: make(chan struct{}),
		given: rights{conn: oursToo.(*net.UnixConn), files: make(chan *os.File, 16)}, // pair makes no other
	}
	var group sync.WaitGroup
	group.Go(func() { w.read(w.conn, w.in); close(w.ended) })
	group.Go(func() { w.read(&w.given, w.stacks) })
	tb.Cleanup(func() {
		w.Die()
		for _, unread := range []chan Message{w.stacks, w.in} { // a reader may wait for room in them
			for range unread {
			}
		}
		group.Wait()
		w.given.drop()
	})
	return w, conn, control
}

// pair is a connected pair of Unix sockets, as the supervisor makes them.
func pair(tb testing.TB) (net.Conn, net.Conn) {
	tb.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		tb.Fatalf("socketpair: %v", err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "worker")
		if ends[i], err = net.FileConn(file); err != nil {
			tb.Fatalf("a connection from a socket pair: %v", err)
		}
		_ = file.Close()
	}
	return ends[0], ends[1]
}

func (w *Worker) read(conn io.Reader, into chan<- Message) {
	defer close(into)
	reader := wire.NewReader(conn)
	for {
		payload, err := reader.Next()
		if err != nil {
			return
		}
		for _, each := range decodePacket(w.codec, payload) {
			into <- each
		}
	}
}

// Next gives the next message, and fails the test when none comes.
func (w *Worker) Next() Message {
	w.tb.Helper()
	return w.next(w.in, "a message")
}

// NextStacks gives the next question for stacks.
func (w *Worker) NextStacks() Message {
	w.tb.Helper()
	return w.next(w.stacks, "a question for stacks")
}

func (w *Worker) next(from <-chan Message, what string) Message {
	w.tb.Helper()
	select {
	case m, ok := <-from:
		if !ok {
			w.tb.Fatalf("expected %s, but the connection ended", what)
		}
		return m
	case <-time.After(Patience):
		w.tb.Fatalf("expected %s, none came", what)
	}
	return Message{}
}

// Messages is where messages arrive, for a worker that answers on its own; closed at the end.
func (w *Worker) Messages() <-chan Message { return w.in }

// Expect gives the next message, which must be of this kind.
func (w *Worker) Expect(kind wire.Kind) Message {
	w.tb.Helper()
	m := w.Next()
	if m.Kind != kind {
		w.tb.Fatalf("expected a message of kind %d, got %+v", kind, m)
	}
	return m
}

// Quiet tells whether nothing has arrived that has not been taken.
func (w *Worker) Quiet() bool { return len(w.in) == 0 }

// Tuple is one message to send: its kind, its stream, and so on.
type Tuple []any

// Send sends messages in one packet.
func (w *Worker) Send(messages ...Tuple) {
	payload := w.values().list(nil, len(messages))
	for _, m := range messages {
		payload = w.values().value(payload, m)
	}
	w.SendPacket(payload)
}

// SendPacket sends a packet with this payload, whatever it is.
func (w *Worker) SendPacket(payload []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.conn.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(payload))), payload...))
}

// SendTrace answers a question for stacks.
func (w *Worker) SendTrace(token uint32, text string) {
	w.SendControl(Tuple{wire.KindTrace, token, text})
}

// SendControl sends messages on the second connection, in one packet.
func (w *Worker) SendControl(messages ...Tuple) {
	payload := w.values().list(nil, len(messages))
	for _, m := range messages {
		payload = w.values().value(payload, m)
	}
	_, _ = w.control.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(payload))), payload...))
}

// values is how this worker writes.
func (w *Worker) values() codec { return codec{w.codec} }

// Answer sends a whole answer of status 200.
func (w *Worker) Answer(stream uint32, body string) {
	w.Send(Tuple{wire.KindAnswer, stream, 200, []Tuple{}, []byte(body)})
}

// Die ends the connections, as a killed process does.
func (w *Worker) Die() {
	_ = w.conn.Close()
	_ = w.control.Close()
}

// Ended is closed when the server has closed the connection, or the worker has died.
func (w *Worker) Ended() <-chan struct{} { return w.ended }
