package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// memory is the resident memory of a process in bytes, 0 if it cannot be read (the process has just ended). Pages
// shared with other processes count fully, as in ps and in every other server's limit; the proportional share would
// need a walk over all mappings (smaps_rollup, milliseconds for a large process).
func memory(pid int) int64 {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(statm) // size resident shared text lib data dt, in pages
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
