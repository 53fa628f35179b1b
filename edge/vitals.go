package edge

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Vitals looks whether a server still does its work, for a watchdog. It belongs to one goroutine.
type Vitals struct {
	server  *Server
	waiting map[*Listener]uint64 // where a client waited at the last look, and how many had been let in then
}

// Vitals begins to look. It is called after Run.
func (s *Server) Vitals() *Vitals { return &Vitals{server: s, waiting: map[*Listener]uint64{}} }

// maxStandstill is how long the clock may stand still. It also looks at every connection's deadline, so it stands where
// one of them is locked for ever. On a machine with twelve processes for two processors it has stood for 2 s.
const maxStandstill = 40 * tick

// Check says what is wrong: the clock stands still, or a client has been waiting at a listener since the last look and
// nobody has been let in there.
func (v *Vitals) Check(listeners []*Listener) error {
	s := v.server
	if s.draining.Load() {
		return nil
	}
	if late := time.Since(time.Unix(0, s.clock.Load())); late > maxStandstill {
		return fmt.Errorf("the clock of the connections has stood still for %v", late.Round(time.Second))
	}
	full := s.connected.Load() >= int64(s.options.MaxConnections)
	for _, l := range listeners {
		accepted := l.accepted.Load()
		before, waited := v.waiting[l]
		delete(v.waiting, l)
		if full || !l.hasWaiting() {
			continue
		}
		if waited && before == accepted {
			return fmt.Errorf("clients wait at %s, and nobody lets them in", l.Name)
		}
		v.waiting[l] = accepted
	}
	return nil
}

// hasWaiting tells whether the kernel holds a connection that has not been accepted.
func (l *Listener) hasWaiting() (waiting bool) {
	socket, ok := l.Listener.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(polled, 0)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll(polled, 0)
		}
		waiting = n > 0 && err == nil
	})
	return waiting
}
