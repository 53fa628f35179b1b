package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"backline/config"
	"backline/control"
	"backline/edge"
	"backline/static"
	"backline/supervisor"
	"backline/systemd"
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
	process   *process
	config    *config.Config
	started   time.Time
	log       *journal
	capacity  capacity
	access    *access // nil when off
	listeners []*edge.Listener
	raw       map[string]*edge.Listener // of the pools that have connections and no requests
	pools     *pools
	edge      *edge.Server
	files     *static.Files
	sockets   []socket // every listener, also that for operators

	certificates *certificates // nil without https

	admin         *edge.Server // nil when off
	adminListener *edge.Listener
	stage         atomic.Int32 // a stage
	upgrade       *upgrade     // nil when none is under way
	broken        func() bool  // whether a part has ended that should not

	control *control.Server // nil when off, or where there is no place for it
	gate    edge.Gate
	systemd *systemd.Notifier // nil where systemd does not want to hear of us
}

// newServer makes the parts. What can be wrong with the settings or the surroundings is found here, before anything
// runs: the addresses are bound first, because a port in use is the commonest mistake and the quickest to find.
func newServer(ctx context.Context, p *process, loaded *config.Loaded) (*server, error) {
	c := &loaded.Config
	s := &server{process: p, config: c, started: time.Now()}
	if err := s.prepare(ctx, loaded); err != nil {
		return nil, err
	}
	if err := s.activate(ctx, loaded); err != nil {
		return nil, err
	}
	if err := s.bind(ctx, loaded.Pools); err != nil {
		s.unbind()
		return nil, err
	}
	if err := s.openCertificates(loaded); err != nil {
		s.unbind()
		return nil, err
	}
	if err := s.bindPackets(ctx); err != nil {
		s.unbind()
		return nil, err
	}
	var err error
	if s.pools, err = newPools(p, loaded, s.log, s.listeners, s.tcpOptions, s.reloaded); err != nil {
		s.unbind()
		return nil, err
	}
	clients := edgeOptions(c, s.capacity, s.access, s.log.Logger)
	clients.Files, clients.CopyFiles, clients.Compress = s.files, !c.Sendfile, compressor(c)
	clients.Gate, clients.Layer = s.gate, s.pools.channels.layer
	clients.Holds = holds(c, s.pools.channels.layer)
	s.encrypt(&clients)
	s.pools.direct(&clients)
	s.edge = edge.New(clients, s.pools.first().dispatcher)
	if s.adminListener != nil {
		if s.admin, err = s.newAdmin(); err != nil {
			s.unbind()
			return nil, err
		}
	}
	return s, nil
}

// prepare looks at the surroundings: files, limits, the interpreter.
func (s *server) prepare(ctx context.Context, loaded *config.Loaded) (err error) {
	c := s.config
	if s.log, err = openJournal(c, s.process.stderr); err != nil {
		return err
	}
	warn(s.log, loaded)
	if err = s.process.findDjango(ctx, loaded, s.log); err != nil {
		return err
	}
	if len(loaded.Pools) == 0 {
		return unnamed()
	}
	if s.capacity, err = measure(c); err != nil {
		return err
	}
	if err = checkTempDir(loaded); err != nil {
		return err
	}
	if s.gate, err = gateOptions(loaded); err != nil {
		return err
	}
	if err = checkGripKeys(loaded); err != nil {
		return err
	}
	if s.access, err = openAccess(loaded, s.log.Logger); err != nil {
		return err
	}
	s.files, err = openFiles(s.process, loaded, s.log.Logger)
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

func (s *server) bind(ctx context.Context, pools []config.Pool) (err error) {
	for _, address := range s.config.Bind {
		l, err := s.listen(ctx, withoutScheme(address))
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	if s.config.AdminBind != "" {
		if s.adminListener, err = s.listen(ctx, s.config.AdminBind); err != nil {
			return err
		}
	}
	return s.bindTCP(ctx, pools)
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
	for _, each := range s.sockets {
		_ = each.listener.Close()
	}
}

// run starts the parts and stops them in reverse, users before what they use: clients first, because their requests
// need workers; then workers, because they need the dispatcher; then the access log, which everything before writes
// to.
func (s *server) run(ctx context.Context) error {
	first := s.process.predecessor == nil
	if first {
		if err := s.claimPID(); err != nil {
			s.unbind()
			return err
		}
	}
	defer s.releasePID()
	parts := newParts(ctx)
	s.broken = parts.broken.Load
	if s.admin != nil {
		parts.start(s.runAdmin)
	}
	s.startControl(parts, first)
	if s.access != nil {
		parts.start(s.access.run)
	}
	parts.start(s.files.Run)
	s.pools.channels.start(parts)
	parts.start(s.pools.watchClocks)
	if s.config.Reload {
		parts.start(s.watch)
	}
	if s.certificates != nil {
		parts.start(s.certificates.Run)
		<-s.certificates.Loaded() // or the first clients would be refused for no reason
	}
	supervising := parts.start(s.pools.Run)
	up, err := s.boot(parts)
	if up {
		err = s.pools.checkSockets()
		up = err == nil
	}
	if up && !first {
		err = s.claimPID()
		up = err == nil
	}
	if !up {
		s.stage.Store(int32(stopping))
		s.unbind()
		s.pools.Quit()
		return errors.Join(err, parts.stop())
	}
	s.greet()
	serving := s.accept(parts)
	s.stage.Store(int32(working))
	if !first {
		s.takeOver()
		parts.start(s.takePackets)
	}
	s.systemd.Ready(s.status())
	parts.start(func(ctx context.Context) error { return s.systemd.Run(ctx, s.pulse().check) })
	err = s.obey(parts, serving, supervising)
	return errors.Join(err, parts.stop())
}

// boot waits for the first worker, or for all of them where another process serves meanwhile, which has as many.
// Without one and without an error a signal said to stop, which is done at once: nothing has been promised to anybody
// yet.
func (s *server) boot(all *parts) (up bool, err error) {
	waiting := s.pools.up(s.process.predecessor != nil)
	for len(waiting) > 0 {
		select {
		case <-waiting[0]:
			waiting = waiting[1:]
		case part := <-all.ended:
			return false, part.err
		case sig := <-s.signals():
			if s.act(sig) != goOn {
				return false, nil
			}
		}
	}
	return true, nil
}

// accept lets clients in: the result is the part that serves them.
func (s *server) accept(all *parts) *part {
	serving := all.start(func(ctx context.Context) error {
		return s.edge.Run(ctx, s.pools.grace(), s.listeners...)
	})
	all.start(s.pools.serveTCP)
	if s.certificates != nil {
		s.certificates.Begin()
	}
	return serving
}

// watch reloads the application when a file of it changes.
func (s *server) watch(ctx context.Context) error {
	options := supervisor.WatchOptions{Log: s.log.Logger}
	for _, path := range absolute(s.config.ReloadDirs, s.pools.first().app.dir) {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			options.Dirs = append(options.Dirs, path)
		} else {
			options.Files = append(options.Files, path)
		}
	}
	if len(s.config.ReloadDirs) == 0 {
		for _, each := range s.pools.all {
			if !slices.Contains(options.Dirs, each.app.dir) {
				options.Dirs = append(options.Dirs, each.app.dir)
			}
		}
	}
	return supervisor.Watch(ctx, options, func(path string) {
		s.log.Info("a file changed", "file", path)
		s.pools.Reload()
	})
}
