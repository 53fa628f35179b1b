package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"backline"
	"backline/wire"
)

// pipeGrace is how long the output of a worker is read after its end. Only a descendant that left the worker's process
// group can hold the pipes longer.
const pipeGrace = time.Second

// process is an operating system process with our ends of its connections and pipes.
type process struct {
	pid           int
	conn, control net.Conn
	begun         *wire.Begun
	output        *output
	ended         chan struct{} // closed when it is reaped, its group killed and its output read

	exit exit // may be read once ended is closed

	mu     sync.Mutex
	reaped bool // the pid may belong to somebody else
}

// exit is how a process ended. It is not known of one that a template forked which then died: the system tells only
// the parent.
type exit struct {
	syscall.WaitStatus
	known bool
}

// spawn starts the command with two socket pairs at descriptors 3 and 4 and shared memory at 5, in a process group of
// its own: Ctrl-C in a terminal reaches only the server, which then stops the workers in order.
func spawn(opts *Options, name string) (*process, error) {
	var ends descriptors
	defer ends.closeTheirs()
	cmd := exec.Command(opts.Command[0], opts.Command[1:]...)
	cmd.Dir, cmd.Env = opts.Dir, opts.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err := ends.open()
	if err == nil {
		cmd.ExtraFiles = []*os.File{ends.theirConn, ends.theirControl, ends.theirBegun}
		// Files and not writers: with writers, Wait would not return while a grandchild has them open.
		cmd.Stdout, cmd.Stderr = ends.theirStdout, ends.theirStderr
		err = cmd.Start()
	}
	if err != nil {
		ends.closeOurs()
		return nil, spawnError(opts, name, err)
	}
	return ends.process(opts, name, cmd.Process.Pid, func() exit {
		_ = cmd.Wait() // the state says more than the error
		status, known := cmd.ProcessState.Sys().(syscall.WaitStatus)
		return exit{status, known}
	}), nil
}

// process gives the process that has their ends; wait returns when it has ended.
func (d *descriptors) process(opts *Options, name string, pid int, wait func() exit) *process {
	p := &process{
		pid: pid, conn: d.conn, control: d.control, begun: d.begun,
		ended: make(chan struct{}), output: newOutput(name, opts.Output),
	}
	go p.reap(wait, d.stdout, d.stderr)
	return p
}

// reap waits for the process and closes ended. It owns the goroutines that read the output.
func (p *process) reap(wait func() exit, stdout, stderr *os.File) {
	var readers sync.WaitGroup
	readers.Go(func() { p.output.read("stdout", stdout) })
	readers.Go(func() { p.output.read("stderr", stderr) })
	p.exit = wait()
	p.mu.Lock()
	// What the worker started ends with it, or it would hold the sockets and pipes. The number of a group with members
	// is not given away; that of an empty one could be, but only after all others have had their turn.
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	p.reaped = true
	p.mu.Unlock()
	limit := time.Now().Add(pipeGrace)
	_ = stdout.SetReadDeadline(limit)
	_ = stderr.SetReadDeadline(limit)
	readers.Wait()
	_ = stdout.Close()
	_ = stderr.Close()
	close(p.ended)
}

// signal reaches the worker and what it started. After the worker's end it does nothing.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.pid, sig)
	}
}

// signalled is the signal that ended the process, 0 if none did. Call it after ended.
func (p *process) signalled() syscall.Signal {
	if p.exit.known && p.exit.Signaled() {
		return p.exit.Signal()
	}
	return 0
}

// exitedWell is the status of a process that ended as it should.
const exitedWell = "exit status 0"

// status says in words how the process ended. guess adds the usual cause where the signal was not ours. Call it after
// ended.
func (p *process) status(guess bool) string {
	sig := p.signalled()
	switch {
	case !p.exit.known:
		return "exit status unknown (its template had died before)"
	case sig == 0:
		return fmt.Sprintf("exit status %d", p.exit.ExitStatus())
	case sig == syscall.SIGKILL && guess:
		return "killed by signal 9 (out of memory?)"
	case sig == syscall.SIGKILL:
		return "killed by signal 9"
	default:
		return fmt.Sprintf("killed by signal %d (%v)", int(sig), sig)
	}
}

func spawnError(opts *Options, name string, err error) error {
	e := &backline.Error{Op: "start worker " + name, Code: backline.CodeWorker, Err: err}
	_, noDir := os.Stat(opts.Dir)
	switch {
	case opts.Dir != "" && noDir != nil:
		e.Message, e.Err = "cannot start in "+opts.Dir, noDir
		e.Hint = "expected an existing directory; see --chdir"
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		e.Message = fmt.Sprintf("cannot run %q", opts.Command[0])
		e.Hint = "install it, or name another interpreter with --python"
	case errors.Is(err, fs.ErrPermission):
		e.Message = fmt.Sprintf("may not run %q", opts.Command[0])
		e.Hint = "expected an interpreter that this user may execute; name one with --python"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		e.Message = "no file descriptors are left for its connections"
		e.Hint = "raise ulimit -n"
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM):
		e.Message = "the system has no room for another process"
		e.Hint = "lower --workers, or raise ulimit -u or the container's limits"
	}
	return e
}

// descriptors are both ends of everything between the server and one worker.
type descriptors struct {
	conn, control            net.Conn
	stdout, stderr           *os.File
	theirConn, theirControl  *os.File
	theirStdout, theirStderr *os.File
	begun                    *wire.Begun
	theirBegun               *os.File
}

func (d *descriptors) open() (err error) {
	if d.conn, d.theirConn, err = socketPair(); err != nil {
		return err
	}
	if d.control, d.theirControl, err = socketPair(); err != nil {
		return err
	}
	if d.begun, d.theirBegun, err = shareMemory(); err != nil {
		return err
	}
	if d.stdout, d.theirStdout, err = os.Pipe(); err != nil {
		return err
	}
	d.stderr, d.theirStderr, err = os.Pipe()
	return err
}

func (d *descriptors) closeTheirs() {
	for _, file := range []*os.File{d.theirConn, d.theirControl, d.theirBegun, d.theirStdout, d.theirStderr} {
		_ = file.Close() // a nil file answers with an error
	}
}

func (d *descriptors) closeOurs() {
	for _, conn := range []net.Conn{d.conn, d.control} {
		if conn != nil {
			_ = conn.Close()
		}
	}
	_ = d.stdout.Close()
	_ = d.stderr.Close()
}

// socketPair gives a connection and the file to inherit as its other end. Both are closed on exec, so that no worker
// gets another one's; exec.Cmd gives the inherited copy a descriptor without the flag.
func socketPair() (net.Conn, *os.File, error) {
	// macOS cannot make sockets with the flag set: the lock keeps a fork from happening in between.
	syscall.ForkLock.RLock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "worker"), os.NewFile(uintptr(pair[1]), "server")
	conn, err := net.FileConn(ours) // a duplicate
	_ = ours.Close()
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}
