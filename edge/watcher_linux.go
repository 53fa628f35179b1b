//go:build !portable

package edge

import (
	"context"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epoll watches many sockets with one epoll instance. Its own descriptor sits in the Go runtime's poller, so a
// goroutine waits for it as for any file: a blocking epoll_wait would hold a thread and, until the runtime notices, a
// processor.
type epoll struct {
	file   *os.File
	raw    syscall.RawConn
	fd     int
	events []unix.EpollEvent

	// mu guards the table. An event carries a slot's number and generation, because the event of a closed descriptor
	// can be in the batch that closed it.
	mu    sync.Mutex
	table []slot
	free  []uint32
}

type slot struct {
	conn       *conn
	due        int64 // when it has to be looked at again
	generation uint32
}

// watched is registered once for the connection's life: edge-triggered, so that no epoll_ctl is needed per request.
const watched = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// eventBatch is how many events are taken at once.
const eventBatch = 256

func newWatcher(*Server) (watcher, error) { //nolint:ireturn // the portable build returns another
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &epoll{file: file, raw: raw, fd: fd, events: make([]unix.EpollEvent, eventBatch)}, nil
}

func (e *epoll) add(c *conn) error {
	e.mu.Lock()
	n := uint32(len(e.table))
	if last := len(e.free) - 1; last >= 0 {
		n = e.free[last]
		e.free = e.free[:last]
	} else {
		e.table = append(e.table, slot{})
	}
	c.slot = uint64(n)
	e.table[n].conn, e.table[n].due = c, 0
	generation := e.table[n].generation
	e.mu.Unlock()
	return e.control(unix.EPOLL_CTL_ADD, c, generation)
}

// again sets what is registered already, upon which the kernel looks anew.
func (e *epoll) again(c *conn) {
	e.mu.Lock()
	generation := e.table[c.slot].generation
	e.mu.Unlock()
	_ = e.control(unix.EPOLL_CTL_MOD, c, generation) // fails for want of memory only; the next event helps then
}

func (e *epoll) control(op int, c *conn, generation uint32) error {
	event := unix.EpollEvent{Events: watched, Fd: int32(c.slot), Pad: int32(generation)}
	return unix.EpollCtl(e.fd, op, c.fd, &event)
}

// detach takes the descriptor out of the epoll instance by hand: closing one of two does not.
func (e *epoll) detach(c *conn) { _ = unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, c.fd, nil) }

// remove relies on close to take the descriptor out of the epoll instance: only after detach is there another one.
func (e *epoll) remove(c *conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.table[c.slot].conn = nil
	e.table[c.slot].generation++
	e.free = append(e.free, uint32(c.slot))
}

func (e *epoll) each(do func(*conn)) {
	for n := 0; ; n++ {
		e.mu.Lock()
		if n >= len(e.table) {
			e.mu.Unlock()
			return
		}
		c := e.table[n].conn
		e.mu.Unlock()
		if c != nil {
			do(c)
		}
	}
}

func (e *epoll) rest(c *conn, until int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.table[c.slot].due = until
}

func (e *epoll) hurry(c *conn) { e.rest(c, 0) }

// eachDue goes through the table, where the times stand side by side: a WebSocket that idles costs 24 bytes of it each
// second and is not touched itself. A wheel with a list for each second was the alternative. It would save the rest of
// the table's walk, 0.3 ms a second for 100,000 connections, for two pointers more in each (decision 0009).
func (e *epoll) eachDue(now int64, do func(*conn)) {
	var found [eventBatch]*conn
	for n := 0; ; {
		batch := found[:0]
		e.mu.Lock()
		for ; n < len(e.table) && len(batch) < len(found); n++ {
			if s := &e.table[n]; s.conn != nil && s.due <= now {
				batch = append(batch, s.conn)
			}
		}
		e.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, c := range batch {
			do(c)
		}
	}
}

func (e *epoll) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = e.file.Close() })
	defer stop()
	// Staying inside one Read keeps the runtime's notice of new events: entering it resets that notice, which is only
	// safe because events are looked for first.
	_ = e.raw.Read(func(uintptr) bool {
		for e.turn() {
		}
		return false
	})
}

// turn handles one batch and tells whether there was one.
func (e *epoll) turn() bool {
	n, err := unix.EpollWait(e.fd, e.events, 0)
	if n <= 0 || err != nil {
		return err == unix.EINTR
	}
	for i := range e.events[:n] {
		ev := &e.events[i]
		if c := e.lookup(ev); c != nil {
			c.onEvent(event{
				readable: ev.Events&unix.EPOLLIN != 0,
				ended:    ev.Events&unix.EPOLLRDHUP != 0,
				writable: ev.Events&unix.EPOLLOUT != 0,
				hangup:   ev.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0,
			})
		}
	}
	return true
}

func (e *epoll) lookup(ev *unix.EpollEvent) *conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := &e.table[ev.Fd]; s.generation == uint32(ev.Pad) {
		return s.conn
	}
	return nil
}

// readSocket and writeSocket never block, so they do without the runtime's bookkeeping around system calls, which costs
// some 50 ns each.
func readSocket(fd int, p []byte) (int, error) {
	start := unsafe.Pointer(unsafe.SliceData(p)) //nolint:gosec // the call's own form, rule 4 of package unsafe
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(start), uintptr(len(p)))
	return ioResult(n, errno)
}

func writeSocket(fd int, p []byte) (int, error) {
	start := unsafe.Pointer(unsafe.SliceData(p)) //nolint:gosec // as in readSocket
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(start), uintptr(len(p)),
		unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	return ioResult(n, errno)
}

func ioResult(n uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
