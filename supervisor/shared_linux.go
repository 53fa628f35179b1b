package supervisor

import (
	"os"

	"golang.org/x/sys/unix"
)

// anonymousFile gives a file that is nothing but memory, so that no disk ever hears of the marks.
func anonymousFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("backline-begun", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "backline-begun"), nil
}
