package supervisor

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"backline"
)

// TestMain fails the package when a goroutine of it outlives the tests.
func TestMain(m *testing.M) {
	status := m.Run()
	stacks := make([]byte, 1<<20)
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		text := string(stacks[:runtime.Stack(stacks, true)])
		// This goroutine is one of the package.
		if strings.Count(text, "\nbackline/supervisor.") <= 1 {
			break
		}
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, "leaked goroutines:\n"+text)
			status = 1
			break
		}
	}
	os.Exit(status)
}

func one(o *Options) { o.Workers = 1 }

func TestWorkersComeUpAndStop(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", nil)
	b.observer.wait(t, "up web.1|up web.2")
	select {
	case <-b.Ready():
	case <-time.After(patience):
		t.Fatal("not ready although two workers are up")
	}
	w := b.observer.link("web.1").worker
	if w.Hello.PID != w.PID || w.Up.Application != "mysite as fine" || w.Up.Concurrency != 8 {
		t.Errorf("hello %+v, up %+v; expected process %d with mysite from the settings", w.Hello, w.Up, w.PID)
	}
	for _, s := range b.Snapshot() {
		if s.State != Up || s.RSS < 1<<20 || s.Age <= 0 || s.PID <= 1 || s.Restarts != 0 {
			t.Errorf("status %+v; expected a first worker that is up and has memory", s)
		}
	}
	b.cancel()
	if err := b.end(t); err != nil {
		t.Errorf("Run: %v; expected nil after a stop", err)
	}
	b.observer.wait(t, "up web.1|up web.2", "drain web.1|drain web.2|down web.1 shutdown|down web.2 shutdown")
	b.logs.wait(t, 2, "worker ended", "reason=shutdown", "status=exit status 0")
}

func TestCrashIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		die    func(t *testing.T, b *bundle)
		reason string
		status string
	}{
		"exit":  {func(t *testing.T, b *bundle) { b.observer.tell(t, "web.1", "exit 4") }, "crashed", "exit status 4"},
		"clean": {func(t *testing.T, b *bundle) { b.observer.tell(t, "web.1", "exit 0") }, "crashed", "exit status 0"},
		"signal": {func(t *testing.T, b *bundle) { b.observer.tell(t, "web.1", "abort") },
			"crashed", "killed by signal 11 (segmentation fault)"},
		"killed": {func(t *testing.T, b *bundle) {
			if err := syscall.Kill(b.observer.link("web.1").worker.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}, "killed", "killed by signal 9 (out of memory?)"},
		"by the observer": {func(_ *testing.T, b *bundle) { b.observer.link("web.1").worker.Kill(Broken) },
			"broken", "killed by signal 9"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "fine", one)
			b.observer.wait(t, "up web.1")
			test.die(t, b)
			b.observer.wait(t, "up web.1", "down web.1 "+test.reason, "up web.2")
			b.logs.wait(t, 1, "ERROR worker died", "reason="+test.reason, "status="+test.status+" ", "restart_in=0s", "worker=web.1")
			if s := b.Snapshot(); len(s) != 1 || s[0].Restarts != 1 {
				t.Errorf("status %+v; expected one worker, the second of its place", s)
			}
		})
	}
}

func TestRepeatedCrashBacksOff(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", one)
	b.observer.wait(t, "up web.1")
	b.write(t, "raise")
	b.observer.tell(t, "web.1", "exit 1")
	for i, pause := range []string{"20ms", "40ms", "80ms", "80ms"} {
		b.logs.wait(t, 1, "ERROR worker did not come up", "retry_in="+pause, fmt.Sprintf("worker=web.%d", i+2), "NameError: x")
	}
	b.write(t, "fine")
	b.logs.wait(t, 2, "worker up pid=")
}

func TestFailureOfTheFirstGenerationEndsRun(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code    string
		change  func(*Options)
		want    backline.Code
		message string
		detail  string
	}{
		"raises":       {"raise", nil, backline.CodeApp, "mysite.wsgi raised NameError", "mysite/wsgi.py, line 3"},
		"exits":        {"exit", nil, backline.CodeApp, "exit status 7", "giving up: no database"},
		"never hello":  {"mute", nil, backline.CodeWorker, "before it said hello: exit status 1", "cannot even begin"},
		"other one":    {"old", nil, backline.CodeProtocol, "the worker runs backline", ""},
		"never up":     {"hang", func(o *Options) { o.BootTimeout = 10 * time.Second }, backline.CodeApp, "within 10s", "hanging"},
		"no python":    {"fine", func(o *Options) { o.Command = []string{"python-none"} }, backline.CodeWorker, `cannot run "python-none"`, ""},
		"no directory": {"fine", func(o *Options) { o.Dir = "/none" }, backline.CodeWorker, "cannot start in /none", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, test.code, test.change)
			fault, ok := errors.AsType[*backline.Error](b.end(t))
			if !ok {
				t.Fatal("Run returned no *backline.Error")
			}
			if fault.Code != test.want || !strings.Contains(fault.Error(), test.message) || !strings.Contains(fault.Detail, test.detail) {
				t.Errorf("error %s: %s\ndetail: %q\nexpected %s, %q and %q in detail",
					fault.Code, fault, fault.Detail, test.want, test.message, test.detail)
			}
			if fault.Hint == "" {
				t.Error("no hint; expected what to do next")
			}
			b.observer.wait(t)
		})
	}
}

func TestOneWorkerThatComesUpIsEnough(t *testing.T) {
	t.Parallel()
	var gate string // the winner reads from it while it boots
	b := setup(t, "rival", func(o *Options) {
		gate = strings.TrimPrefix(o.Env[0], "CODE=") + ".gate"
		if err := syscall.Mkfifo(gate, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	b.logs.wait(t, 1, "INFO somebody else was first", "stream=stderr")
	until(t, func() bool { return len(b.Snapshot()) == 1 }, "the loser to end")
	b.write(t, "fine")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.logs.wait(t, 1, "ERROR worker did not come up", "somebody else was first", "retry_in=0s")
	b.logs.wait(t, 2, "worker up pid=")
}

func TestCompleteIsWhenEveryPlaceHasAWorker(t *testing.T) {
	t.Parallel()
	var gate string
	b := setup(t, "rival", func(o *Options) {
		gate = strings.TrimPrefix(o.Env[0], "CODE=") + ".gate"
		if err := syscall.Mkfifo(gate, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	b.logs.wait(t, 1, "INFO somebody else was first", "stream=stderr")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-b.Ready()
	select {
	case <-b.Complete():
		t.Error("complete although one worker of two failed")
	default:
	}
	b.write(t, "fine")
	select {
	case <-b.Complete():
	case <-time.After(patience):
		t.Error("not complete although both workers are up")
	}
}

func TestAwaitReload(t *testing.T) {
	t.Parallel()
	t.Run("an application that is mended", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "raise", func(o *Options) { o.AwaitReload = true })
		b.logs.wait(t, 1, "ERROR the application does not come up; waiting", "NameError: x", "hint=mend it")
		b.Reload()
		b.logs.wait(t, 2, "ERROR the application does not come up; waiting")
		b.write(t, "mended")
		b.Reload()
		b.observer.wait(t, "up web.5|up web.6")
		b.logs.wait(t, 1, "INFO reload complete")
	})
	t.Run("what no change of it can mend", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "fine", func(o *Options) { o.AwaitReload, o.Command = true, []string{"python-none"} })
		if err := b.end(t); backline.AsError(err).Code != backline.CodeWorker {
			t.Errorf("Run: %v; expected that the interpreter is missing", err)
		}
	})
	t.Run("a stop meanwhile", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "raise", func(o *Options) { o.AwaitReload = true })
		b.logs.wait(t, 1, "ERROR the application does not come up; waiting")
		b.cancel()
		if err := b.end(t); err != nil {
			t.Errorf("Run: %v; expected nil", err)
		}
	})
}

func TestScale(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", one)
	b.observer.wait(t, "up web.1")
	b.Scale(1)
	b.observer.wait(t, "up web.1", "up web.2")
	b.Scale(-1)
	b.observer.wait(t, "up web.1", "up web.2", "drain web.2", "down web.2 scaled")
	b.Scale(-5)
	b.logs.wait(t, 1, "INFO scale", "from=1 to=1")
	b.Scale(2)
	b.observer.wait(t, "up web.1", "up web.2", "drain web.2", "down web.2 scaled", "up web.3|up web.4")
}

func TestStopWaitsForRequests(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", one)
	b.observer.setBusy()
	b.observer.wait(t, "up web.1")
	b.cancel()
	b.observer.wait(t, "up web.1", "drain web.1")
	if got := b.status(); got != "web.1 draining" {
		t.Errorf("status %q; expected web.1 draining while it has a request", got)
	}
	b.observer.link("web.1").release()
	if err := b.end(t); err != nil {
		t.Errorf("Run: %v", err)
	}
	b.logs.wait(t, 1, "worker ended", "status=exit status 0")
}

func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	const short = 20 * time.Millisecond
	tests := map[string]struct {
		busy   bool
		deaf   bool
		change func(*Options)
		logs   []string
	}{
		"requests that do not end": {true, false, func(o *Options) { o.GracefulTimeout = short },
			[]string{"worker has requests after the graceful timeout", "status=killed by signal 15 (terminated)"}},
		"no patience at all": {true, false, func(o *Options) { o.GracefulTimeout = -1 },
			[]string{"worker has requests after the graceful timeout", "status=killed by signal 15 (terminated)"}},
		"a process that does not end": {false, true, func(o *Options) { o.StopTimeout, o.KillTimeout = short, short },
			[]string{"does not end after its last request", "ignores SIGTERM", "status=killed by signal 9 "}},
		"neither": {true, true, func(o *Options) { o.GracefulTimeout, o.StopTimeout = short, short },
			[]string{"worker has requests after the graceful timeout", "ignores SIGTERM", "status=killed by signal 9 "}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "fine", func(o *Options) { o.Workers = 1; test.change(o) })
			b.observer.wait(t, "up web.1")
			if test.busy {
				b.observer.setBusy()
			}
			if test.deaf {
				b.observer.ask(t, "web.1", "deaf")
			}
			b.cancel()
			if err := b.end(t); err != nil {
				t.Errorf("Run: %v; expected nil, whatever the workers do", err)
			}
			for _, words := range test.logs {
				b.logs.wait(t, 1, "WARN", words)
			}
			b.observer.wait(t, "up web.1", "drain web.1", "down web.1 shutdown")
		})
	}
}

func TestQuitKillsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", nil)
	b.observer.setBusy()
	b.observer.wait(t, "up web.1|up web.2")
	b.cancel()
	b.observer.wait(t, "up web.1|up web.2", "drain web.1|drain web.2")
	b.Quit()
	b.Quit()
	if err := b.end(t); err != nil {
		t.Errorf("Run: %v", err)
	}
	b.logs.wait(t, 2, "WARN worker ended", "reason=shutdown", "status=killed by signal 9")
}

func TestStopKillsABootAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, "hang", nil)
	b.logs.wait(t, 2, "INFO hanging", "stream=stdout")
	if got := b.status(); got != "web.1 importing, web.2 importing" {
		t.Errorf("status %q; expected both importing", got)
	}
	b.cancel()
	if err := b.end(t); err != nil {
		t.Errorf("Run: %v; a stop is no failure of the application", err)
	}
	b.observer.wait(t)
}

func TestDescendantsEndWithTheirWorker(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", one)
	b.observer.wait(t, "up web.1")
	pid, err := strconv.Atoi(b.observer.ask(t, "web.1", "child"))
	if err != nil {
		t.Fatal(err)
	}
	b.observer.tell(t, "web.1", "exit 1")
	b.observer.wait(t, "up web.1", "down web.1 crashed", "up web.2")
	until(t, func() bool { return memory(pid) == 0 }, "the process that the worker started to end with it")
}

func TestAWorkerHasOnlyItsOwnSockets(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the worker counts its descriptors in /proc")
	}
	b := setup(t, "fine", nil)
	b.observer.wait(t, "up web.1|up web.2")
	for _, name := range []string{"web.1", "web.2"} {
		if got := b.observer.ask(t, name, "descriptors"); got != "2" {
			t.Errorf("%s has %s sockets; expected 2, none of another worker", name, got)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	limit := func(bytes int64) func(*Options) {
		return func(o *Options) { o.Workers, o.MaxMemory, o.MemoryInterval = 1, bytes, 5*time.Millisecond }
	}
	t.Run("exceeded later", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "fine", limit(100<<20))
		b.observer.wait(t, "up web.1")
		b.observer.tell(t, "web.1", "grow 150")
		b.observer.wait(t, "up web.1", "up web.2", "drain web.1", "down web.1 memory")
		b.logs.wait(t, 1, "WARN worker takes too much memory", "limit=104857600", "worker=web.1")
	})
	t.Run("too small for any worker", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "fine", limit(1<<20))
		b.logs.wait(t, 1, "ERROR the memory limit is below", "hint=raise --max-worker-memory")
		b.cancel()
		_ = b.end(t)
		b.observer.wait(t, "up web.1", "drain web.1", "down web.1 shutdown")
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := Options{Workers: 1, Command: []string{"python3"}, Observer: newObserver()}
	if _, err := New(good); err != nil {
		t.Fatalf("New: %v", err)
	}
	tests := map[string]struct {
		change func(*Options)
		want   string
	}{
		"no workers":        {func(o *Options) { o.Workers = 0 }, "0 workers; expected at least 1"},
		"no command":        {func(o *Options) { o.Command = nil }, "no command"},
		"empty command":     {func(o *Options) { o.Command = []string{""} }, "no command"},
		"no observer":       {func(o *Options) { o.Observer = nil }, "no observer"},
		"negative memory":   {func(o *Options) { o.MaxMemory = -1 }, "memory limit of -1 bytes"},
		"negative interval": {func(o *Options) { o.MemoryInterval = -1 }, "memory interval of -1ns"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := good
			test.change(&opts)
			_, err := New(opts)
			if err == nil || !strings.Contains(err.Error(), test.want) || backline.AsError(err).Code != backline.CodeUsage {
				t.Errorf("New: %v; expected a usage error with %q", err, test.want)
			}
		})
	}
}
