//go:build !linux

package supervisor

import (
	"os/exec"
	"strconv"
	"strings"
)

// memory is the resident memory of a process in bytes, 0 if it cannot be read. ps costs milliseconds, but it is the
// only way without cgo that all other systems share, and it is asked every few seconds at most.
func memory(pid int) int64 {
	text, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0
	}
	kibibytes, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return kibibytes << 10
}
