package supervisor

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	testVersion = "1.2.3"
	patience    = 30 * time.Second // for anything that must happen; the machine may be busy
)

// bundle is a supervisor of real processes, an observer in place of the dispatcher, and what both said.
type bundle struct {
	*Supervisor
	observer *observer
	logs     *logs
	code     string // the file that says how a worker boots
	cancel   context.CancelFunc
	result   chan error
}

// setup starts a supervisor with two workers and impatient limits; change may alter the options. At the test's end it
// stops, and must leave no process.
func setup(t *testing.T, code string, change func(*Options)) *bundle {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("these tests start Python processes: %v", err)
	}
	script, err := filepath.Abs("testdata/worker.py")
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{
		observer: newObserver(), logs: &logs{changed: make(chan struct{})},
		code: filepath.Join(t.TempDir(), "code"), result: make(chan error, 1),
	}
	b.write(t, code)
	opts := Options{
		Workers: 2, Version: testVersion, Settings: map[string]any{"app": "mysite"},
		Command:     []string{python, "-I", "-S", script},
		Env:         []string{"CODE=" + b.code, "VERSION=" + testVersion, "PATH=" + os.Getenv("PATH")},
		StopTimeout: patience, KillTimeout: patience,
		Backoff: Backoff{Min: 20 * time.Millisecond, Max: 80 * time.Millisecond, Stable: time.Hour},
		Log:     slog.New(b.logs), Observer: b.observer,
	}
	if change != nil {
		change(&opts)
	}
	if b.Supervisor, err = New(opts); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() { b.result <- b.Run(ctx) }()
	t.Cleanup(func() { b.finish(t) })
	return b
}

func (b *bundle) finish(t *testing.T) {
	b.cancel()
	b.Quit()
	select {
	case <-b.result:
	case <-time.After(patience):
		t.Error("Run does not return after Quit")
	}
	if left := b.Snapshot(); len(left) != 0 {
		t.Errorf("processes are left: %v", left)
	}
	for name, count := range b.observer.balance() {
		if count != 0 {
			t.Errorf("%s: WorkerUp without its one WorkerDown (%+d)", name, count)
		}
	}
	if t.Failed() {
		t.Logf("log:\n%s", strings.Join(b.logs.all(), "\n"))
	}
}

// until waits for what nothing announces.
func until(t *testing.T, condition func() bool, what string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// write changes the application.
func (b *bundle) write(t *testing.T, code string) {
	t.Helper()
	if err := os.WriteFile(b.code, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
}

// end waits for Run and gives its result.
func (b *bundle) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-b.result:
		b.result <- err // finish takes it too
		return err
	case <-time.After(patience):
		t.Fatal("Run does not return")
		return nil
	}
}

// status is what Snapshot says, without what changes with time.
func (b *bundle) status() string {
	var words []string
	for _, w := range b.Snapshot() {
		words = append(words, w.Name+" "+w.State.String())
	}
	return strings.Join(words, ", ")
}

// observer stands where the dispatcher does: it is told of workers and has their connections.
type observer struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each event
	events  []string      // "up web.1", "drain web.1", "down web.1 crashed"
	links   map[string]*link
	busy    bool  // workers stay busy after Drain until release is called
	sockets int64 // that workers which come up from now on hold
}

type link struct {
	observer *observer
	worker   *Worker
	reader   *bufio.Reader
	calm     chan struct{}
	idle     chan struct{}
	calmOnce sync.Once
	once     sync.Once
	sockets  atomic.Int64
}

func newObserver() *observer {
	return &observer{changed: make(chan struct{}), links: map[string]*link{}}
}

func (o *observer) addf(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, fmt.Sprintf(format, args...))
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *observer) WorkerUp(w *Worker) Link { //nolint:ireturn // as its interface says
	l := &link{observer: o, worker: w, reader: bufio.NewReader(w.Conn), calm: make(chan struct{}), idle: make(chan struct{})}
	o.mu.Lock()
	l.sockets.Store(o.sockets)
	o.links[w.Name] = l
	o.mu.Unlock()
	o.addf("up %s", w.Name)
	return l
}

func (o *observer) WorkerDown(w *Worker, why Reason) {
	_ = w.Conn.Close()
	o.addf("down %s %s", w.Name, why)
}

func (l *link) Drain() {
	l.observer.addf("drain %s", l.worker.Name)
	l.observer.mu.Lock()
	busy := l.observer.busy
	l.observer.mu.Unlock()
	if !busy {
		l.release()
	}
}

func (l *link) Calm() <-chan struct{} { return l.calm }
func (l *link) Idle() <-chan struct{} { return l.idle }
func (l *link) Sockets() int          { return int(l.sockets.Load()) }

func (l *link) CloseSockets(n int) {
	if n = min(n, l.Sockets()); n == 0 {
		return
	}
	l.observer.addf("close %d of %s", n, l.worker.Name)
	if l.sockets.Add(int64(-n)) == 0 {
		l.release()
	}
}

// release ends the worker's last request, and, if it has no sockets, its work.
func (l *link) release() {
	l.calmOnce.Do(func() { close(l.calm) })
	if l.Sockets() > 0 {
		return
	}
	l.once.Do(func() {
		_, _ = l.worker.Conn.Write([]byte("stop\n"))
		close(l.idle)
	})
}

// tell makes a worker do something; ask returns what it answers.
func (o *observer) tell(t *testing.T, name, command string) {
	t.Helper()
	if _, err := o.link(name).worker.Conn.Write([]byte(command + "\n")); err != nil {
		t.Fatalf("tell %s to %s: %v", name, command, err)
	}
}

func (o *observer) ask(t *testing.T, name, command string) string {
	t.Helper()
	o.tell(t, name, command)
	line, err := o.link(name).reader.ReadString('\n')
	if err != nil {
		t.Fatalf("ask %s to %s: %v", name, command, err)
	}
	return strings.TrimSpace(line)
}

func (o *observer) link(name string) *link {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.links[name]
}

// setSockets says how many sockets workers hold that come up from now on.
func (o *observer) setSockets(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sockets = n
}

func (o *observer) setBusy() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.busy = true
}

// wait waits until the events are these, in any order where several stand in one string separated by "|".
func (o *observer) wait(t *testing.T, want ...string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		o.mu.Lock()
		seen, changed := append([]string(nil), o.events...), o.changed
		o.mu.Unlock()
		if matches(seen, want) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the observer saw %q; expected %q", seen, want)
		}
	}
}

func matches(seen, want []string) bool {
	for _, group := range want {
		alternatives := strings.Split(group, "|")
		if len(seen) < len(alternatives) {
			return false
		}
		for _, event := range seen[:len(alternatives)] {
			if i := indexOf(alternatives, event); i >= 0 {
				alternatives = append(alternatives[:i], alternatives[i+1:]...)
			}
		}
		if len(alternatives) > 0 {
			return false
		}
		seen = seen[strings.Count(group, "|")+1:]
	}
	return len(seen) == 0
}

func indexOf(list []string, item string) int {
	for i, s := range list {
		if s == item {
			return i
		}
	}
	return -1
}

func (o *observer) balance() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	count := map[string]int{}
	for _, event := range o.events {
		switch words := strings.Fields(event); words[0] {
		case "up":
			count[words[1]]++
		case "down":
			count[words[1]]--
		}
	}
	return count
}

// logs keeps log records as text and lets a test wait for one.
type logs struct {
	mu      sync.Mutex
	changed chan struct{}
	lines   []string
}

func (l *logs) Enabled(context.Context, slog.Level) bool { return true }

func (l *logs) Handle(_ context.Context, record slog.Record) error {
	line := record.Level.String() + " " + record.Message
	record.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

func (l *logs) WithAttrs(attrs []slog.Attr) slog.Handler { return &logsWith{l, attrs} }
func (l *logs) WithGroup(string) slog.Handler            { return l }

type logsWith struct {
	*logs
	attrs []slog.Attr
}

func (l *logsWith) Handle(ctx context.Context, record slog.Record) error {
	record = record.Clone()
	record.AddAttrs(l.attrs...)
	return l.logs.Handle(ctx, record)
}

func (l *logs) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// wait waits for the n-th line that contains all of words, and gives it.
func (l *logs) wait(t *testing.T, n int, words ...string) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		lines, changed := l.lines, l.changed
		l.mu.Unlock()
		found := 0
		for _, line := range lines {
			if containsAll(line, words) {
				if found++; found == n {
					return line
				}
			}
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("no log line %d with %q", n, words)
		}
	}
}

func containsAll(line string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(line, word) {
			return false
		}
	}
	return true
}
