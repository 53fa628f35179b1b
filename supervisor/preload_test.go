package supervisor

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"backline"
)

// preloading has workers forked from a template; change may alter more.
func preloading(t *testing.T, change func(*Options)) func(*Options) {
	t.Helper()
	script, err := filepath.Abs("testdata/template.py")
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) {
		o.Template = slices.Concat(o.Command[:len(o.Command)-1], []string{script})
		if change != nil {
			change(o)
		}
	}
}

// parent is the template of a worker.
func (b *bundle) parent(t *testing.T, worker string) int {
	t.Helper()
	pid, err := strconv.Atoi(b.observer.ask(t, worker, "parent"))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// hanging is the process that hangs in its import.
func (b *bundle) hanging(t *testing.T) int {
	t.Helper()
	line := b.logs.wait(t, 1, "INFO hanging as ")
	number, _, _ := strings.Cut(line[strings.Index(line, " as ")+len(" as "):], " ")
	pid, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// exists tells whether there is a process of this number, reaped processes excluded.
func exists(pid int) bool { return syscall.Kill(pid, 0) == nil }

// codeOf is what a worker has imported.
func (b *bundle) codeOf(worker string) string {
	_, code, _ := strings.Cut(b.observer.link(worker).worker.Up.Application, " as ")
	return code
}

func TestWorkersAreForkedFromOneTemplate(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", preloading(t, nil))
	b.observer.wait(t, "up web.1|up web.2")
	one, two := b.parent(t, "web.1"), b.parent(t, "web.2")
	if one != two {
		t.Errorf("web.1 has the parent %d, web.2 %d; expected one template", one, two)
	}
	b.logs.wait(t, 1, "DEBUG template up", "pid="+strconv.Itoa(one), "worker=web.template.1")
	for _, name := range []string{"web.1", "web.2"} {
		if got := b.observer.ask(t, name, "descriptors"); got != "2" {
			t.Errorf("%s has %s sockets; expected its connection and the control connection", name, got)
		}
		b.observer.tell(t, name, "print from "+name)
		b.logs.wait(t, 1, "INFO from "+name, "worker="+name, "stream=stdout")
	}
}

func TestWhatATemplateNotesIsAWarning(t *testing.T) {
	t.Parallel()
	b := setup(t, "threaded", preloading(t, one))
	b.observer.wait(t, "up web.1")
	b.logs.wait(t, 1, "WARN a thread called metrics", "worker=web.template.1")
}

func TestTheEndOfAForkedWorkerIsKnown(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", preloading(t, one))
	b.observer.wait(t, "up web.1")
	parent := b.parent(t, "web.1")
	b.observer.tell(t, "web.1", "exit 5")
	b.observer.wait(t, "up web.1", "down web.1 crashed", "up web.2")
	b.logs.wait(t, 1, "ERROR worker died", "status=exit status 5")
	b.observer.tell(t, "web.2", "abort")
	b.observer.wait(t, "up web.1", "down web.1 crashed", "up web.2", "down web.2 crashed", "up web.3")
	b.logs.wait(t, 1, "ERROR worker died", "status=killed by signal 11")
	b.kill(t, b.observer.link("web.3").worker.PID)
	b.logs.wait(t, 1, "ERROR worker died", "reason=killed")
	b.observer.wait(t, "up web.1", "down web.1 crashed", "up web.2", "down web.2 crashed", "up web.3",
		"down web.3 killed", "up web.4")
	if got := b.parent(t, "web.4"); got != parent {
		t.Errorf("web.4 has the parent %d; expected the template of the others, %d", got, parent)
	}
}

func TestWorkersOutliveTheirTemplate(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", preloading(t, one))
	b.observer.wait(t, "up web.1")
	b.kill(t, b.parent(t, "web.1"))
	b.logs.wait(t, 1, "ERROR template died", "killed by signal 9")
	b.logs.wait(t, 1, "INFO template up", "worker=web.template.2")
	b.observer.tell(t, "web.1", "exit 5")
	b.observer.wait(t, "up web.1", "down web.1 crashed", "up web.2")
	b.logs.wait(t, 1, "ERROR worker died", "exit status unknown")
}

func TestATemplateThatDiesIsReplacedByOneThatComesUp(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", preloading(t, one))
	b.observer.wait(t, "up web.1")
	b.write(t, "raise")
	b.kill(t, b.parent(t, "web.1"))
	b.logs.wait(t, 2, "ERROR template did not come up", "retry_in=")
	b.write(t, "mended")
	b.logs.wait(t, 1, "INFO template up")
	b.observer.tell(t, "web.1", "exit 5")
	b.observer.wait(t, "up web.1", "down web.1 crashed", "up web.2")
	if got := b.codeOf("web.2"); got != "mended" {
		t.Errorf("the next worker has the code %q", got)
	}
}

func TestReloadStartsANewTemplateFirst(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", preloading(t, nil))
	b.observer.wait(t, "up web.1|up web.2")
	old := b.parent(t, "web.1")
	b.write(t, "newer")
	b.Reload()
	b.logs.wait(t, 1, "INFO reload complete")
	b.observer.wait(t, "up web.1|up web.2", "up web.3", "drain web.1", "down web.1 reloaded|up web.4", "drain web.2",
		"down web.2 reloaded")
	if b.codeOf("web.3") != "newer" || b.codeOf("web.4") != "newer" {
		t.Errorf("the new workers have %q and %q", b.codeOf("web.3"), b.codeOf("web.4"))
	}
	if got := b.parent(t, "web.3"); got == old || got != b.parent(t, "web.4") {
		t.Errorf("web.3 has the parent %d; expected a new one, that of web.4", got)
	}
	until(t, func() bool { return !exists(old) }, "the end of the old template")
}

func TestReloadWithCodeThatDoesNotComeUpKeepsTheTemplate(t *testing.T) {
	t.Parallel()
	for code, why := range map[string]string{"raise": "mysite.wsgi raised NameError", "late": "no database"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "fine", preloading(t, one))
			b.observer.wait(t, "up web.1")
			parent := b.parent(t, "web.1")
			b.write(t, code)
			b.Reload()
			b.logs.wait(t, 1, "ERROR reload abandoned", why)
			b.observer.tell(t, "web.1", "exit 5")
			b.logs.wait(t, 1, "INFO worker up")
			var next string
			for _, s := range b.Snapshot() {
				next = s.Name
			}
			if b.parent(t, next) != parent || b.codeOf(next) != "fine" {
				t.Errorf("%s is no child of the old template", next)
			}
		})
	}
}

func TestReloadDuringTheImportOfATemplate(t *testing.T) {
	t.Parallel()
	b := setup(t, "hang", preloading(t, one))
	b.logs.wait(t, 1, "INFO hanging", "worker=web.template.1")
	b.write(t, "mended")
	b.Reload()
	// A boot under way is left alone; its end makes room for one with newer code.
	b.kill(t, b.hanging(t))
	b.observer.wait(t, "up web.1")
	b.logs.wait(t, 1, "INFO reload complete")
}

func TestNoWorkerWithoutATemplate(t *testing.T) {
	t.Parallel()
	b := setup(t, "raise", preloading(t, nil))
	if err := backline.AsError(b.end(t)); err.Code != backline.CodeApp || !strings.Contains(err.Detail, "NameError: x") {
		t.Errorf("Run returned %+v; expected the application's mistake", err)
	}
	b.observer.wait(t)
}

func TestATemplateThatIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := setup(t, "raise", preloading(t, func(o *Options) { o.AwaitReload = true }))
	b.logs.wait(t, 1, "ERROR the application does not come up; waiting for it to be mended")
	b.write(t, "mended")
	b.Reload()
	b.observer.wait(t, "up web.1|up web.2")
}

func TestAForkThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, "refuse", preloading(t, nil))
	b.logs.wait(t, 1, "ERROR worker did not come up", "no room")
	select {
	case <-b.Complete():
	case <-time.After(patience):
		t.Error("the pool is not complete")
	}
}

func TestATemplateThatBreaksTheProtocolIsKilled(t *testing.T) {
	t.Parallel()
	b := setup(t, "babble", preloading(t, one))
	b.logs.wait(t, 1, "ERROR template breaks the protocol", "nothing")
	if err := b.end(t); err == nil || !strings.Contains(err.Error(), "the template has ended") {
		t.Errorf("Run returned %v", err)
	}
}

func TestTheEndDuringTheImportOfATemplate(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*bundle){"quit": func(b *bundle) { b.Quit() }, "stop": func(b *bundle) { b.cancel() }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "hang", preloading(t, nil))
			pid := b.hanging(t)
			end(b)
			if err := b.end(t); err != nil {
				t.Errorf("Run returned %v", err)
			}
			if exists(pid) {
				t.Error("the template is left")
			}
		})
	}
}

func TestQuitKnowsHowForkedWorkersEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", preloading(t, one))
	b.observer.wait(t, "up web.1")
	b.Quit()
	if err := b.end(t); err != nil {
		t.Errorf("Run returned %v", err)
	}
	b.logs.wait(t, 1, "worker ended", "status=killed by signal 9")
}

func TestTheEndOfATemplateWithoutWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", preloading(t, func(o *Options) {
		o.Workers, o.Backoff = 1, Backoff{Min: time.Hour, Max: time.Hour, Stable: time.Hour}
	}))
	b.observer.wait(t, "up web.1")
	parent := b.parent(t, "web.1")
	b.observer.tell(t, "web.1", "exit 1")
	b.observer.wait(t, "up web.1", "down web.1 crashed", "up web.2")
	b.observer.tell(t, "web.2", "exit 1")
	b.logs.wait(t, 1, "ERROR worker died", "restart_in=1h0m0s")
	b.cancel()
	if err := b.end(t); err != nil {
		t.Errorf("Run returned %v", err)
	}
	if exists(parent) {
		t.Error("the template is left")
	}
}

func TestScaleWithATemplate(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", preloading(t, one))
	b.observer.wait(t, "up web.1")
	b.Scale(1)
	b.observer.wait(t, "up web.1", "up web.2")
	b.Scale(-1)
	b.observer.wait(t, "up web.1", "up web.2", "drain web.2", "down web.2 scaled")
}
