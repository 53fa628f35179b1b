package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
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
		Args:  cobra.MaximumNArgs(1),
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
	log        *slog.Logger
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
	var err error
	if s.log, err = openLog(c, p.stderr); err != nil {
		return nil, err
	}
	warn(s.log, loaded)
	if s.access, err = openAccess(loaded); err != nil {
		return nil, err
	}
	if s.app, err = newApplication(p, c); err != nil {
		return nil, err
	}
	if err := s.bind(ctx); err != nil {
		return nil, err
	}
	options := dispatchOptions(c, s.log)
	options.Defaults = s.app.defaults(s.listeners)
	s.dispatcher = dispatch.New(options)
	s.supervisor, err = supervisor.New(s.app.supervise(c, s.log, newObserver(s.dispatcher), options.Defaults))
	if err != nil {
		s.unbind()
		return nil, err
	}
	s.edge = edge.New(edgeOptions(c, s.access, s.log), s.dispatcher)
	return s, nil
}

func (s *server) bind(ctx context.Context) error {
	for _, address := range s.config.Bind {
		l, err := edge.Listen(ctx, address, s.config.SocketMode)
		if err != nil {
			s.unbind()
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

func (s *server) unbind() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// run starts the parts and stops them in reverse, users before what they use: clients first, because their requests need
// workers; then workers, because they need the dispatcher; then the access log, which everything before writes to.
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
		parts.start(s.access.sink.Run)
	}
	parts.start(s.dispatcher.Run)
	supervising := parts.start(s.supervisor.Run)
	select {
	case <-s.supervisor.Ready():
		s.greet()
	case err := <-supervising.ended:
		s.unbind()
		return errors.Join(err, parts.stop())
	case sig := <-s.signals():
		_ = sig // nothing has been promised to anybody yet
		s.unbind()
		s.supervisor.Quit()
		return parts.stop()
	}
	serving := parts.start(func(ctx context.Context) error {
		return s.edge.Run(ctx, s.config.GracefulTimeout, s.listeners...)
	})
	err := s.obey(parts, serving, supervising)
	return errors.Join(err, parts.stop())
}
