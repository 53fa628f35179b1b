package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"backline"
	"backline/config"
	"backline/dispatch"
	"backline/edge"
	"backline/supervisor"
)

// serveCommand runs the server.
func serveCommand(p *process) *cobra.Command {
	command := &cobra.Command{
		Use:   "serve [APP]",
		Short: "Serve an application: backline serve mysite.wsgi",
		Args:  cobra.ArbitraryArgs, // config says what is wrong with them
	}
	flags := bindSettings(command)
	command.RunE = func(c *cobra.Command, args []string) error {
		loaded, err := p.load(flags, args)
		if err != nil {
			return err
		}
		s, err := newServer(c.Context(), p, loaded)
		if err != nil {
			return err
		}
		return s.run(c.Context())
	}
	return command
}

// server is one `backline serve`: the parts, in the order in which they start.
type server struct {
	process    *process
	config     *config.Config
	started    time.Time
	log        *journal
	capacity   capacity
	access     *access // nil when off
	listeners  []*edge.Listener
	dispatcher *dispatch.Dispatcher
	supervisor *supervisor.Supervisor
	edge       *edge.Server
	app        *application
}

// newServer makes the parts. What can be wrong with the settings or the surroundings is found here, before anything
// runs: the addresses are bound first, because a port in use is the commonest mistake and the quickest to find.
func newServer(ctx context.Context, p *process, loaded *config.Loaded) (*server, error) {
	c := &loaded.Config
	if c.App == "" {
		return nil, &backline.Error{
			Op: "serve", Code: backline.CodeUsage, Message: "no application was named",
			Hint: "name it as module:attribute, such as: backline serve mysite.wsgi",
		}
	}
	s := &server{process: p, config: c, started: time.Now()}
	if err := s.prepare(loaded); err != nil {
		return nil, err
	}
	if err := s.bind(ctx); err != nil {
		return nil, err
	}
	options := dispatchOptions(c, s.log.Logger)
	options.Defaults = s.app.defaults(s.listeners)
	s.dispatcher = dispatch.New(options)
	workers := s.app.supervise(c, s.log, newObserver(s.dispatcher), options.Defaults)
	var err error
	if s.supervisor, err = supervisor.New(workers); err != nil {
		s.unbind()
		return nil, err
	}
	s.edge = edge.New(edgeOptions(c, s.capacity, s.access, s.log.Logger), s.dispatcher)
	return s, nil
}

// prepare looks at the surroundings: files, limits, the interpreter.
func (s *server) prepare(loaded *config.Loaded) (err error) {
	c := s.config
	if s.log, err = openJournal(c, s.process.stderr); err != nil {
		return err
	}
	warn(s.log, loaded)
	if s.capacity, err = measure(c.LimitConnections, c.Workers); err != nil {
		return err
	}
	if err = checkTempDir(loaded); err != nil {
		return err
	}
	if s.access, err = openAccess(loaded, s.log.Logger); err != nil {
		return err
	}
	s.app, err = newApplication(s.process, c)
	return err
}

// checkTempDir finds a folder that cannot be written to now, and not with the first large upload.
func checkTempDir(loaded *config.Loaded) error {
	file, err := os.CreateTemp(loaded.Config.TempDir, "backline-")
	if err != nil {
		if cause, ok := errors.AsType[*os.PathError](err); ok {
			err = fmt.Errorf("no file can be made in %s: %w", filepath.Dir(cause.Path), cause.Err)
		}
		return loaded.Mistake("temp_dir", err)
	}
	_ = file.Close()
	return os.Remove(file.Name())
}

func (s *server) bind(ctx context.Context) error {
	for _, address := range s.config.Bind {
		l, err := edge.Listen(ctx, address, s.config.SocketMode)
		if err != nil {
			s.unbind()
			return err
		}
		s.listeners = append(s.listeners, l)
		setBacklog(l, s.config.Backlog)
	}
	return nil
}

// setBacklog says how many connections the kernel holds for us. To listen once more is how that is changed;
// net.Listen knows no other number than the system's largest. A listener that refuses keeps that.
func setBacklog(l *edge.Listener, backlog int) {
	if socket, ok := l.Listener.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = syscall.Listen(int(fd), backlog) })
		}
	}
}

func (s *server) unbind() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// run starts the parts and stops them in reverse, users before what they use: clients first, because their requests
// need workers; then workers, because they need the dispatcher; then the access log, which everything before writes
// to.
func (s *server) run(ctx context.Context) error {
	if s.config.PID != "" {
		if err := writePID(s.config.PID); err != nil {
			s.unbind()
			return err
		}
		defer os.Remove(s.config.PID)
	}
	parts := newParts(ctx)
	if s.access != nil {
		parts.start(s.access.run)
	}
	parts.start(s.dispatcher.Run)
	if s.config.Reload {
		parts.start(s.watch)
	}
	supervising := parts.start(s.supervisor.Run)
	up, err := s.boot(parts)
	if !up {
		s.unbind()
		s.supervisor.Quit()
		return errors.Join(err, parts.stop())
	}
	s.greet()
	serving := parts.start(func(ctx context.Context) error {
		return s.edge.Run(ctx, s.config.GracefulTimeout, s.listeners...)
	})
	err = s.obey(parts, serving, supervising)
	return errors.Join(err, parts.stop())
}

// boot waits for the first worker. Without one and without an error a signal said to stop, which is done at once:
// nothing has been promised to anybody yet.
func (s *server) boot(all *parts) (up bool, err error) {
	for {
		select {
		case <-s.supervisor.Ready():
			return true, nil
		case part := <-all.ended:
			return false, part.err
		case sig := <-s.signals():
			if s.act(sig) != goOn {
				return false, nil
			}
		}
	}
}

// watch reloads the application when a file of it changes.
func (s *server) watch(ctx context.Context) error {
	options := supervisor.WatchOptions{Log: s.log.Logger}
	for _, path := range absolute(s.config.ReloadDirs, s.app.dir) {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			options.Dirs = append(options.Dirs, path)
		} else {
			options.Files = append(options.Files, path)
		}
	}
	if len(s.config.ReloadDirs) == 0 {
		options.Dirs = []string{s.app.dir}
	}
	return supervisor.Watch(ctx, options, func(path string) {
		s.log.Info("a file changed", "file", path)
		s.supervisor.Reload()
	})
}
