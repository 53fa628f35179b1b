package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"backline"
)

// signals gives the process's signals, or those of a test.
func (s *server) signals() <-chan os.Signal {
	if s.process.signals == nil {
		c := make(chan os.Signal, 16)
		signal.Notify(c, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGUSR1)
		s.process.signals = c
	}
	return s.process.signals
}

// obey does what signals say until the server is to stop, with gunicorn's meanings: HUP replaces the workers, TTIN and
// TTOU change their number, USR1 opens the logs again, TERM stops when requests have ended, INT and QUIT stop quickly.
// A second signal to stop stops at once.
func (s *server) obey(all *parts, serving, supervising *part) error {
	for {
		select {
		case err := <-serving.ended:
			return err
		case err := <-supervising.ended:
			return err
		case sig := <-s.signals():
			switch sig {
			case syscall.SIGHUP:
				s.log.Info("reloading: new workers come up first, then the old ones finish")
				s.supervisor.Reload()
			case syscall.SIGTTIN:
				s.supervisor.Scale(1)
			case syscall.SIGTTOU:
				s.supervisor.Scale(-1)
			case syscall.SIGUSR1:
				s.reopen()
			case syscall.SIGTERM:
				s.log.Info("stopping: requests that have begun may finish", "graceful_timeout", s.config.GracefulTimeout)
				return s.stop(all, serving, supervising)
			default:
				s.log.Info("stopping; press Ctrl-C again to stop at once")
				return s.stop(all, serving, supervising)
			}
		}
	}
}

// stop ends the clients' connections, then the workers, unless another signal says that there is no time for that.
func (s *server) stop(all *parts, serving, supervising *part) error {
	finished := make(chan error, 1)
	go func() { finished <- errors.Join(serving.stop(), supervising.stop()) }()
	for {
		select {
		case err := <-finished:
			return err
		case sig := <-s.signals():
			if sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGQUIT {
				s.log.Warn("stopping at once")
				s.supervisor.Quit()
				s.edge.Cut()
			}
		}
	}
}

// reopen opens the access log again, after somebody has moved it away.
func (s *server) reopen() {
	if s.access == nil {
		return
	}
	if err := s.access.sink.Reopen(); err != nil {
		s.log.Error("the access log cannot be opened again", "error", err)
	}
}

// writePID writes the process's number for those who send signals.
func writePID(path string) error {
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil { //nolint:gosec // others read it
		return &backline.Error{
			Op: "write the process number", Code: backline.CodeUsage, Message: fmt.Sprintf("--pid %s cannot be written", path), Err: err,
			Hint: "choose a folder that this user may write to",
		}
	}
	return nil
}
