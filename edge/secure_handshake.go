package edge

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"backline/h1"
)

// A connection's handshake begins when the client's first record is whole: before that it costs no more than a plain
// one that is silent or slow. crypto/tls cannot put a handshake aside (there every error is final), so it has a
// goroutine of its own. Where that has to wait it waits for the watcher's word, like everything else here, and not in
// the runtime's poller, to which the socket would have to be introduced first. It takes the lock for each read and each
// write, and computes without.

// handshake is what there is while a handshake lasts.
type handshake struct {
	woken   chan struct{} // gets a value when the socket may have bytes
	gone    chan struct{} // closed with the connection
	counted bool          // it has one of the server's slots; its goroutine's
}

// handshakes is what they have in common.
type handshakes struct {
	slots   chan struct{} // has a value for every one that computes
	running sync.WaitGroup
	failed  atomic.Int64
}

// prepare says which protocols are offered (RFC 7301), and how many handshakes are computed at once.
func (h *handshakes) prepare(o *Options) {
	h.slots = make(chan struct{}, o.Handshakes)
	if o.TLS == nil {
		return
	}
	o.TLS.NextProtos = []string{"http/1.1"}
	if o.HTTP2 {
		o.TLS.NextProtos = []string{"h2", "http/1.1"}
	}
}

// wait ends what the last connections, which nobody's clock looks after any more, have left.
func (h *handshakes) wait(s *Server) {
	s.each(func(c *conn) {
		if c.isShaking() {
			c.cut()
		}
	})
	h.running.Wait()
}

// FailedHandshakes is how many TLS handshakes have come to nothing so far.
func (s *Server) FailedHandshakes() int64 { return s.handshakes.failed.Load() }

// helloRoom is the longest first record: header, content and what encryption adds (RFC 8446 5.2).
const helloRoom = 5 + 16<<10 + 256

func notTLS() *h1.Error {
	return &h1.Error{Status: 400, Reason: "this port speaks https, and what came is http"}
}

// readHello waits for the first record, and then lets the handshake have the connection.
func (c *conn) readHello() bool {
	if c.secure != nil {
		notify(c.secure.shaking.woken)
		return false
	}
	switch record := c.in[c.off:]; {
	case len(record) > 0 && record[0] >= 'A' && record[0] <= 'Z': // a method; TLS's types of records are below
		c.reject(notTLS())
		return true
	case isFirstRecord(record):
		begun := &handshake{woken: make(chan struct{}, 1), gone: make(chan struct{})}
		c.secure = &secure{conn: c, early: record, shaking: begun}
		c.secure.tls = tls.Server(c.secure, c.server.options.TLS)
		c.in, c.off = nil, 0
		c.server.handshakes.running.Go(c.secure.shake)
		return false
	}
	return c.fill(helloRoom)
}

// isFirstRecord tells whether crypto/tls can do something with what has come: it is a whole record, or none at all,
// which is for crypto/tls to refuse.
func isFirstRecord(b []byte) bool {
	const header, typeHandshake = 5, 22
	switch {
	case len(b) == 0:
		return false
	case b[0] != typeHandshake:
		return true
	case len(b) < header:
		return false
	}
	whole := header + int(b[3])<<8 + int(b[4])
	return len(b) >= whole || whole > helloRoom
}

// isShaking tells whether the connection's handshake has a goroutine.
func (c *conn) isShaking() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.secure != nil && c.secure.shaking != nil
}

// shake is the goroutine.
func (s *secure) shake() {
	s.enter()
	err := s.tls.Handshake()
	var state tls.ConnectionState
	if err == nil {
		state = s.tls.ConnectionState()
		s.about, s.certificate = describe(s.conn.server.options.TLS, &state)
	}
	s.leave()
	switch {
	case err != nil:
		s.fail(err)
	case state.NegotiatedProtocol == "h2":
		s.handOver()
	case state.NegotiatedProtocol == "acme-tls/1":
		s.park((*conn).linger) // the handshake was all that was wanted (RFC 8737 3)
	default:
		s.park((*conn).becomeSecure)
	}
}

// enter waits for a slot: handshakes that compute all at once would keep everybody else's requests waiting. False when
// the connection has ended.
func (s *secure) enter() bool {
	select {
	case s.conn.server.handshakes.slots <- struct{}{}:
		s.shaking.counted = true
	case <-s.shaking.gone:
	}
	return s.shaking.counted
}

// leave gives the slot back, for good or while the client has to be waited for: it may take as long as it likes about
// its half of the handshake, but then it is in nobody's way.
func (s *secure) leave() {
	if s.shaking.counted {
		s.shaking.counted = false
		<-s.conn.server.handshakes.slots
	}
}

// readWaiting is Read during the handshake.
func (s *secure) readWaiting(p []byte) (int, error) {
	c := s.conn
	for {
		n, err := 0, net.ErrClosed
		c.mu.Lock()
		if c.phase != phaseClosed {
			n, err = s.readNow(p)
		}
		c.mu.Unlock()
		if !errors.Is(err, syscall.EAGAIN) {
			return n, err
		}
		s.leave()
		select {
		case <-s.shaking.woken:
		case <-s.shaking.gone:
		}
		if !s.enter() {
			return 0, net.ErrClosed
		}
	}
}

// writeNow is Write during the handshake. What the socket does not take at once, resume sends.
func (s *secure) writeNow(p []byte) error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == phaseClosed {
		return net.ErrClosed
	}
	if err := s.seal(p); err != nil {
		return err
	}
	if err := s.flush(); !errors.Is(err, syscall.EAGAIN) {
		return err
	}
	return nil
}

// fail ends a connection whose handshake has failed. Port scans and clients that do not trust the certificate end here
// by the thousand, so it is counted and not worth a line of its own.
func (s *secure) fail(err error) {
	c := s.conn
	c.server.handshakes.failed.Add(1)
	c.server.options.Log.Debug("a TLS handshake failed", "client", c.client.Host, "error", err)
	c.mu.Lock()
	s.forget()
	if c.phase != phaseClosed {
		c.secure = nil
		c.linger() // until the client has seen the alert
	}
	c.proceed()
}

// park gives the connection to the watcher again; then says what becomes of it.
func (s *secure) park(then func(*conn)) {
	c := s.conn
	c.mu.Lock()
	if c.phase == phaseClosed {
		c.mu.Unlock()
		return
	}
	s.shaking = nil
	c.budget = turnBytes
	c.canRead = true // the first request may have come with the last of the handshake
	then(c)
	c.proceed()
	if c.server.draining.Load() {
		c.closeIfIdle()
	}
}

// becomeSecure begins with HTTP.
func (c *conn) becomeSecure() {
	c.phase = phaseIdle
	c.touch()
}

// handOver makes an ordinary net.Conn of a connection that speaks HTTP/2, which is net/http's. For the server's counts
// it stays what it is: a connection.
func (s *secure) handOver() {
	c := s.conn
	c.mu.Lock()
	if c.phase == phaseClosed {
		c.mu.Unlock()
		return
	}
	socket, err := c.netConn()
	if err != nil {
		c.server.options.Log.Error("a connection cannot be given to HTTP/2", "error", err)
		c.close()
		c.mu.Unlock()
		return
	}
	var rest []byte
	if s.sealed != nil {
		rest = append(rest, (*s.sealed)[s.sent:]...)
		s.forget()
	}
	s.socket, s.shaking, c.secure = socket, nil, nil
	s.release = c.passOn()
	c.watcher.detach(c)
	c.close()
	c.mu.Unlock()
	if len(rest) > 0 {
		_ = socket.SetWriteDeadline(time.Now().Add(c.server.options.WriteTimeout))
		if _, err := socket.Write(rest); err != nil {
			_ = s.Close()
			return
		}
		_ = socket.SetWriteDeadline(time.Time{})
	}
	c.server.adopt(s.tls, c.client, c.local)
}

// netConn gives the socket a second descriptor, which the runtime's poller watches.
func (c *conn) netConn() (net.Conn, error) {
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "client")
	defer file.Close()
	return net.FileConn(file)
}
