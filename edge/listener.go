package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"backline"
)

// Listener is one address that is listened on.
type Listener struct {
	net.Listener
	Name string // as people write it: "http://127.0.0.1:8000", "unix:/run/app.sock"

	local    backline.Addr
	anywhere bool            // it listens on every address, so each connection's own has to be asked for
	file     *os.File        // on Linux, what is accepted from
	raw      syscall.RawConn // of file
}

// Close stops listening.
func (l *Listener) Close() error {
	if l.file != nil {
		_ = l.file.Close()
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
	if err == nil {
		err = os.Chmod(path, mode)
	}
	return l, err
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
	return net.FileListener(file)
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
		return syscall.EADDRINUSE
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
		return &Listener{Listener: l, Name: "unix:" + a.String(), local: backline.Addr{Host: a.String()}}
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

// accept takes connections until ctx ends. At the limit it waits for one to end, and helps by closing idle ones.
func (l *Listener) accept(ctx context.Context, s *Server) error {
	for n := 0; ; n++ {
		for s.connected.Load() >= int64(s.options.MaxConnections) {
			s.makeRoom()
			select {
			case <-s.roomy:
			case <-ctx.Done():
				return nil
			case <-time.After(tick):
			}
		}
		c, err := l.next(s)
		switch {
		case err == nil:
			c.watcher = s.watchers[n%len(s.watchers)]
			s.connected.Add(1)
			if err := c.watcher.add(c); err != nil {
				s.options.Log.Error("a connection cannot be watched", "error", err)
			}
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrClosed):
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.ENOBUFS):
			s.options.Log.Warn("out of descriptors or memory; new connections wait", "error", err)
			s.makeRoom()
			select {
			case <-time.After(tick):
			case <-ctx.Done():
				return nil
			}
		case errors.Is(err, syscall.ECONNABORTED):
		default:
			return explainBind(l.Name, err)
		}
	}
}

// makeRoom closes idle connections so that new clients can come: limits count requests, never those who merely keep a
// connection open. Those that have idled longest go first, a hundredth at a time.
func (s *Server) makeRoom() {
	limit, closed := max(1, s.options.MaxConnections/100), 0
	now := s.clock.Load()
	for age := int64(s.options.KeepAlive); closed < limit && age > 0; age /= 2 {
		s.each(func(c *conn) {
			c.mu.Lock()
			if closed < limit && c.phase == phaseIdle && now-c.since >= age/2 {
				c.close()
				closed++
			}
			c.mu.Unlock()
		})
	}
}
