package control_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"backline"
	"backline/control"
)

// folder is a short one: a socket's path may have 103 bytes, and the name of a test is part of t.TempDir.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "control") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// options answers as a server with this process number.
func options(pid int) control.Options {
	who := control.Identity{
		PID: pid, Version: "1.2.3", App: "mysite:app", Folder: "/srv/mysite", Addresses: []string{"http://127.0.0.1:1"},
	}
	return control.Options{
		Identity: func() control.Identity { return who },
		Status: func() control.Status {
			return control.Status{Identity: who, Pools: []control.Pool{{Name: "web"}}}
		},
		Stacks: func(_ context.Context, worker string) ([]control.Stacks, error) {
			if worker == "" {
				return []control.Stacks{{Worker: "web.1"}, {Worker: "web.2"}}, nil
			}
			return nil, &backline.Error{Message: "there is no worker " + worker, Hint: "there is web.1"}
		},
		Profile: func(ctx context.Context, worker string, how control.Sampling) ([]control.Profile, error) {
			if how.For == time.Hour/60 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return []control.Profile{{Worker: worker, Samples: how.Rate, Seconds: how.For.Seconds()}}, nil
		},
		Log: slog.New(slog.DiscardHandler),
	}
}

// start runs a server until the test ends, or until stop is called.
func start(t *testing.T, place control.Place, pid, predecessor int) (s *control.Server, stop func()) {
	t.Helper()
	s, err := control.Open(place, options(pid))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Claim(predecessor); err != nil {
		s.Close()
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

// find gives the process number of the server that a command finds, or the error's text and hint.
func find(t *testing.T, place control.Place, pid int) (found int, message string) {
	t.Helper()
	client, err := control.Find(t.Context(), place, pid)
	if err != nil {
		e := backline.AsError(err)
		return 0, e.Error() + "\n" + e.Hint + "\n" + e.Detail
	}
	who, err := client.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return who.PID, ""
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	place := control.Place{Path: filepath.Join(folder(t), "s.sock")}
	start(t, place, 7, 0)
	client, err := control.Find(t.Context(), place, 0)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := client.Status(t.Context()); err != nil || status.PID != 7 || status.Pools[0].Name != "web" {
		t.Errorf("Status = %+v, %v", status, err)
	}
	if all, err := client.Stacks(t.Context(), ""); err != nil || len(all) != 2 || all[1].Worker != "web.2" {
		t.Errorf("Stacks = %+v, %v", all, err)
	}
	_, err = client.Stacks(t.Context(), "web.9")
	if e := backline.AsError(err); !strings.Contains(e.Error(), "there is no worker web.9") || e.Hint != "there is web.1" {
		t.Errorf("Stacks of a worker that is not there: %v, %q", err, e.Hint)
	}
	how := control.Sampling{For: 1500 * time.Millisecond, Rate: 50}
	if all, err := client.Profile(t.Context(), "web.1", how); err != nil || all[0].Samples != 50 || all[0].Seconds != 1.5 {
		t.Errorf("Profile = %+v, %v", all, err)
	}
	for _, wrong := range []control.Sampling{{0, 100}, {time.Hour, 100}, {time.Second, 0}, {time.Second, 1001}} {
		if _, err := client.Profile(t.Context(), "", wrong); err == nil || !strings.Contains(err.Error(), "expected") {
			t.Errorf("a profile of %v: %v, expected to hear what is allowed", wrong, err)
		}
	}
}

func TestACommandThatLeavesEndsItsQuestion(t *testing.T) {
	t.Parallel()
	place := control.Place{Path: filepath.Join(folder(t), "s.sock")}
	_, stop := start(t, place, 7, 0)
	client, err := control.Find(t.Context(), place, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := client.Profile(ctx, "", control.Sampling{For: time.Minute, Rate: 1})
		failed <- err
	}()
	cancel()
	if err := <-failed; err == nil {
		t.Error("a question that was given up has an answer")
	}
	stop() // which waits for the server's side of it
}

func TestOnlyTheOwnerMayOpenIt(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s, _ := start(t, control.Place{Folder: filepath.Join(dir, "control"), Name: "mysite"}, 7, 0)
	for path, want := range map[string]os.FileMode{s.Path(): os.ModeSocket | 0o600, filepath.Dir(s.Path()): os.ModeDir | 0o700} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(s.Path())); err != nil || len(left) != 1 {
		t.Errorf("beside the socket there is %v, %v", left, err)
	}
}

func TestServersOfOneFolder(t *testing.T) {
	t.Parallel()
	place := control.Place{Folder: folder(t), Name: "mysite-1"}
	first, stop := start(t, place, 1, 0)
	second, _ := start(t, place, 2, 0)
	start(t, control.Place{Folder: place.Folder, Name: "mysite-10"}, 3, 0) // whose name only begins in the same way
	if first.Path() == second.Path() {
		t.Fatalf("two servers have the socket %s", first.Path())
	}
	_, message := find(t, place, 0)
	for _, want := range []string{"2 servers of this folder run", "--socket " + first.Path(), "--socket " + second.Path(), "pid 1"} {
		if !strings.Contains(message, want) {
			t.Errorf("the message has no %q:\n%s", want, message)
		}
	}
	if found, message := find(t, place, 2); found != 2 {
		t.Errorf("by its number %d was found: %s", found, message)
	}
	if _, message := find(t, place, 9); !strings.Contains(message, "no server with the process number 9") {
		t.Error(message)
	}
	stop()
	if found, message := find(t, place, 0); found != 2 {
		t.Errorf("when the other has gone %d was found: %s", found, message)
	}
}

func TestFromAnotherFolder(t *testing.T) {
	t.Parallel()
	shared := folder(t)
	elsewhere := control.Place{Folder: shared, Name: "elsewhere"}
	if _, message := find(t, elsewhere, 0); !strings.Contains(message, "no server runs that has a socket in "+shared) {
		t.Error(message)
	}
	start(t, control.Place{Folder: shared, Name: "one"}, 1, 0)
	if found, message := find(t, elsewhere, 0); found != 1 {
		t.Errorf("the only server there is: %d, %s", found, message)
	}
	start(t, control.Place{Folder: shared, Name: "two"}, 2, 0)
	if _, message := find(t, elsewhere, 0); !strings.Contains(message, "2 servers of "+shared) {
		t.Error(message)
	}
	if _, message := find(t, control.Place{Folder: filepath.Join(shared, "none")}, 0); !strings.Contains(message, "no server runs") {
		t.Error(message)
	}
}

func TestStaleSocket(t *testing.T) {
	t.Parallel()
	place := control.Place{Folder: folder(t), Name: "mysite"}
	path := filepath.Join(place.Folder, "mysite.sock")
	gone, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	gone.SetUnlinkOnClose(false)
	_ = gone.Close()
	if _, message := find(t, place, 0); !strings.Contains(message, "no server runs") {
		t.Error(message)
	}
	if _, message := find(t, control.Place{Path: path}, 0); !strings.Contains(message, "the server that answered on "+path+" has gone") {
		t.Error(message)
	}
	if s, _ := start(t, place, 1, 0); s.Path() != path {
		t.Errorf("the server is at %s, expected the place of the one that has gone", s.Path())
	}
}

func TestSuccessorTakesTheNameOver(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]control.Place{
		"shared": {Folder: folder(t), Name: "mysite"}, "own": {Path: filepath.Join(folder(t), "s.sock")},
	} {
		if name == "shared" {
			start(t, place, 1, 0) // another one, which keeps its name
		}
		old, stop := start(t, place, 2, 0)
		next, stopNext := start(t, place, 3, 2)
		if old.Path() != next.Path() {
			t.Errorf("%s: the successor is at %s, expected %s", name, next.Path(), old.Path())
		}
		stop()
		if found, message := find(t, control.Place{Path: old.Path()}, 0); found != 3 {
			t.Errorf("%s: after the end of the old one %d answers: %s", name, found, message)
		}
		stopNext()
		if _, err := os.Lstat(old.Path()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: after the end of both: %v", name, err)
		}
	}
}

func TestPathThatIsTaken(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	live := control.Place{Path: filepath.Join(dir, "s.sock")}
	start(t, live, 1, 0)
	for path, want := range map[string]string{file: "is not a socket", live.Path: "another server answers on " + live.Path} {
		s, err := control.Open(control.Place{Path: path}, options(2))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Claim(0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		s.Close()
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
	if _, message := find(t, control.Place{Path: filepath.Join(dir, "no")}, 0); !strings.Contains(message, "there is no socket") {
		t.Error(message)
	}
	if _, err := control.Open(control.Place{Path: "/" + strings.Repeat("x", 120)}, options(1)); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a path that is too long: %v", err)
	}
}

// TestAnotherVersion: a command of another version gets an answer that says so.
func TestAnotherVersion(t *testing.T) {
	t.Parallel()
	s, _ := start(t, control.Place{Path: filepath.Join(folder(t), "s.sock")}, 7, 0)
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", s.Path()) },
	}}
	answer, err := client.Get("http://backline/v2/status")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text := make([]byte, 1000)
	n, _ := answer.Body.Read(text)
	if answer.StatusCode != http.StatusNotFound || !strings.Contains(string(text[:n]), "this server (version 1.2.3) does not know GET /v2/status") {
		t.Errorf("%d %s", answer.StatusCode, text[:n])
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	if a, b := control.NameOf("/srv/a/mysite"), control.NameOf("/srv/b/mysite"); a == b || !strings.HasPrefix(a, "mysite-") {
		t.Errorf("the names of two folders are %q and %q", a, b)
	}
	for _, odd := range []string{"/", "/srv/..hidden", "/srv/" + strings.Repeat("long", 50), "/srv/sp ace/ü\n"} {
		if name := control.NameOf(odd); len(name) > 40 || strings.ContainsAny(name, "/ \n") || strings.HasPrefix(name, ".") {
			t.Errorf("NameOf(%q) = %q", odd, name)
		}
	}
}

func TestSpeedscope(t *testing.T) {
	t.Parallel()
	one := control.Profile{
		Worker: "web.1", Frames: []control.Frame{{Name: "view", File: "a.py", Line: 3}, {Name: "(waits for work)"}},
		Stacks: [][]int{{1}, {0}}, Threads: []control.Lane{{"idle", []int{0}, []float64{5}}, {"busy", []int{0, 1}, []float64{1, 2}}},
	}
	two := one
	two.Worker, two.Frames = "web.2", []control.Frame{{Name: "(waits for work)"}, {Name: "other", File: "b.py", Line: 4}}
	two.Stacks = [][]int{{0}, {1}}
	if err := errors.Join(one.Validate(), two.Validate()); err != nil {
		t.Fatal(err)
	}
	file := control.ToSpeedscope("mysite", "backline", []control.Profile{one, two})
	if len(file.Shared.Frames) != 3 || len(file.Profiles) != 4 || file.Profiles[file.Active].Name != "web.1: busy" {
		t.Fatalf("%+v", file)
	}
	busy := file.Profiles[3]
	if busy.End != 3 || len(busy.Samples) != 2 || file.Shared.Frames[busy.Samples[1][0]].Name != "other" {
		t.Errorf("%+v", busy)
	}
	for name, spoil := range map[string]func(*control.Profile){
		"no frames":  func(p *control.Profile) { p.Frames, p.Stacks, p.Threads = nil, nil, nil },
		"a frame":    func(p *control.Profile) { p.Stacks = [][]int{{2}} },
		"a stack":    func(p *control.Profile) { p.Threads = []control.Lane{{"", []int{-1}, []float64{1}}} },
		"the weight": func(p *control.Profile) { p.Threads = []control.Lane{{"", []int{0}, nil}} },
	} {
		bad := one
		spoil(&bad)
		if bad.Validate() == nil {
			t.Errorf("%s: what refers to nothing is accepted", name)
		}
	}
}
