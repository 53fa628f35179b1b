package edge

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
	"unique"

	"backline"
)

// secure is the TLS of one connection, and the net.Conn below crypto/tls. That package is written for goroutines that
// wait, but it need not be used so: an error of Read that calls itself temporary, as EAGAIN does, is passed on and
// forgotten, and what has come of a record stays where it is (TestTLSForgetsTemporaryErrors). So after the handshake,
// which is different (secure_handshake.go), a connection is as idle as a plain one: it has no goroutine, and no buffer
// but crypto/tls's own. Errors of Write do end a tls.Conn. So Write takes everything, and nothing further is encrypted
// before that has left.
//
// Everything is under conn.mu, but for what secure_handshake.go says.
type secure struct {
	conn  *conn
	tls   *tls.Conn
	about *backline.TLS

	early  []byte  // read from the socket before crypto/tls was there to read it
	sealed *[]byte // ciphertext: (*sealed)[sent:] has not left; nil when there is none
	sent   int
	taken  int // how many bytes of what the caller transmits next are what sealed stands for

	shaking     *handshake            // until the handshake is over
	socket      net.Conn              // once the connection is not the watcher's any more
	closing     sync.Once             // of socket
	release     func()                // at its end
	certificate unique.Handle[string] // keeps about.Server one string for all connections
}

// sealedPiece is how much is encrypted at a time: two of TLS's largest records.
const sealedPiece = 32 << 10

// maxSealed bounds the ciphertext that waits: a piece, and what TLS itself has to say. It is reached by a client that
// asks for new keys again and again and does not take the answers.
const maxSealed = 128 << 10

var errSealed = errors.New("the client does not take what TLS has to say to it")

// receive is conn.receive for TLS. It fills p with as many records as there are, so that less than p means here too
// that nothing is left: not in the socket, and not in crypto/tls, for which no event would come.
func (s *secure) receive(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var some int
		some, err = s.tls.Read(p[n:])
		n += some
	}
	c := s.conn
	c.budget += n // which the caller counts; records of one byte, or of none, have cost more
	_ = s.flush() // TLS may have had something to say to that; if it has to wait, resume sends it
	switch {
	case err == nil:
		c.canRead = true
		return n, nil
	case n == 0 && errors.Is(err, io.EOF):
		return 0, nil
	case n == 0:
		return 0, err
	case !errors.Is(err, syscall.EAGAIN):
		c.canRead, c.ending = true, true // the next call gives the error again
	}
	return n, nil
}

// transmit is conn.transmit for TLS. Bytes count as sent when their ciphertext has left. So, after EAGAIN, p has to
// begin where the count ended, as the outbox does; then there is one queue with one limit, and whoever sees it empty
// knows that the client's kernel, or ours, has everything.
func (s *secure) transmit(p []byte) (n int, err error) {
	for {
		if err := s.flush(); err != nil {
			return n, err
		}
		n, s.taken = n+s.taken, 0
		if n == len(p) {
			return n, nil
		}
		if n >= turnBytes {
			s.conn.watcher.again(s.conn) // the socket takes more, so no event would come by itself
			return n, syscall.EAGAIN
		}
		piece := p[n:min(len(p), n+sealedPiece)]
		if _, err := s.tls.Write(piece); err != nil {
			return n, err
		}
		s.taken = len(piece)
	}
}

// flush sends ciphertext: EAGAIN when some of it has to wait.
func (s *secure) flush() error {
	for s.sealed != nil {
		n, err := writeSocket(s.conn.fd, (*s.sealed)[s.sent:])
		if err != nil {
			return err
		}
		if s.sent += n; s.sent == len(*s.sealed) {
			s.forget()
		}
	}
	return nil
}

// forget gives the ciphertext's buffer back.
func (s *secure) forget() {
	if s.sealed != nil {
		s.conn.server.recycleAnswer(s.sealed)
		s.sealed, s.sent = nil, 0
	}
}

// seal keeps ciphertext for flush.
func (s *secure) seal(p []byte) error {
	if s.sealed == nil {
		s.sealed = s.conn.server.answerBuffer()
		*s.sealed = (*s.sealed)[:0]
	}
	if len(*s.sealed)-s.sent+len(p) > maxSealed {
		return errSealed
	}
	*s.sealed = append(*s.sealed, p...)
	return nil
}

// resume sends ciphertext when the socket takes some again. False: the connection is dead.
func (s *secure) resume() bool {
	if s.sealed == nil {
		return true
	}
	err := s.flush()
	if err == nil && s.conn.phase == phaseLinger {
		s.conn.endOutput()
	}
	return err == nil || errors.Is(err, syscall.EAGAIN)
}

// finish says close_notify (RFC 8446 6.1), so that the client knows that nothing has been cut off. False: some of what
// was said before, or this, has to wait for resume.
func (s *secure) finish() bool {
	_ = s.tls.CloseWrite()
	return !errors.Is(s.flush(), syscall.EAGAIN)
}

// end is the end of the connection. There is no waiting any more: if the socket has no room for close_notify, the
// client has more to read than it wants to.
func (s *secure) end() {
	if s.shaking != nil {
		close(s.shaking.gone)
	} else if !s.conn.broken {
		s.finish()
	}
	s.forget()
}

// Read implements net.Conn, for crypto/tls alone.
func (s *secure) Read(p []byte) (int, error) {
	switch {
	case len(s.early) > 0:
		n := copy(p, s.early)
		if s.early = s.early[n:]; len(s.early) == 0 {
			s.early = nil
		}
		return n, nil
	case s.socket != nil:
		return s.socket.Read(p)
	case s.shaking != nil:
		return s.readWaiting(p)
	}
	c := s.conn
	if !c.canRead || c.pause() {
		return 0, syscall.EAGAIN // the last read has emptied the socket, which saves a call per request; or it has to wait
	}
	n, err := s.readNow(p)
	c.canRead = n > 0 && c.mayHaveMore(n, len(p))
	c.budget -= n
	return n, err
}

// readNow reads what the socket has.
func (s *secure) readNow(p []byte) (int, error) {
	n, err := readSocket(s.conn.fd, p)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return max(n, 0), err
}

// Write implements net.Conn, for crypto/tls alone.
func (s *secure) Write(p []byte) (int, error) {
	var err error
	switch {
	case s.socket != nil:
		return s.socket.Write(p)
	case s.shaking != nil:
		err = s.writeNow(p)
	default:
		err = s.seal(p)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// LocalAddr implements net.Conn. Who chooses certificates may ask.
func (s *secure) LocalAddr() net.Addr { return tcpAddr(s.conn.local) }

// RemoteAddr implements net.Conn.
func (s *secure) RemoteAddr() net.Addr { return tcpAddr(s.conn.client) }

func tcpAddr(a backline.Addr) net.Addr { return &net.TCPAddr{IP: net.ParseIP(a.Host), Port: a.Port} }

// SetDeadline implements net.Conn. The server's clock looks after the deadlines of what the watcher has.
func (s *secure) SetDeadline(t time.Time) error {
	if s.socket == nil {
		return nil
	}
	return s.socket.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (s *secure) SetReadDeadline(t time.Time) error {
	if s.socket == nil {
		return nil
	}
	return s.socket.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn. crypto/tls sets one for its close_notify.
func (s *secure) SetWriteDeadline(t time.Time) error {
	if s.socket == nil {
		return nil
	}
	return s.socket.SetWriteDeadline(t)
}

// Close implements net.Conn, for whoever adopted the connection.
func (s *secure) Close() (err error) {
	if s.socket != nil {
		s.closing.Do(func() {
			err = s.socket.Close()
			s.release()
		})
	}
	return err
}
