//go:build !portable

package edge

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendFile sends n bytes of a file from at on, inside the kernel. Unlike readSocket it tells the runtime that it may
// take long: bytes that are not in memory come from a disk.
func sendFile(fd, file int, at int64, n int) (int, error) {
	for {
		sent, err := unix.Sendfile(fd, file, &at, n)
		if err != unix.EINTR {
			return max(sent, 0), err
		}
	}
}

// cannotSendFile tells whether an error of sendFile says that this file system, or kernel, cannot do it at all.
func cannotSendFile(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)
}

// writeAhead is writeSocket for bytes that a file follows at once: the kernel waits for it, rather than send a small
// packet by itself.
func writeAhead(fd int, p []byte) (int, error) {
	start := unsafe.Pointer(unsafe.SliceData(p)) //nolint:gosec // as in readSocket
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(start), uintptr(len(p)),
		unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT|unix.MSG_MORE, 0, 0)
	return ioResult(n, errno)
}
