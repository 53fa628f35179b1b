package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"backline"
)

// Listener is one address that is listened on.
type Listener struct {
	net.Listener
	Name string // as people write it: "http://127.0.0.1:8000", "unix:/run/app.sock"
	// Plain listeners speak HTTP without TLS though Options.TLS is set. Unix sockets are Plain unless somebody changes it.
	Plain bool

	local    backline.Addr
	closed   atomic.Bool
	accepted atomic.Uint64
	anywhere bool            // it listens on every address, so each connection's own has to be asked for
	file     *os.File        // on Linux, what is accepted from
	raw      syscall.RawConn // of file
	packets  net.PacketConn  // the UDP port for HTTP/3; nil without, and once it is served
}

// Close stops listening.
func (l *Listener) Close() error {
	l.closed.Store(true)
	if l.file != nil {
		_ = l.file.Close()
	}
	if l.packets != nil {
		_ = l.packets.Close()
	}
	return l.Listener.Close()
}

// Listen opens an address: "HOST:PORT", ":PORT", "[::1]:PORT", "unix:PATH" (with mode, replacing a socket that nobody
// listens on) or "fd://N". The error says what is in the way and what to do.
func Listen(ctx context.Context, address string, mode os.FileMode) (*Listener, error) {
	l, err := listen(ctx, address, mode)
	if err != nil {
		return nil, explainBind(address, err)
	}
	opened := newListener(l)
	if err := opened.open(); err != nil {
		_ = opened.Close()
		return nil, explainBind(address, err)
	}
	return opened, nil
}

func listen(ctx context.Context, address string, mode os.FileMode) (net.Listener, error) {
	if number, ok := strings.CutPrefix(address, "fd://"); ok {
		return inherit(number)
	}
	config := net.ListenConfig{Control: beforeBind}
	path, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return config.Listen(ctx, "tcp", address)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// inherit takes a listening socket over from whoever started us.
func inherit(number string) (net.Listener, error) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%q is not the number of a file descriptor", number)
	}
	file := os.NewFile(uintptr(n), "fd://"+number)
	if file == nil {
		return nil, syscall.EBADF
	}
	defer file.Close()
	l, err := net.FileListener(file)
	if tcp, ok := l.(*net.TCPListener); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = beforeBind("tcp", "", raw) // without these options it is a little slower, and that is all
		}
	}
	return l, err
}

// removeStale removes a socket file that is left from a process that has gone; one that answers stays.
func removeStale(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return nil //nolint:nilerr // nothing there, or not a socket: binding will say what is wrong
	}
	probe, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = probe.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return syscall.EADDRINUSE // busy, or not ours to connect to; either way it is somebody's
	}
	return os.Remove(path)
}

// beforeBind sets options that accepted sockets inherit, which saves setting them on each.
func beforeBind(network, _ string, raw syscall.RawConn) error {
	if strings.HasPrefix(network, "unix") {
		return nil
	}
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = errors.Join(
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1),
		)
	})
	return errors.Join(err, failed)
}

// Address is where the listener is, as applications are told (SERVER_NAME, SERVER_PORT).
func (l *Listener) Address() backline.Addr { return l.local }

func newListener(l net.Listener) *Listener {
	switch a := l.Addr().(type) {
	case *net.TCPAddr:
		local := backline.Addr{Host: a.IP.String(), Port: a.Port}
		return &Listener{Listener: l, Name: "http://" + a.String(), local: local, anywhere: a.IP.IsUnspecified()}
	default:
		return &Listener{Listener: l, Name: "unix:" + a.String(), local: backline.Addr{Host: a.String()}, Plain: true}
	}
}

// explainBind turns the system's word into an instruction.
func explainBind(address string, err error) error {
	e := &backline.Error{Op: "bind " + address, Code: backline.CodeBind, Err: err}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.Message, e.Err = "another process already listens there", nil
		e.Hint = "stop it, or choose another address with --bind; `ss -ltnp` shows who listens"
	case errors.Is(err, syscall.EACCES):
		e.Message, e.Err = "this user may not listen there", nil
		e.Hint = "use a port above 1023, or give the binary the right: setcap cap_net_bind_service=+ep"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.Message, e.Err = "this machine has no such address", nil
		e.Hint = "0.0.0.0 listens on every IPv4 address, [::] on every address"
	case errors.Is(err, os.ErrNotExist):
		e.Message, e.Err = "the folder does not exist", nil
		e.Hint = "create it, or choose another path"
	case errors.Is(err, syscall.EBADF), errors.Is(err, syscall.ENOTSOCK):
		e.Message, e.Err = "that file descriptor is no listening socket", nil
		e.Hint = "whoever starts the server must pass one on"
	default:
		e.Message = "cannot listen there"
	}
	return e
}

// accept takes connections until ctx ends. One that is beyond the limit waits for another to end, and idle ones are
// closed in its favour: only then, because nobody needs their room before somebody has come.
func (l *Listener) accept(ctx context.Context, s *Server) error {
	watchers := *s.watchers.Load()
	for n := 0; ; n++ {
		c, err := l.next(s)
		switch {
		case err == nil:
			l.accepted.Add(1)
			c.watcher = watchers[n%len(watchers)]
			c.parser.Limits = s.options.Head
			if s.options.TLS != nil && !l.Plain {
				c.first = phaseSecure
			}
			c.phase = c.first
			if s.options.Gate.Announced {
				c.phase = phaseAnnounced
			}
			s.connected.Add(1)
			if !s.enter(c) {
				c.release()
				continue
			}
			if !s.waitForRoom(ctx) {
				c.release()
				return nil
			}
			s.admit(c)
		case l.closed.Load():
			return nil
		case errors.Is(err, syscall.EBADF), errors.Is(err, syscall.ENOTSOCK), errors.Is(err, syscall.EINVAL):
			return explainBind(l.Name, err)
		case errors.Is(err, syscall.ECONNABORTED):
		default:
			// Mostly EMFILE or ENOMEM; but Linux also reports here what befell the network of the one who connected
			// (accept(2)), and nothing of that is a reason to stop serving the others.
			s.options.Log.Warn("a connection could not be accepted; new ones wait a moment", "error", err)
			s.makeRoom()
			select {
			case <-time.After(tick):
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// waitForRoom waits until there are not too many connections, the new one included. False when ctx ends before.
func (s *Server) waitForRoom(ctx context.Context) bool {
	for s.connected.Load() > int64(s.options.MaxConnections) {
		s.makeRoom()
		if s.connected.Load() <= int64(s.options.MaxConnections) {
			break
		}
		select {
		case <-s.roomy:
		case <-ctx.Done():
			return false
		case <-time.After(tick):
		}
	}
	return true
}

// admit begins to serve a new connection.
func (s *Server) admit(c *conn) {
	c.mu.Lock()
	c.budget = turnBytes
	if err := c.watcher.add(c); err != nil {
		s.options.Log.Error("a connection cannot be watched", "error", err)
		c.close()
	}
	c.mu.Unlock()
	if s.draining.Load() {
		c.closeIfIdle() // drain may have looked for idle ones before this one could be found
	}
}

// makeRoom closes idle connections so that new clients can come: limits count requests, never those who merely keep a
// connection open. Those that have idled longest go first, a hundredth at a time.
func (s *Server) makeRoom() {
	limit, closed := max(1, s.options.MaxConnections/100), 0
	now := s.clock.Load()
	// Those that have only just come are spared: their first request may be under way.
	for age := s.options.KeepAlive; closed < limit && age > 2*tick; age /= 2 {
		s.each(func(c *conn) {
			if closed < limit && c.idleFor(now) >= age/2 && c.closeIfIdle() {
				closed++
			}
		})
		s.http2.carriers.each(func(c *carrier) {
			if closed < limit && c.closeIfIdle(now, age/2) {
				closed++
			}
		})
		s.http3.sessions.each(func(one *quicSession) {
			if closed < limit && one.closeIfIdle(now, age/2) {
				closed++
			}
		})
	}
}
