package systemd

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"backline"
)

// Socket is a socket that systemd has opened for this process.
type Socket struct {
	FD   int
	Name string // FileDescriptorName= of its unit, by default the unit's own name; may be empty
}

// firstSocket is the descriptor where systemd begins, behind standard input, output and error.
const firstSocket = 3

// mostSockets is beyond what anybody listens on, and below what a number in an environment may say.
const mostSockets = 1024

// Sockets gives the sockets that environ says were passed to the process with number pid: none where systemd did not
// start it. They are kept from processes that this one starts.
func Sockets(environ []string, pid int) ([]Socket, error) {
	count := lookup(environ, "LISTEN_FDS")
	if count == "" || !forUs(environ, "LISTEN_PID", pid) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > mostSockets {
		return nil, &backline.Error{
			Op: "take over systemd's sockets", Code: backline.CodeBind,
			Message: fmt.Sprintf("LISTEN_FDS=%s is no number of sockets from 0 to %d", count, mostSockets),
			Hint:    "unset it, or name the addresses with --bind",
		}
	}
	names := strings.Split(lookup(environ, "LISTEN_FDNAMES"), ":")
	sockets := make([]Socket, 0, n)
	for i := range n {
		socket := Socket{FD: firstSocket + i}
		if i < len(names) {
			socket.Name = names[i]
		}
		syscall.CloseOnExec(socket.FD)
		sockets = append(sockets, socket)
	}
	return sockets, nil
}
