package main

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"backline"
	"backline/config"
	"backline/edge"
	"backline/python"
	"backline/supervisor"
	"backline/systemd"
	"backline/wire"
)

// application is how the workers are started.
type application struct {
	dir         string
	environ     []string
	interpreter python.Interpreter
	command     []string
	template    []string // command, for the process that workers are forked from; nil without --preload
	config      *config.Config
	alone       bool // no other process serves meanwhile
	requests    bool // routes lead more than WebSockets here
	tcp         bool // it is a function of connections
}

// startWorker is what the interpreter runs. The version is checked before the package is imported, because the
// package does not compile on older ones.
const startWorker = checkVersion + "from backline.worker import main\nmain()\n"

// startTemplate is the same for a template.
const startTemplate = checkVersion + "from backline.template import main\nmain()\n"

const checkVersion = "import sys\n" +
	"sys.version_info < (3, 10) and sys.exit(" +
	"'Backline needs Python 3.10 or newer; ' + sys.executable + ' is ' + sys.version.split()[0])\n" +
	"sys.path[0] = sys.argv.pop(1)\n"

// applicationFolder is where workers start and where relative paths of the settings lead from.
func (p *process) applicationFolder(c *config.Config) (string, error) {
	if filepath.IsAbs(c.Chdir) {
		return c.Chdir, nil
	}
	dir, err := filepath.Abs(filepath.Join(cmp.Or(p.dir, "."), c.Chdir))
	if err != nil {
		return "", &backline.Error{Op: "find the application's folder", Code: backline.CodeUsage, Err: err}
	}
	return dir, nil
}

func newApplication(p *process, c *config.Config) (*application, error) {
	dir, err := p.applicationFolder(c)
	if err != nil {
		return nil, err
	}
	a := &application{dir: dir, config: c, alone: p.predecessor == nil}
	a.environ = workerEnviron(p.socketEnviron(c, systemd.Environ(p.environ)), c.Env)
	if len(c.Command) > 0 {
		return a, a.runs(c)
	}
	if a.interpreter, err = python.FindInterpreter(p.fromHere(c.Python), p.environ, dir); err != nil {
		return nil, err
	}
	folder, err := python.Extract("")
	if err != nil {
		return nil, err
	}
	a.command = []string{a.interpreter.Path, "-c", startWorker, folder}
	if c.Preload {
		a.template = []string{a.interpreter.Path, "-c", startTemplate, folder}
	}
	return a, nil
}

// runs has the workers run a program of the user's, which is no Python.
func (a *application) runs(c *config.Config) error {
	program := c.Command[0]
	if strings.ContainsRune(program, filepath.Separator) && !filepath.IsAbs(program) {
		program = filepath.Join(a.dir, program)
	}
	path, err := exec.LookPath(program)
	switch {
	case err != nil:
		return &backline.Error{
			Op: "find the workers' program", Code: backline.CodeUsage, Err: err,
			Hint: "command names a program on PATH, or with a / a file in " + a.dir,
		}
	case c.Preload:
		return &backline.Error{
			Op: "preload the application", Code: backline.CodeUsage, Message: program + " is no Python application",
			Hint: "leave preload out where there is command",
		}
	}
	a.interpreter.Path, a.command = path, append([]string{path}, c.Command[1:]...)
	return nil
}

// fromHere gives a path as it was typed its meaning: from the folder of the command, where a shell completes it. What
// is not there stays as it is, and is looked for in the application's folder, where backline.toml may name it from.
func (p *process) fromHere(path string) string {
	if !strings.ContainsRune(path, filepath.Separator) || filepath.IsAbs(path) {
		return path
	}
	here, err := filepath.Abs(filepath.Join(p.dir, path))
	if err == nil {
		_, err = os.Stat(here)
	}
	if err != nil {
		return path
	}
	return here
}

// workerEnviron is the server's environment, what --env adds, and unbuffered output: lines are to appear in the log
// when they are printed.
func workerEnviron(environ, more []string) []string {
	all := append([]string{"PYTHONUNBUFFERED=1"}, environ...)
	return append(all, more...)
}

// socketEnviron is environ and where the control socket is, if that is not where it is looked for: what an application
// starts, or forks, has channels over it.
func (p *process) socketEnviron(c *config.Config, environ []string) []string {
	switch c.ControlSocket {
	case "":
		return environ
	case "off":
		return append(slices.Clone(environ), "BACKLINE_SOCKET=off")
	default:
		return append(slices.Clone(environ), "BACKLINE_SOCKET="+p.path(c.ControlSocket))
	}
}

// defaults are the entries that most requests share.
func (a *application) defaults(listeners []*edge.Listener) wire.Defaults {
	d := wire.Defaults{Scheme: "http", RootPath: a.config.RootPath, Server: backline.Addr{Host: "127.0.0.1", Port: 80}}
	if len(listeners) > 0 {
		d.Server = listeners[0].Address()
		if strings.HasPrefix(listeners[0].Name, "https:") {
			d.Scheme = "https"
		}
	}
	return d
}

// supervise gives the supervisor's options.
func (a *application) supervise(log *journal, o supervisor.Observer, d wire.Defaults) supervisor.Options {
	c := a.config
	grace, drain := c.GracefulTimeout, c.WebSocketDrain
	if c.Reload {
		grace, drain = min(grace, reloadGrace), min(drain, reloadGrace)
	}
	stop := time.Duration(0)
	if len(c.Channels) > 0 { // the dispatcher knows of no messages: such a worker sees to its grace itself
		stop = grace + channelsStop
	}
	return supervisor.Options{
		Workers: c.Workers, Command: a.command, Other: len(c.Command) > 0, Template: a.template, Dir: a.dir, Env: a.environ,
		Version: python.Version(), StopTimeout: stop,
		Settings: a.settings(d, grace), BootTimeout: orNone(c.WorkerBootTimeout), GracefulTimeout: orNone(grace),
		SocketDrain: orNone(drain), AwaitReload: c.Reload && a.alone,
		MaxMemory: c.MaxWorkerMemory, Log: log.Logger, Observer: o, Output: log.output,
	}
}

// reloadGrace is how long workers may finish their requests and keep their WebSockets with --reload: a developer who
// saves a file wants to see it, and a page that keeps a stream open would hold the old code for the whole graceful
// timeout.
const reloadGrace = 2 * time.Second

// channelsStop is how long a worker may take to end after its last message.
const channelsStop = 10 * time.Second

// wsgiWindow is how many bytes of a WSGI answer may be on their way to the edge, which takes them as fast as they
// come.
const wsgiWindow = 1 << 20

// settings go to the workers with the welcome.
func (a *application) settings(d wire.Defaults, grace time.Duration) map[string]any {
	c := a.config
	port := any(d.Server.Port)
	if d.Server.Port == 0 {
		port = nil
	}
	kind := workerInterface(c.WorkerClass)
	if a.tcp {
		kind = "tcp"
	}
	return map[string]any{
		"app": c.App, "requests": a.requests, "factory": c.Factory, "interface": kind,
		"worker_class": c.WorkerClass, "pythonpath": absolute(c.PythonPath, a.dir), "parallel_limit": c.ParallelLimit,
		"threads": c.Threads, "worker_connections": c.WorkerConnections, "workers": c.Workers, "lifespan": c.Lifespan,
		"compute_nice": c.ComputeNice, "compute_queue_size": c.ComputeQueueSize,
		"asgi_spec_version": c.ASGISpecVersion, "wsgi_window": wsgiWindow, "asgi_window": c.StreamWindow,
		"loop_stall": int(c.LoopStall.Milliseconds()), "busy_stall": int(c.BusyStall.Milliseconds()),
		"websocket_window": c.WebSocketWindow, "websocket_groups": c.WebSocketGroups, "websocket_state": c.WebSocketState,
		"sendfile_roots": absolute(c.SendfileRoot, a.dir),
		"channels":       c.Channels, "channels_grace": int(grace.Milliseconds()),
		"scheme": d.Scheme, "root_path": d.RootPath, "server": []any{d.Server.Host, port},
	}
}

// workerInterface is what a worker class says about the application.
func workerInterface(class string) string {
	switch class {
	case "threads", "gevent":
		return "wsgi"
	case "asyncio":
		return "asgi"
	default:
		return "auto"
	}
}

func absolute(paths []string, dir string) []string {
	all := make([]string, 0, len(paths))
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		all = append(all, path)
	}
	return all
}

// pretty shortens a path below the user's home.
func pretty(path string) string {
	if home, err := os.UserHomeDir(); err == nil && strings.HasPrefix(path, home+string(filepath.Separator)) {
		return "~" + path[len(home):]
	}
	return path
}
