package dispatch

import (
	"errors"
	"syscall"
)

// isReset tells whether the other end went without a word, as a killed process does.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
