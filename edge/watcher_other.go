//go:build !linux || portable

package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"backline"
)

// goroutines watches each socket with a goroutine of its own, by the Go runtime's poller.
type goroutines struct {
	mu    sync.Mutex
	conns map[*conn]struct{}
}

func newWatcher(*Server) (watcher, error) { //nolint:ireturn // the build with epoll returns another
	return &goroutines{conns: map[*conn]struct{}{}}, nil
}

func (g *goroutines) add(c *conn) error {
	g.mu.Lock()
	g.conns[c] = struct{}{}
	g.mu.Unlock()
	go c.watchReads()
	go c.watchWrites()
	return nil
}

func (g *goroutines) remove(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

func (g *goroutines) detach(*conn) {}

func (g *goroutines) rest(*conn, int64) {}

func (g *goroutines) hurry(*conn) {}

func (g *goroutines) eachDue(_ int64, do func(*conn)) { g.each(do) }

func (g *goroutines) again(c *conn) { go c.onEvent(event{readable: true, writable: true}) }

func (g *goroutines) each(do func(*conn)) {
	g.mu.Lock()
	all := make([]*conn, 0, len(g.conns))
	for c := range g.conns {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		do(c)
	}
}

func (g *goroutines) run(ctx context.Context) { <-ctx.Done() }

// watchReads stays inside one Read for the connection's life: entering it anew resets the runtime's notice of bytes
// that have come in between.
func (c *conn) watchReads() {
	_ = c.raw.Read(func(uintptr) bool {
		c.onEvent(event{readable: true})
		return c.isClosed()
	})
}

func (c *conn) watchWrites() {
	_ = c.raw.Write(func(uintptr) bool {
		c.onEvent(event{writable: true})
		return c.isClosed()
	})
}

func (c *conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == phaseClosed || c.phase == phaseGiven
}

func (l *Listener) open() error { return nil }

func (l *Listener) next(s *Server) (*conn, error) {
	accepted, err := l.Accept()
	if err != nil {
		return nil, err
	}
	c, err := s.wrapConn(accepted, s.left)
	if err == nil {
		c.client, c.local = addressOf(accepted.RemoteAddr()), addressOf(accepted.LocalAddr())
	}
	return c, err
}

// wrap makes a connection of a descriptor, which it takes over. left is called when that is closed.
func (s *Server) wrap(fd int, left func()) (*conn, error) {
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close()
	socket, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return s.wrapConn(socket, left)
}

func (s *Server) wrapConn(accepted net.Conn, left func()) (*conn, error) {
	socket, ok := accepted.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("expected a connection with a socket, got a %T", accepted)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{server: s, raw: raw, since: s.clock.Load()}
	if err := raw.Control(func(fd uintptr) { c.fd = int(fd) }); err != nil {
		return nil, err
	}
	c.body.done = true
	c.release = func() {
		// On a goroutine of its own: Close waits for the two that watch, and one of them is likely to be the caller.
		go func() {
			_ = accepted.Close()
			left()
		}()
	}
	return c, nil
}

func addressOf(a net.Addr) backline.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return backline.Addr{Host: tcp.IP.String(), Port: tcp.Port}
	}
	return backline.Addr{}
}

func readSocket(fd int, p []byte) (int, error) { return retry(syscall.Read, fd, p) }

func writeSocket(fd int, p []byte) (int, error) { return retry(syscall.Write, fd, p) }

func retry(call func(int, []byte) (int, error), fd int, p []byte) (int, error) {
	for {
		n, err := call(fd, p)
		if !errors.Is(err, syscall.EINTR) {
			return max(n, 0), err
		}
	}
}
