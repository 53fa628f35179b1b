package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"backline"
)

// patience is how long anything may take before a test fails.
const patience = 30 * time.Second

// program is one run of the whole program inside the test's process.
type program struct {
	t       *testing.T
	signals chan os.Signal
	stdout  text
	stderr  text
	status  chan int
}

// text collects what a program writes, and can be waited on.
type text struct {
	mu      sync.Mutex
	written strings.Builder
	more    chan struct{}
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.written.Write(p)
	select {
	case x.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.written.String()
}

// await gives what the pattern's first group matches, once it does.
func (x *text) await(t *testing.T, pattern string) string {
	t.Helper()
	compiled, deadline := regexp.MustCompile(pattern), time.After(patience)
	for {
		if found := compiled.FindStringSubmatch(x.String()); found != nil {
			return found[len(found)-1]
		}
		select {
		case <-x.more:
		case <-deadline:
			t.Fatalf("no %q in time in:\n%s", pattern, x)
		}
	}
}

// begin runs the program in a folder of its own with these modules.
func begin(t *testing.T, modules map[string]string, args ...string) *program {
	t.Helper()
	dir := t.TempDir()
	for name, source := range modules {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &program{t: t, signals: make(chan os.Signal, 8), status: make(chan int, 1)}
	p.stdout.more, p.stderr.more = make(chan struct{}, 1), make(chan struct{}, 1)
	go func() {
		p.status <- run(context.Background(), process{
			args: args, environ: append(os.Environ(), "BACKLINE_CONTROL_SOCKET=off"), dir: dir, stdout: &p.stdout, stderr: &p.stderr, signals: p.signals,
		})
	}()
	return p
}

// end waits for the program's end and gives its exit status.
func (p *program) end() int {
	p.t.Helper()
	select {
	case status := <-p.status:
		return status
	case <-time.After(patience):
		p.t.Fatalf("the program does not end; it wrote:\n%s", &p.stderr)
		return -1
	}
}

// interpreter gives a Python, or skips where there is none: CI has one.
func interpreter(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("no python3: %v", err)
	}
	return path
}

const hello = `
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("hello from " + environ["PATH_INFO"]).encode()]
`

// TestTwoServersInOneProcess is what rule "no package state" is for: they run side by side and end apart.
func TestTwoServersInOneProcess(t *testing.T) {
	t.Parallel()
	python := interpreter(t)
	var servers []*program
	var addresses []string
	for range 2 {
		server := begin(t, map[string]string{"site_.py": hello}, "serve", "site_", "-b", "127.0.0.1:0", "-w", "1", "--python", python)
		servers = append(servers, server)
		addresses = append(addresses, server.stderr.await(t, `on +http://(\S+)`))
		server.stderr.await(t, "ready in")
	}
	for _, address := range addresses {
		if got := get(t, address, "/here"); got != "hello from /here" {
			t.Errorf("got %q", got)
		}
	}
	servers[0].signals <- syscall.SIGTERM
	if status := servers[0].end(); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	if got := get(t, addresses[1], "/still"); got != "hello from /still" {
		t.Errorf("got %q", got)
	}
	servers[1].signals <- syscall.SIGQUIT
	if status := servers[1].end(); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	if conn, err := net.Dial("tcp", addresses[1]); err == nil {
		_ = conn.Close()
		t.Error("a server that has ended still listens")
	}
}

func get(t *testing.T, address, path string) string {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestFailedStartLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	python := interpreter(t)
	server := begin(t, map[string]string{"broken.py": "raise ValueError('not today')\n"},
		"serve", "broken", "-b", "127.0.0.1:0", "-w", "2", "--python", python)
	if status := server.end(); status != 3 {
		t.Errorf("exit status %d, want 3", status)
	}
	if got := server.stderr.String(); strings.Count(got, "ValueError: not today") != 2 {
		t.Errorf("want the traceback and one line, got:\n%s", got)
	}
}

func TestPortInUseIsFoundBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	server := begin(t, nil, "serve", "nothing", "-b", taken.Addr().String(), "--python", interpreter(t))
	if status := server.end(); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	server.stderr.await(t, "another process already listens there")
}

func TestCheckTellsWhatStarts(t *testing.T) {
	t.Parallel()
	check := begin(t, map[string]string{"site_.py": hello}, "check", "site_", "--python", interpreter(t))
	if status := check.end(); status != 0 {
		t.Errorf("exit status %d, want 0; %s", status, &check.stderr)
	}
	check.stdout.await(t, `site_:app starts \(WSGI, CPython 3\.`)
}

func TestUnknownCommand(t *testing.T) {
	t.Parallel()
	for word, hint := range map[string]string{
		"servee": "did you mean backline serve?", "mysite.wsgi": "backline serve mysite.wsgi",
		"app:app": "backline serve app:app", "zzz": "backline --help lists the commands",
	} {
		p := begin(t, nil, word)
		if status := p.end(); status != 2 {
			t.Errorf("%s: exit status %d, want 2", word, status)
		}
		if got := p.stderr.String(); !strings.Contains(got, hint) || !strings.Contains(got, `"`+word+`"`) {
			t.Errorf("%s: got %q, want %q in it", word, got, hint)
		}
	}
}

func TestTellShowsEveryErrorAndTheFirstOnesStatus(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	status := tell(&out, errors.Join(
		&backline.Error{Op: "start", Code: backline.CodeApp, Message: "no", Hint: "do this", Detail: "Traceback\n  here\n"},
		errors.Join(&backline.Error{Code: backline.CodeUsage, Message: "second"}),
		fs.ErrExist,
	))
	want := "Traceback\n  here\nbackline: start: no\n  do this\nbackline: second\n" +
		"backline: file already exists\n  backline --help lists the commands\n"
	if got := out.String(); got != want || status != 3 {
		t.Errorf("got %q with status %d, want %q with 3", got, status, want)
	}
}
