//go:build !portable

package edge

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"backline"
)

// open duplicates the listening socket into a file, which the runtime's poller lets us read as we like; a net.Listener
// refuses that.
func (l *Listener) open() error {
	socket, ok := l.Listener.(interface{ File() (*os.File, error) })
	if !ok {
		return fmt.Errorf("expected a listener on a TCP or Unix socket, got a %T", l.Listener)
	}
	file, err := socket.File()
	if err != nil {
		return err
	}
	l.file = file
	l.raw, err = file.SyscallConn()
	return err
}

// next accepts one connection as a bare descriptor: a net.Conn would cost half a kilobyte for nothing that we use.
func (l *Listener) next(s *Server) (*conn, error) {
	var fd int
	var peer unix.Sockaddr
	var failed error
	err := l.raw.Read(func(listening uintptr) bool {
		for failed = unix.EINTR; failed == unix.EINTR; {
			fd, peer, failed = unix.Accept4(int(listening), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		}
		return failed != unix.EAGAIN
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	c, err := s.wrap(fd, s.left)
	c.client, c.local = peerAddress(peer), l.local
	if a, ok := localOf(fd); l.anywhere && ok {
		c.local = a
	}
	return c, err
}

// wrap makes a connection of a descriptor, which it takes over. left is called when that is closed.
func (s *Server) wrap(fd int, left func()) (*conn, error) {
	c := &conn{server: s, fd: fd, since: s.clock.Load()}
	c.body.done = true
	c.release = func() {
		_ = unix.Close(fd)
		left()
	}
	return c, nil
}

// localOf is the address that the client connected to: a listener on 0.0.0.0 has many.
func localOf(fd int) (backline.Addr, bool) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return backline.Addr{}, false
	}
	a := peerAddress(sa)
	return a, a.Port != 0
}

func peerAddress(sa unix.Sockaddr) backline.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return backline.Addr{Host: netip.AddrFrom4(sa.Addr).String(), Port: sa.Port}
	case *unix.SockaddrInet6:
		return backline.Addr{Host: netip.AddrFrom16(sa.Addr).Unmap().String(), Port: sa.Port}
	}
	return backline.Addr{}
}
