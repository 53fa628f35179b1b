package supervisor

import (
	"time"

	"golang.org/x/sys/unix"
)

// shortestSlice is the least that the kernel takes.
const shortestSlice = 100 * time.Microsecond

// shortenSlice has a process that computes give way at once to whoever wakes up on its processor, as a thread that has
// a request to answer does. Else it keeps the processor until its slice of some milliseconds is over, however nice it
// is; its share of the processor, which the niceness tells, stays what it was (sched_setattr(2), Linux 6.12; older
// ones take it and do nothing). It is a wish: where it is refused, requests wait a little longer.
func shortenSlice(pid int) {
	attr, err := unix.SchedGetAttr(pid, 0)
	if err != nil {
		return
	}
	attr.Runtime = uint64(shortestSlice)
	_ = unix.SchedSetAttr(pid, attr, 0)
}
