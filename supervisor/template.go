package supervisor

// This file is about one template: a process that has imported the application and is forked for each worker
// (python/backline/template.py; docs/protocol.md, Templates). Its boot is a worker's. What is decided about templates
// is in preload.go.

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// forkTimeout is how long one fork may take. It takes milliseconds; what can hold it up is a function that the
// application has registered to run before.
const forkTimeout = 30 * time.Second

// template is one process, from its start to its end.
type template struct {
	*Worker // never up in the pool: it only boots as a worker does

	retires chan struct{} // closed when it is to end
	gone    chan struct{} // closed when it says nothing more

	sending sync.Mutex // descriptors and their line are one message, and belong to one fork

	mu      sync.Mutex
	token   int
	pending map[int]chan forked // by token
	running map[int]*child      // by pid

	// Only the goroutine of Run touches these.
	imported bool
	workers  int // that were forked from it, or are about to be, and have not been reaped
	retired  bool
}

// forked is the answer to one wish for a worker.
type forked struct {
	child *child
	err   error
}

// child is a forked process as its parent, the template, tells of it.
type child struct {
	pid    int
	ended  chan exit // at most one
	parent *template
}

func newTemplate(s *Supervisor, number int) *template {
	w := newWorker(s, &place{}, number)
	w.Name = fmt.Sprintf("%s.template.%d", s.opts.Pool, number)
	opts := s.opts
	opts.Command = opts.Template
	w.opts, w.log = &opts, s.opts.Log.With("worker", w.Name)
	return &template{
		Worker: w, retires: make(chan struct{}), gone: make(chan struct{}),
		pending: map[int]chan forked{}, running: map[int]*child{},
	}
}

// live is the template's goroutine: boot, fork, end, report.
func (t *template) live() {
	s := t.supervisor
	defer func() { _ = t.Control.Close() }()
	if err := t.boot(); err != nil {
		close(t.gone)
		_ = t.Conn.Close()
		s.inbox.post(func() { s.templateFailed(t, err) })
		return
	}
	t.upAt = time.Now()
	var reader sync.WaitGroup
	reader.Go(t.read)
	s.inbox.post(func() { s.templateUp(t) })
	select {
	case <-t.process.ended:
	case <-t.retires: // also after a Quit, when it has told how its workers ended
		t.finish()
	}
	// A descendant in a process group of its own may hold the other end.
	_ = t.Conn.SetReadDeadline(time.Now().Add(lastWords))
	reader.Wait()
	_ = t.Conn.Close()
	s.inbox.post(func() { s.templateGone(t) })
}

// finish ends the process in order: it sees that no line will follow, and leaves as a program does.
func (t *template) finish() {
	if conn, ok := t.Conn.(*net.UnixConn); ok {
		_ = conn.CloseWrite()
	}
	if _, gone := t.wait(nil, t.opts.StopTimeout); !gone {
		t.log.Warn("template does not end; SIGKILL", "pid", t.PID, "waited", t.opts.StopTimeout)
		t.killAndWait()
	}
}

// retire ends the template soon. Only Run calls it.
func (t *template) retire() {
	if t.retired {
		return
	}
	t.retired = true
	close(t.retires)
	t.stop(Reloaded) // for one that still boots
}

// fork gives a process that has imported the application.
func (t *template) fork(opts *Options, name string) (*process, error) {
	var ends descriptors
	defer ends.closeTheirs()
	err := ends.open()
	var child *child
	if err == nil {
		child, err = t.ask(&ends)
	}
	if err != nil {
		ends.closeOurs()
		return nil, spawnError(opts, name, err)
	}
	return ends.process(opts, name, child.pid, child.wait), nil
}

// ask sends one wish, with the descriptors of the new process, and waits for the answer.
func (t *template) ask(ends *descriptors) (*child, error) {
	token, answer := t.expect()
	if err := t.send(token, ends); err != nil {
		return nil, err
	}
	timer := time.NewTimer(forkTimeout)
	defer timer.Stop()
	select {
	case got := <-answer:
		return got.child, got.err
	case <-t.gone:
		return nil, errors.New("the template has ended")
	case <-timer.C:
		t.process.signal(syscall.SIGKILL) // or the next ones would wait behind this one
		return nil, fmt.Errorf("the template did not fork within %v", forkTimeout)
	}
}

func (t *template) expect() (int, chan forked) {
	answer := make(chan forked, 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token++
	t.pending[t.token] = answer
	return t.token, answer
}

func (t *template) send(token int, ends *descriptors) error {
	conn, ok := t.Conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("the template's connection is a %T; expected a Unix socket", t.Conn)
	}
	files := []*os.File{ends.theirConn, ends.theirControl, ends.theirBegun, ends.theirStdout, ends.theirStderr}
	numbers := make([]int, 0, len(files))
	for _, file := range files {
		numbers = append(numbers, int(file.Fd()))
	}
	t.sending.Lock()
	defer t.sending.Unlock()
	_ = conn.SetWriteDeadline(time.Now().Add(forkTimeout))
	_, _, err := conn.WriteMsgUnix(fmt.Appendf(nil, "fork %d\n", token), syscall.UnixRights(numbers...), nil)
	return err
}

// read takes the template's lines until there are no more.
func (t *template) read() {
	defer close(t.gone)
	lines := bufio.NewScanner(t.Conn)
	for lines.Scan() {
		if err := t.take(lines.Text()); err != nil {
			t.log.Error("template breaks the protocol", "pid", t.PID, "error", err)
			t.process.signal(syscall.SIGKILL)
			return
		}
	}
}

// take understands one line: "forked TOKEN PID", "failed TOKEN WHY", "ended PID STATUS".
func (t *template) take(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	first, second, _ := strings.Cut(rest, " ")
	number, err := strconv.Atoi(first)
	if err != nil {
		return fmt.Errorf("%.80q; expected a number after its first word", line)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch verb {
	case "failed":
		return t.answer(number, forked{err: errors.New(second)})
	case "forked":
		pid, err := strconv.Atoi(second)
		if err != nil || pid < 2 || t.running[pid] != nil {
			return fmt.Errorf("%.80q; expected the number of a new process", line)
		}
		c := &child{pid: pid, ended: make(chan exit, 1), parent: t}
		t.running[pid] = c
		return t.answer(number, forked{child: c})
	case "ended":
		status, err := strconv.ParseUint(second, 10, 32)
		if err != nil || t.running[number] == nil {
			return fmt.Errorf("%.80q; expected one of its processes and a status", line)
		}
		t.running[number].ended <- exit{syscall.WaitStatus(status), true}
		delete(t.running, number)
		return nil
	}
	return fmt.Errorf("%.80q; expected forked, failed or ended", line)
}

func (t *template) answer(token int, f forked) error {
	waiting := t.pending[token]
	if waiting == nil {
		return fmt.Errorf("an answer to %d, which was not asked", token)
	}
	delete(t.pending, token)
	waiting <- f
	return nil
}

// wait returns when the process has ended, as its template tells or, once that has died, as can be seen from outside.
func (c *child) wait() exit {
	select {
	case e := <-c.ended:
		return e
	case <-c.parent.gone:
	}
	select {
	case e := <-c.ended:
		return e
	default:
		return awaitOrphan(c.pid)
	}
}
