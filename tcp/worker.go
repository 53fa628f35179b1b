package tcp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"backline/wire"
)

// Retirement is why the server wants a worker replaced.
type Retirement string

// The reasons.
const (
	RetireMaxConnections Retirement = "max-requests"
	RetireProtocol       Retirement = "protocol"
)

// Worker is the connection to one worker process. Its methods are those of a supervisor's Link.
type Worker struct {
	name        string
	server      *Server
	conn        *net.UnixConn
	codec       wire.Codec
	concurrency int
	retire      func(Retirement)
	idle        chan struct{} // closed when it drains and has nothing left, or has gone

	sending sync.Mutex // a packet and its descriptor go out in one piece

	// Guarded by Server.mu.
	open     map[uint32]chan struct{} // what it has; each is closed when it is over
	served   uint64                   // how many there were, those that are open included
	next     uint32                   // a stream's number
	rest     int                      // connections until it is to be replaced, -1 for never
	draining bool
	ended    bool // idle is closed
}

// Attach adds a worker that is up. name is for logs; retire is called, on its own goroutine, when the worker should be
// replaced. The server owns the connection from now on.
func (s *Server) Attach(name string, hello wire.Hello, up wire.Up, conn net.Conn, retire func(Retirement)) *Worker {
	w := &Worker{
		name: name, server: s, codec: hello.Codec, concurrency: up.Concurrency, retire: retire,
		idle: make(chan struct{}), open: map[uint32]chan struct{}{}, rest: -1,
	}
	if most := s.options.MaxConnections; most > 0 {
		w.rest = most + rand.IntN(s.options.MaxConnectionsJitter+1)
	}
	w.conn, _ = conn.(*net.UnixConn) // the supervisor makes no other
	s.mu.Lock()
	s.workers, s.live = append(s.workers, w), append(s.live, w)
	s.change()
	s.mu.Unlock()
	go w.read()
	return w
}

// take opens a stream. over is closed when the worker has done with it. The caller holds the server's lock.
func (w *Worker) take() (stream uint32, over <-chan struct{}) {
	for {
		stream = w.next
		w.next = (w.next + 1) & 0x7fffffff
		if w.open[stream] == nil {
			break
		}
	}
	w.open[stream] = make(chan struct{})
	w.served++
	if w.rest > 0 {
		if w.rest--; w.rest == 0 {
			go w.retire(RetireMaxConnections)
		}
	}
	return stream, w.open[stream]
}

// patience is how long a worker may leave what it is sent unread: its reading thread, or its hub, does nothing else for
// long.
const patience = 10 * time.Second

// give hands a connection's descriptor over. The caller closes its own.
func (w *Worker) give(stream uint32, client netip.AddrPort, conn any) {
	var packet wire.Batch
	packet.Reset(w.codec)
	packet.AddConnect(stream, client)
	err := withDescriptor(conn, func(descriptor int) error { return w.send(packet.Packet(), descriptor) })
	if err != nil {
		w.server.options.Log.Warn("a connection could not be given to its worker, and is closed", "worker", w.name,
			"client", client.String(), "error", err)
		w.close(stream)
	}
}

// withDescriptor lends the descriptor of a connection or a file.
func withDescriptor(of any, do func(descriptor int) error) error {
	socket, hasOne := of.(syscall.Conn)
	if !hasOne {
		return fmt.Errorf("expected a connection with a descriptor, got a %T", of)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(descriptor uintptr) { failed = do(int(descriptor)) })
	return errors.Join(err, failed)
}

// send writes a packet, with descriptors.
func (w *Worker) send(packet []byte, descriptors ...int) error {
	var rights []byte
	if len(descriptors) > 0 {
		rights = syscall.UnixRights(descriptors...)
	}
	w.sending.Lock()
	defer w.sending.Unlock()
	_ = w.conn.SetWriteDeadline(time.Now().Add(patience))
	n, _, err := w.conn.WriteMsgUnix(packet, rights, nil)
	if err == nil && n < len(packet) { // the kernel takes so few bytes whole or not at all
		_, err = w.conn.Write(packet[n:])
	}
	if err != nil {
		_ = w.conn.Close() // half a packet may have gone out; the worker ends when it sees the end
	}
	return err
}

// close ends a stream. False if it is not open.
func (w *Worker) close(stream uint32) bool {
	s := w.server
	s.mu.Lock()
	over := w.open[stream]
	if over != nil {
		delete(w.open, stream)
		close(over)
		s.change()
	}
	last := w.finish()
	s.mu.Unlock()
	w.stop(last)
	return over != nil
}

// Drain keeps new connections away; Idle closes when the last one has ended.
func (w *Worker) Drain() {
	s := w.server
	s.mu.Lock()
	w.draining = true
	s.remove(w)
	last := w.finish()
	s.mu.Unlock()
	w.stop(last)
}

// finish tells whether it is now that a draining worker has nothing left. The caller holds the server's lock.
func (w *Worker) finish() bool {
	if !w.draining || w.ended || len(w.open) > 0 {
		return false
	}
	w.ended = true
	return true
}

// stop tells a worker that has nothing left to end. It does not wait long: such a worker has read all that was sent.
func (w *Worker) stop(last bool) {
	if !last {
		return
	}
	var packet wire.Batch
	packet.Reset(w.codec)
	packet.Add(wire.KindStop, 0)
	_ = w.send(packet.Packet()) // a worker that has gone needs no word
	close(w.idle)
}

// Calm is closed as Idle is: what is no request needs no other time.
func (w *Worker) Calm() <-chan struct{} { return w.idle }

// Idle is closed when a draining worker has no connection left and has been told to stop, or has gone.
func (w *Worker) Idle() <-chan struct{} { return w.idle }

// Sockets is 0: these are WebSockets, which may outlive the graceful timeout.
func (w *Worker) Sockets() int { return 0 }

// CloseSockets does nothing, for the same reason.
func (w *Worker) CloseSockets(int) {}

// Close ends the connection, for a worker whose process has gone. The reader first takes what it had sent.
func (w *Worker) Close() { _ = w.conn.SetReadDeadline(time.Now().Add(time.Second)) }

// read takes what the worker says until its connection ends.
func (w *Worker) read() {
	defer w.down()
	reader := wire.NewReader(w.conn)
	var messages wire.Messages
	var m wire.Message
	for {
		payload, err := reader.Next()
		if err != nil {
			return
		}
		if err = messages.Open(payload); err == nil {
			for more := true; more && err == nil; {
				if more, err = messages.Next(&m); more && err == nil {
					err = w.hear(&m)
				}
			}
		}
		if err != nil {
			w.server.options.Log.Error("worker breaks the protocol", "worker", w.name, "error", err)
			go w.retire(RetireProtocol)
			return
		}
	}
}

func (w *Worker) hear(m *wire.Message) error {
	switch {
	case m.Kind == wire.KindAlive:
		return nil
	case m.Kind != wire.KindDone:
		return fmt.Errorf("a message of kind %d; expected DONE (%d) alone in a pool of connections", m.Kind, wire.KindDone)
	case !w.close(m.Stream):
		return fmt.Errorf("DONE for connection %d, which is not open", m.Stream)
	}
	return nil
}

// down deals with a worker whose connection has ended.
func (w *Worker) down() {
	_ = w.conn.Close()
	s := w.server
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(w)
	s.live = slices.DeleteFunc(s.live, func(each *Worker) bool { return each == w })
	for stream, over := range w.open {
		delete(w.open, stream)
		close(over)
	}
	w.draining = true
	if w.finish() {
		close(w.idle)
	}
	s.change()
}
