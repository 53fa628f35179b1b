package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"backline"
)

// signals gives the process's signals, or those of a test.
func (s *server) signals() <-chan os.Signal {
	if s.process.signals == nil {
		c := make(chan os.Signal, 16)
		signal.Notify(c, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT,
			syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGUSR1, syscall.SIGUSR2)
		s.process.signals = c
	}
	return s.process.signals
}

// ending is whether a signal stops the server, and how.
type ending int

const (
	goOn    ending = iota
	finish         // requests that have begun may finish
	stopNow        // nothing is waited for
)

// act does what a signal says, with gunicorn's meanings: HUP replaces the workers and reads certificates again, TTIN
// and TTOU change their number, USR1 opens the logs again, USR2 puts a new process in this one's place, TERM stops when
// requests have ended, QUIT stops at once. INT is Ctrl-C, of somebody who is there to press it a second time, so the
// first one finishes requests.
func (s *server) act(sig os.Signal) ending {
	switch sig {
	case syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGUSR2:
		if stage(s.stage.Load()) == upgraded {
			s.log.Warn("another process serves in the place of this one: send it the signal", "signal", sig.String())
			return goOn
		}
	}
	switch sig {
	case syscall.SIGHUP:
		if s.certificates != nil {
			s.certificates.Reload()
		}
		s.reload()
	case syscall.SIGTTIN:
		s.pools.Scale(1)
	case syscall.SIGTTOU:
		s.pools.Scale(-1)
	case syscall.SIGUSR1:
		s.reopen()
	case syscall.SIGUSR2:
		s.beginUpgrade()
	case syscall.SIGTERM, syscall.SIGINT:
		return finish
	case syscall.SIGQUIT:
		return stopNow
	}
	return goOn
}

// obey does what signals say until the server is to stop, or a part ends that should not.
func (s *server) obey(all *parts, serving, supervising *part) error {
	for {
		select {
		case part := <-all.ended:
			return part.err
		case result := <-s.upgrade.finished():
			if result.err == nil {
				return s.leave(all, serving, supervising, result.pid)
			}
			s.abandonUpgrade(result.err)
		case sig := <-s.signals():
			if how := s.act(sig); how != goOn {
				return s.stopAs(how, sig, serving, supervising)
			}
		}
	}
}

// stopAs stops the server in the way that a signal asks for.
func (s *server) stopAs(how ending, sig os.Signal, serving, supervising *part) error {
	if how == stopNow {
		s.cut()
	} else {
		s.announceStop(sig)
	}
	return s.stop(serving, supervising)
}

func (s *server) announceStop(sig os.Signal) {
	again := ""
	if sig == syscall.SIGINT {
		again = "; Ctrl-C again stops at once"
	}
	s.log.Info("stopping: requests that have begun may finish"+again, "graceful_timeout", s.pools.grace())
}

// stop ends the clients' connections, then the workers, unless another signal says that there is no time for that.
// Both share one graceful timeout.
func (s *server) stop(serving, supervising *part) error {
	if stage(s.stage.Swap(int32(stopping))) != upgraded { // else another process is the service
		s.systemd.Stopping("requests that have begun may finish")
	}
	defer s.cancelUpgrade()()
	s.pools.retireTCP()
	s.pools.EndBy(time.Now())
	finished := make(chan error, 1)
	go func() { finished <- errors.Join(serving.stop(), supervising.stop()) }()
	for {
		select {
		case err := <-finished:
			s.log.Info("stopped")
			return err
		case sig := <-s.signals():
			if s.act(sig) != goOn {
				s.cut()
			}
		}
	}
}

// cut ends workers and connections at once.
func (s *server) cut() {
	s.log.Warn("stopping at once")
	s.pools.Quit()
	s.edge.Cut()
}

// reopen opens the logs again, after somebody has moved them away.
func (s *server) reopen() {
	err := s.log.Reopen()
	if s.access != nil {
		err = errors.Join(err, s.access.sink.Reopen())
	}
	if err != nil {
		s.log.Error("a log cannot be opened again and goes on where it was", "error", err)
		return
	}
	s.log.Info("logs are open again")
}

// claimPID writes the process's number for those who send signals, who may be reading it: in one piece, where the
// folder allows that.
func (s *server) claimPID() error {
	path := s.config.PID
	if path == "" || hasOwnPID(path) {
		return nil
	}
	whole := path + "." + strconv.Itoa(os.Getpid())
	err := os.WriteFile(whole, []byte(ownPID()), 0o644) //nolint:gosec // others read it
	if err == nil {
		err = os.Rename(whole, path)
	}
	if err != nil {
		_ = os.Remove(whole)
		err = os.WriteFile(path, []byte(ownPID()), 0o644) //nolint:gosec // as above
	}
	if err != nil {
		return &backline.Error{
			Op: "write the process number", Code: backline.CodeUsage,
			Message: fmt.Sprintf("--pid %s cannot be written", path), Err: err,
			Hint: "choose a folder that this user may write to",
		}
	}
	return nil
}

// releasePID removes the file, unless another process has written its own number since.
func (s *server) releasePID() {
	if hasOwnPID(s.config.PID) {
		_ = os.Remove(s.config.PID)
	}
}

func hasOwnPID(path string) bool {
	number, err := os.ReadFile(path)
	return err == nil && string(number) == ownPID()
}

func ownPID() string { return strconv.Itoa(os.Getpid()) + "\n" }
