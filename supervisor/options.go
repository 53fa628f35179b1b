package supervisor

import (
	"fmt"
	"log/slog"
	"time"

	"backline"
)

// Options describe one pool of workers.
type Options struct {
	// Pool names the pool and its workers: "web" has web.1, web.2, ... "" means "web".
	Pool string
	// Workers is how many processes run. At least 1; there is no default, because what is right depends on the
	// machine, which the caller knows.
	Workers int
	// OnDemand is for a pool that may never be needed: no worker starts before Demand, and the failure of all of them is
	// no reason for Run to return; they are started again and again, as after a crash.
	OnDemand bool
	// GiveWay is for processes that compute: each gives its processor up at once to whoever wakes up there.
	GiveWay bool
	// Command is the interpreter and its arguments. A worker finds its connection at descriptor 3 and the control
	// connection at descriptor 4.
	Command []string
	// Other says that Command is no Python that runs our worker but a program of the user's.
	Other bool
	// Template is the command of a process that imports the application once and is then forked for each worker, which
	// shares its memory. It has the same descriptors. nil means that each worker is a process of Command, which imports
	// the application for itself.
	Template []string
	// Dir is the directory workers start in. "" means the server's own.
	Dir string
	// Env is the whole environment of a worker, as "NAME=value". nil means the server's own environment; an empty
	// slice means none.
	Env []string
	// Version is this server's version; a worker whose backline package differs is refused.
	Version string
	// Settings go to the worker with the welcome: what to import and how to run it.
	Settings map[string]any

	// BootTimeout is how long importing the application and starting its lifespan may take. 0 means 120 s, a negative
	// value no limit. Too short a value turns a slow import into a crash loop.
	BootTimeout time.Duration
	// GracefulTimeout is how long a worker that is to end may finish its requests. 0 means 30 s, a negative value not
	// at all. The requests that are left are lost.
	GracefulTimeout time.Duration
	// StopTimeout is how long a worker may take to end after its last request: lifespan shutdown, atexit functions.
	// 0 means 10 s. Then it gets SIGTERM.
	StopTimeout time.Duration
	// KillTimeout is the time between that SIGTERM and SIGKILL. 0 means 2 s.
	KillTimeout time.Duration
	// SocketDrain is how long WebSockets may stay on a worker that has a successor; in the last quarter of it they are
	// closed, evenly. 0 means 300 s, a negative value that they are closed at once: all their clients then connect
	// again in the same second.
	SocketDrain time.Duration

	// MaxMemory is the resident memory, in bytes, above which a worker is replaced. Its children are not counted. 0
	// means no limit.
	MaxMemory int64
	// MemoryInterval is how often it is measured. 0 means 2 s.
	MemoryInterval time.Duration
	// Backoff slows restarts down when a worker keeps dying.
	Backoff Backoff
	// AwaitReload is for a developer's machine: when the application cannot be imported and no worker has ever come
	// up, Run logs why and tries again at the next Reload, instead of returning the error.
	AwaitReload bool

	// Log gets everything the supervisor does. nil means slog.Default().
	Log *slog.Logger
	// Output gets each line that a worker prints, without its newline; stream is "stdout" or "stderr". It is called by
	// two goroutines per worker, and line is only valid during the call. While it blocks, so does the worker's print.
	// nil means Log, at level info.
	Output func(worker, stream string, line []byte)
	// Observer is told which workers can be sent requests. Required.
	Observer Observer
	// Reloaded is called on Run's goroutine when a reload is over; err is why it was abandoned. nil: nobody is told.
	Reloaded func(err error)
}

// Observer is told which workers can be sent requests. Its methods are called from the goroutine of the worker in
// question: WorkerUp and then WorkerDown for one worker, both at once for two. They should return soon; the worker's
// end is not seen meanwhile.
type Observer interface {
	// WorkerUp says that w's application is imported and its lifespan has started. From now on the observer alone
	// reads, writes and closes w.Conn, and alone uses w.Control.
	WorkerUp(w *Worker) Link
	// WorkerDown says that w's process has ended; called exactly once per WorkerUp. What the worker wrote before may
	// still be in w.Conn: the observer reads it to its end, then closes it. w.Control is closed by the supervisor.
	WorkerDown(w *Worker, why Reason)
}

// Link is the sending side of one worker, as its observer sees it.
type Link interface {
	// Drain stops new requests to the worker. It is called once, and must not wait for the ones under way.
	Drain()
	// Calm gives a channel that is closed when, after Drain, no request is left but, perhaps, WebSockets.
	Calm() <-chan struct{}
	// Idle gives a channel that is closed when, after Drain, neither requests nor WebSockets are left and the worker
	// has been told to stop. The supervisor then waits for its process to end.
	Idle() <-chan struct{}
	// Sockets is how many WebSockets the worker holds.
	Sockets() int
	// CloseSockets closes up to n of them, the oldest first, so that their clients connect to another worker. It must
	// not wait for them.
	CloseSockets(n int)
}

// The defaults of Options.
const (
	defaultPool            = "web"
	defaultBootTimeout     = 120 * time.Second
	defaultGracefulTimeout = 30 * time.Second
	defaultStopTimeout     = 10 * time.Second
	defaultKillTimeout     = 2 * time.Second
	defaultSocketDrain     = 300 * time.Second
	defaultMemoryInterval  = 2 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Pool == "" {
		o.Pool = defaultPool
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Output == nil {
		log := o.Log
		o.Output = func(worker, stream string, line []byte) {
			log.Info(string(line), "worker", worker, "stream", stream)
		}
	}
	if o.Reloaded == nil {
		o.Reloaded = func(error) {}
	}
	for _, d := range []struct {
		value *time.Duration
		zero  time.Duration
	}{
		{&o.BootTimeout, defaultBootTimeout},
		{&o.GracefulTimeout, defaultGracefulTimeout},
		{&o.StopTimeout, defaultStopTimeout},
		{&o.KillTimeout, defaultKillTimeout},
		{&o.SocketDrain, defaultSocketDrain},
		{&o.MemoryInterval, defaultMemoryInterval},
		{&o.Backoff.Min, defaultBackoffMin},
		{&o.Backoff.Max, defaultBackoffMax},
		{&o.Backoff.Stable, defaultBackoffStable},
	} {
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	return o
}

func (o Options) validate() error {
	wrong := func(format string, args ...any) error {
		return &backline.Error{Op: "pool " + o.Pool, Code: backline.CodeUsage, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case o.Workers < 1:
		return wrong("%d workers; expected at least 1", o.Workers)
	case len(o.Command) == 0 || o.Command[0] == "":
		return wrong("no command for the workers; expected an interpreter and its arguments")
	case o.Observer == nil:
		return wrong("no observer; without one no worker would ever be sent a request")
	case o.MaxMemory < 0:
		return wrong("memory limit of %d bytes; expected 0 (none) or more", o.MaxMemory)
	case o.MemoryInterval < 0:
		return wrong("memory interval of %v; expected more than 0", o.MemoryInterval)
	}
	return nil
}
