//go:build !linux || portable

package edge

import "syscall"

// sendFile does nothing here: files are sent by copying them.
func sendFile(int, int, int64, int) (int, error) { return 0, syscall.ENOSYS }

func cannotSendFile(error) bool { return true }

func writeAhead(fd int, p []byte) (int, error) { return writeSocket(fd, p) }
