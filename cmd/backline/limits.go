package main

import (
	"fmt"
	"syscall"

	"backline"
	"backline/config"
)

// What a server needs of its open files besides clients' connections: listeners, logs and temporary files; two
// sockets and two pipes for each worker, twice while one is replaced.
const (
	filesOfServer = 100
	filesOfWorker = 8
)

// capacity is how many clients may be connected.
type capacity struct {
	connections int
	files       int // what ulimit -n allows, if that is what decides; else 0
}

// measure takes the smaller of what the settings say and what the system allows. The Go runtime has raised the soft
// limit to the hard one when the process started (and gives workers the old one).
func measure(c *config.Config) (capacity, error) {
	wanted, remembered := c.LimitConnections, 0
	if len(c.Static) > 0 {
		remembered = c.StaticOpenFiles
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return capacity{connections: wanted}, nil //nolint:nilerr // without a limit that can be read there is none to keep
	}
	return capacityOf(wanted, c.Workers, remembered, uint64(limit.Cur)) //nolint:unconvert // signed on some systems
}

func capacityOf(wanted, workers, remembered int, files uint64) (capacity, error) {
	reserved := uint64(max(filesOfServer, filesOfWorker*workers) + remembered)
	if files <= reserved {
		return capacity{}, &backline.Error{
			Op: "start", Code: backline.CodeUsage,
			Message: fmt.Sprintf("%d open files are allowed, and the server and its workers need %d without a single client",
				files, reserved),
			Hint: "raise the limit: ulimit -n 65536, or LimitNOFILE=65536 in a systemd unit",
		}
	}
	if room := files - reserved; uint64(wanted) > room {
		return capacity{connections: int(room), files: int(files)}, nil
	}
	return capacity{connections: wanted}, nil
}
