package wire_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"backline"
	"backline/wire"
)

// patience is for a process that starts while the machine is busy.
const patience = 60 * time.Second

// nodeWorker is examples/worker-node, which was written from docs/protocol.md: what it cannot do, the document does not
// say well enough.
type nodeWorker struct {
	conn, control net.Conn
	reader        *wire.Reader
	command       *exec.Cmd
	stderr        bytes.Buffer
}

func startNode(t *testing.T) *nodeWorker {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed, which runs examples/worker-node")
	}
	w := &nodeWorker{command: exec.Command(node, "../examples/worker-node/worker.js")}
	ours, theirs := socketPair(t)
	control, theirControl := socketPair(t)
	w.conn, w.control, w.reader = ours, control, wire.NewReader(ours)
	w.command.ExtraFiles = []*os.File{theirs, theirControl}
	w.command.Stderr = &w.stderr
	if err := w.command.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = theirs.Close(), theirControl.Close()
	t.Cleanup(func() {
		_, _ = ours.Close(), control.Close()
		_ = w.command.Wait() // ends by itself when its connection does; TestNodeWorker looks at how
	})
	return w
}

func socketPair(t *testing.T) (net.Conn, *os.File) {
	t.Helper()
	syscall.ForkLock.RLock() // or a process that another test starts meanwhile would inherit both ends
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	ours := os.NewFile(uintptr(pair[0]), "ours")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn, os.NewFile(uintptr(pair[1]), "theirs")
}

// exchange sends a batch and gives the messages that come until one for which enough is true, without signs of life.
func (w *nodeWorker) exchange(t *testing.T, fill func(*wire.Batch), enough func(wire.Message) bool) []wire.Message {
	t.Helper()
	send(t, w.conn, fill)
	return receive(t, w.reader, enough)
}

func send(t *testing.T, conn net.Conn, fill func(*wire.Batch)) {
	t.Helper()
	var batch wire.Batch
	batch.Reset(wire.Msgpack)
	fill(&batch)
	if _, err := conn.Write(batch.Packet()); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, reader *wire.Reader, enough func(wire.Message) bool) (all []wire.Message) {
	t.Helper()
	for {
		payload, err := reader.Next()
		if err != nil {
			t.Fatalf("after %d messages: %v", len(all), err)
		}
		var messages wire.Messages
		if err := messages.Open(bytes.Clone(payload)); err != nil {
			t.Fatal(err)
		}
		for {
			var m wire.Message
			more, err := messages.Next(&m)
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
			if m.Kind != wire.KindAlive {
				all = append(all, m)
			}
			if enough(m) {
				return all
			}
		}
	}
}

func closes(m wire.Message) bool {
	return m.Kind == wire.KindAnswer || m.Kind == wire.KindDone || m.Kind == wire.KindError
}

var nodeDefaults = wire.Defaults{Scheme: "http", Server: backline.Addr{Host: "127.0.0.1", Port: 8000}}

func nodeRequest(path, query string, more int) []byte {
	scope := &backline.Scope{
		Method: []byte("GET"), Target: []byte(path), Path: []byte(path), Query: []byte(query), Version: "1.1", Scheme: "http",
		Server: nodeDefaults.Server, Fields: []backline.Field{{Name: []byte("Host"), Value: []byte("example.org")}},
	}
	return wire.Msgpack.AppendRequest(nil, &wire.Request{Scope: scope, More: more, Length: -1, Default: &nodeDefaults})
}

func TestNodeWorker(t *testing.T) {
	t.Parallel()
	w := startNode(t)
	const window = 100_000
	w.boot(t, window)

	got := w.exchange(t, func(b *wire.Batch) { b.AddRequest(nodeRequest("/caf%C3%A9", "", wire.BodyWhole), 5) }, closes)[0]
	if text := "GET /café 127.0.0.1:8000 0 bytes\n"; got.Stream != 5 || got.Status != 200 || string(got.Data) != text ||
		string(got.Fields[1].Value) != "caf\xe9" {
		t.Errorf("a request was answered with %+v", got)
	}
	w.streams(t, window)
	w.takesBodies(t)

	failed := w.exchange(t, func(b *wire.Batch) { b.AddRequest(nodeRequest("/fail", "", wire.BodyWhole), 5) }, closes)
	if failed[0].Kind != wire.KindError || !strings.Contains(string(failed[0].Data), "as asked") {
		t.Errorf("an exception was answered with %+v", failed)
	}
	send(t, w.control, func(b *wire.Batch) { b.AddStacks(9, nil) })
	trace := receive(t, wire.NewReader(w.control), func(m wire.Message) bool { return m.Kind == wire.KindTrace })
	if trace[0].Stream != 9 {
		t.Errorf("stacks were answered with %+v", trace)
	}
	// STOP waits for the last request, which is given up meanwhile.
	w.exchange(t, func(b *wire.Batch) {
		b.AddRequest(nodeRequest("/", "", wire.BodyFollows), 8)
		b.Add(wire.KindStop, 0)
	}, func(m wire.Message) bool { return m.Kind == wire.KindAlive })
	w.exchange(t, func(b *wire.Batch) { b.Add(wire.KindCancel, 8) }, closes)
	if _, err := w.reader.Next(); err != io.EOF { //nolint:errorlint // it is documented as io.EOF itself
		t.Errorf("after STOP: %v, want the end", err)
	}
	if err := w.command.Wait(); err != nil {
		t.Errorf("the worker ended with %v, it printed:\n%s", err, w.stderr.String())
	}
}

func (w *nodeWorker) boot(t *testing.T, window int) {
	t.Helper()
	hello, err := wire.ReadHello(w.conn, "1.0")
	if err != nil || hello.Codec != wire.Msgpack || hello.Language != "javascript" || hello.PID != w.command.Process.Pid {
		t.Fatalf("hello: %+v, %v", hello, err)
	}
	settings := map[string]any{"app": "x", "worker_connections": 50, "asgi_window": window, "scheme": "http", "root_path": "",
		"server": []any{"127.0.0.1", 8000}}
	if err := wire.WriteWelcome(w.conn, hello.Codec, "1.0", settings); err != nil {
		t.Fatal(err)
	}
	if up, err := wire.ReadUp(w.conn, hello.Codec); err != nil || up.Interface != "asgi" || up.Concurrency != 50 {
		t.Fatalf("up: %+v, %v", up, err)
	}
}

// streams asks for an answer larger than the window and gives credit when the window is used up.
func (w *nodeWorker) streams(t *testing.T, window int) {
	t.Helper()
	sent := 0
	count := func(m wire.Message) int { sent += len(m.Data); return sent }
	got := w.exchange(t, func(b *wire.Batch) { b.AddRequest(nodeRequest("/", "size=250000", wire.BodyWhole), 5) },
		func(m wire.Message) bool { return count(m) == window })
	if got[0].Kind != wire.KindStart || got[1].Kind != wire.KindData {
		t.Errorf("a long answer begins with %+v", got[0])
	}
	// The answer to another request comes behind all that the window allowed.
	w.exchange(t, func(b *wire.Batch) { b.AddRequest(nodeRequest("/", "", wire.BodyWhole), 6) }, closes)
	got = w.exchange(t, func(b *wire.Batch) { b.AddCredit(5, 200_000) },
		func(m wire.Message) bool { count(m); return closes(m) })
	if last := got[len(got)-2:]; sent != 250_000 || last[0].Kind != wire.KindEnd || last[1].Kind != wire.KindDone {
		t.Errorf("after credit %d bytes in all, ending with %+v", sent, last)
	}
}

func (w *nodeWorker) takesBodies(t *testing.T) {
	t.Helper()
	asked := w.exchange(t, func(b *wire.Batch) { b.AddRequest(nodeRequest("/", "", wire.BodyOnRead), 7) },
		func(m wire.Message) bool { return m.Kind == wire.KindRead })
	if asked[0].N != wire.Window || asked[0].Stream != 7 {
		t.Errorf("a body on demand was asked for with %+v", asked)
	}
	got := w.exchange(t, func(b *wire.Batch) {
		b.AddBody(7, make([]byte, wire.MaxPiece), true)
		b.AddBody(7, []byte("end"), false)
	}, closes)
	if answer := got[len(got)-1]; !strings.Contains(string(answer.Data), "65539 bytes") {
		t.Errorf("a body in pieces was answered with %q", answer.Data)
	}
}
