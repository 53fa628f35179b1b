package supervisor

import (
	"errors"

	"golang.org/x/sys/unix"
)

// watchEnd returns when the process has ended, also if nobody reaps it: in a container the first process often does
// not. It is false where the kernel cannot tell (before 5.3, or forbidden).
func watchEnd(pid int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer func() { _ = unix.Close(fd) }()
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
