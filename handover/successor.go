package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"backline"
)

// Socket is a listening socket and the address under which both processes know it.
type Socket struct {
	Address string
	File    *os.File
}

// Duplicate gives a socket for a listener (a net.Listener of TCP or a Unix path), which goes on listening whatever
// becomes of the duplicate. Its File method would not do: starting a process with what that gives makes the
// descriptor, and with it the listener that shares its flags, blocking.
func Duplicate(address string, listener syscall.Conn) (Socket, error) {
	raw, err := listener.SyscallConn()
	if err != nil {
		return Socket{}, err
	}
	number, failed := -1, error(nil)
	err = raw.Control(func(descriptor uintptr) {
		syscall.ForkLock.RLock() // a process started between the two calls would inherit it
		defer syscall.ForkLock.RUnlock()
		if number, failed = syscall.Dup(int(descriptor)); failed == nil {
			syscall.CloseOnExec(number)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return Socket{}, fmt.Errorf("duplicate the socket of %s: %w", address, err)
	}
	return Socket{Address: address, File: os.NewFile(uintptr(number), address)}, nil
}

// Successor is the process that is to take over.
type Successor struct {
	// Path is the executable, and Args its whole argument vector: Args[0] is what it is called.
	Path string
	Args []string
	// Dir is where it starts, and Environ what it finds there.
	Dir     string
	Environ []string
	// Stdout and Stderr are where it writes.
	Stdout, Stderr io.Writer
	// Sockets are what it is given. They stay open here.
	Sockets []Socket
}

// stopGrace is how long a successor that is given up may take to end by itself: its workers have served nobody.
const stopGrace = 5 * time.Second

// Run starts the process and returns its number once it serves. Every other end is an error, and leaves no process:
// it could not be started, it ended, or ctx did, whose cause is in the error then.
func (s *Successor) Run(ctx context.Context) (pid int, err error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer func() { _ = ours.Close() }()
	cmd, err := s.command(theirs)
	if err == nil {
		err = cmd.Start()
	}
	_ = theirs.Close()
	if err != nil {
		return 0, s.startError(err)
	}
	said, ended := make(chan bool, 1), make(chan error, 1)
	go func() { said <- hears(ours) }()
	go func() { ended <- cmd.Wait() }() // to the end of this process, so that the successor never is a zombie
	const gaveUp = "the new process gave up before it served"
	select {
	case serves := <-said:
		if serves {
			return cmd.Process.Pid, nil
		}
		err = errors.New(gaveUp)
	case status := <-ended:
		return 0, fmt.Errorf("%s (%s)", gaveUp, statusOf(status))
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return 0, s.giveUp(cmd.Process, ended, err)
}

// command puts the pipe and the sockets where the successor looks for them.
func (s *Successor) command(pipe *os.File) (*exec.Cmd, error) {
	cmd := exec.Command(s.Path, s.Args[1:]...)
	cmd.Args[0] = s.Args[0]
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, s.Stdout, s.Stderr
	cmd.ExtraFiles = []*os.File{pipe}
	var left legacy
	for _, socket := range s.Sockets {
		cmd.ExtraFiles = append(cmd.ExtraFiles, socket.File)
		left.Sockets = append(left.Sockets, socket.Address)
	}
	value, err := json.Marshal(left)
	cmd.Env = append(append([]string(nil), s.Environ...), variable+"="+string(value))
	return cmd, err
}

// hears tells whether the successor says that it serves. It returns when that is known.
func hears(pipe io.Reader) bool {
	line := make([]byte, len(serving))
	_, err := io.ReadFull(pipe, line)
	return err == nil && string(line) == serving
}

// giveUp ends the process, and adds to why how it ended.
func (s *Successor) giveUp(process *os.Process, ended <-chan error, why error) error {
	_ = process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case status := <-ended:
		return fmt.Errorf("%w (%s)", why, statusOf(status))
	case <-timer.C:
	}
	_ = process.Kill()
	<-ended //nolint:errcheck // how it ends is known
	return fmt.Errorf("%w (it did not end by itself and was killed)", why)
}

// statusOf says in words how a process ended.
func statusOf(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func (s *Successor) startError(err error) error {
	e := &backline.Error{Op: "start " + s.Path, Code: backline.CodeUsage, Err: err}
	switch {
	case errors.Is(err, os.ErrNotExist):
		e.Hint = "put the new version where the running one was started from"
	case errors.Is(err, os.ErrPermission):
		e.Hint = "the new version has to be executable by the server's user: chmod +x"
	case errors.Is(err, syscall.ENOEXEC), strings.Contains(err.Error(), "exec format"):
		e.Hint = "expected a binary for this system and processor"
	case errors.Is(err, syscall.ETXTBSY):
		e.Hint = "the file is still being written: write the new version beside it and rename it"
	}
	return e
}
