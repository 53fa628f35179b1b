package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"backline"
	"backline/edge"
	"backline/handover"
)

// This file is about USR2: a new process of the same command line takes the listening sockets over, and this one ends
// when its clients have gone. Package handover passes the sockets; here is what both processes do around that.

// socket is a listener and the address in the settings that it stands for.
type socket struct {
	address  string
	listener *edge.Listener
}

// listen opens an address, with the socket that a predecessor has left for it where there is one.
func (s *server) listen(ctx context.Context, address string) (*edge.Listener, error) {
	where := address
	if descriptor, found := s.process.predecessor.Take(address); found {
		where = "fd://" + strconv.Itoa(descriptor)
	}
	l, err := edge.Listen(ctx, where, s.config.SocketMode)
	if err != nil {
		return nil, err
	}
	setBacklog(l, s.config.Backlog)
	s.sockets = append(s.sockets, socket{address, l})
	return l, nil
}

// ownPath says whether the path of a Unix socket goes with its listener: it is the one thing that two processes which
// listen on one socket have only once.
func (k socket) ownPath(own bool) {
	if l, ok := k.listener.Listener.(*net.UnixListener); ok && strings.HasPrefix(k.address, "unix:") {
		l.SetUnlinkOnClose(own)
	}
}

// takeOver tells the predecessor that this process serves.
func (s *server) takeOver() {
	s.claimControl(os.Getppid()) // before that one hears of it and goes
	for _, each := range s.sockets {
		each.ownPath(true)
	}
	if err := s.process.predecessor.Relieve(); err != nil {
		s.log.Warn("the process before this one has gone", "error", err)
	}
}

// upgrade is an attempt to put a new process in this one's place.
type upgrade struct {
	cancel  context.CancelCauseFunc
	outcome chan outcome // gets one
}

// outcome is how an attempt ended: a process that serves, or why there is none.
type outcome struct {
	pid int
	err error
}

// upgradeMargin is what a new process may need for itself, before and after its workers' own time to come up.
const upgradeMargin = 30 * time.Second

// beginUpgrade starts the new process. What becomes of it is heard of in obey.
func (s *server) beginUpgrade() {
	switch {
	case s.upgrade != nil:
		s.log.Warn("an upgrade is under way already")
		return
	case stage(s.stage.Load()) != working:
		s.log.Warn("an upgrade cannot begin before the server serves")
		return
	case os.Getpid() == 1:
		s.log.Error("process 1 cannot be upgraded: its end would be the end of the container",
			"hint", "start a new container, or run backline under an init such as tini")
		return
	}
	successor, err := s.successor()
	if err != nil {
		s.abandonUpgrade(err)
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	s.upgrade = &upgrade{cancel: cancel, outcome: make(chan outcome, 1)}
	limit := s.pools.bootTimeout()
	if limit > 0 {
		limit += upgradeMargin
	}
	s.log.Info("upgrade: a new process comes up, this one serves meanwhile", "command", successor.Path)
	go s.upgrade.run(ctx, successor, limit)
}

// run starts the process and tells how that ended. limit is how long it may take until it serves; 0 is for ever.
func (u *upgrade) run(ctx context.Context, next *handover.Successor, limit time.Duration) {
	if limit > 0 {
		late := fmt.Errorf("the new process did not serve within %v", limit)
		limited, stop := context.WithTimeoutCause(ctx, limit, late)
		defer stop()
		ctx = limited
	}
	pid, err := next.Run(ctx)
	for _, each := range next.Sockets {
		_ = each.File.Close()
	}
	u.outcome <- outcome{pid, err}
}

// successor is a process of the command line that this one was started with, where it was started.
func (s *server) successor() (*handover.Successor, error) {
	p := s.process
	path, err := p.executable()
	if err != nil {
		return nil, err
	}
	next := &handover.Successor{
		Path: path, Args: p.command, Dir: p.home, Environ: p.environ, Stdout: p.stdout, Stderr: p.stderr,
	}
	for _, each := range s.sockets {
		listener, ok := each.listener.Listener.(syscall.Conn)
		if !ok {
			return nil, fmt.Errorf("the listener on %s has no socket to hand over", each.address)
		}
		duplicate, err := handover.Duplicate(each.address, listener)
		if err != nil {
			return nil, err
		}
		next.Sockets = append(next.Sockets, duplicate)
	}
	return next, nil
}

// executable finds what was started by the name that it was started by: the file there may have been replaced, or the
// link there moved, and that is the new version.
func (p *process) executable() (string, error) {
	name := p.command[0]
	if strings.ContainsRune(name, filepath.Separator) && !filepath.IsAbs(name) {
		name = filepath.Join(p.home, name)
	}
	path, err := exec.LookPath(name)
	if err != nil { // a name that was made up by whoever started it, such as "-backline"
		path, err = os.Executable()
		path = strings.TrimSuffix(path, " (deleted)") // so Linux calls a file that has been replaced
	}
	return path, err
}

// finished gives how an attempt ends. There is nothing to receive where none is under way.
func (u *upgrade) finished() <-chan outcome {
	if u == nil {
		return nil
	}
	return u.outcome
}

// cancelUpgrade ends an attempt that is under way, and gives what waits for its end.
func (s *server) cancelUpgrade() (wait func()) {
	attempt := s.upgrade
	if attempt == nil {
		return func() {}
	}
	attempt.cancel(errors.New("the server stops"))
	return func() { <-attempt.outcome }
}

// abandonUpgrade says why there is no new process, and goes on.
func (s *server) abandonUpgrade(err error) {
	s.upgrade = nil
	attrs := []any{"error", err}
	if e, ok := errors.AsType[*backline.Error](err); ok && e.Hint != "" {
		attrs = append(attrs, "hint", e.Hint)
	}
	s.log.Error("upgrade abandoned: the new process does not come up, this one goes on", attrs...)
	// It may have got as far as to write its number.
	if err := s.claimPID(); err != nil {
		s.log.Error("the process number cannot be written again", "error", err)
	}
}

// leave ends a process in whose place another one serves: requests first, for at most the graceful timeout, because
// the workers are there until the last client that may send one has gone; then the WebSockets, as after a reload.
func (s *server) leave(all *parts, serving, supervising *part, successor int) error {
	s.stage.Store(int32(upgraded))
	s.upgrade = nil
	for _, each := range s.sockets {
		each.ownPath(false)
	}
	s.systemd.MainPID(successor)
	s.edge.Retire()
	s.pools.retireTCP()
	if s.admin != nil {
		s.admin.Retire()
	}
	// Said when it is so: whoever reads it and connects then is served by the new process.
	s.log.Info("upgrade: a new process serves, this one ends with its last client", "new_pid", successor,
		"graceful_timeout", s.config.GracefulTimeout, "websocket_drain", s.config.WebSocketDrain)
	released, silent := s.edge.Released(), s.edge.Silent()
	for {
		select {
		case <-released:
			released = nil
			s.pools.HandOver(false)
		case <-silent:
			silent = nil
			s.pools.HandOver(true)
		case part := <-all.ended:
			if part == supervising && part.err == nil {
				return s.stop(serving, supervising)
			}
			return part.err
		case sig := <-s.signals():
			if how := s.act(sig); how != goOn {
				return s.stopAs(how, sig, serving, supervising)
			}
		}
	}
}
