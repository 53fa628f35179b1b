package supervisor

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"backline"
)

// project is a folder under watch.
type project struct {
	root    string
	changes chan string
}

// watchProject starts a watch of a folder and of the files named in it.
func watchProject(t *testing.T, files ...string) *project {
	t.Helper()
	p := &project{root: t.TempDir(), changes: make(chan string, 100)}
	root, err := filepath.EvalSymlinks(p.root)
	if err != nil {
		t.Fatal(err)
	}
	p.root = root
	for _, folder := range []string{"app/views", "__pycache__", "node_modules/x", ".git", "env/lib", "env"} {
		p.mkdir(t, folder)
	}
	p.write(t, "env/pyvenv.cfg", "home = /usr")
	for i, name := range files {
		files[i] = filepath.Join(p.root, name)
	}
	w, err := openWatch(WatchOptions{Dirs: []string{p.root}, Files: files, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx, func(path string) { p.changes <- path }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("watch: %v", err)
			}
		case <-time.After(patience):
			t.Error("the watch does not end")
		}
		_ = w.notify.Close()
	})
	return p
}

func (p *project) mkdir(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(p.root, name), 0o700); err != nil {
		t.Fatal(err)
	}
}

func (p *project) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.root, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// expect waits for the next change. What must not be reported is written before what must: its report would come first.
func (p *project) expect(t *testing.T, name string) {
	t.Helper()
	select {
	case got := <-p.changes:
		if want := filepath.Join(p.root, name); got != want {
			t.Errorf("changed %s; expected %s", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("no change reported; expected %s", name)
	}
}

func TestWatchReports(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(t *testing.T, p *project)
		want   string
	}{
		"a file in a folder below": {func(t *testing.T, p *project) { p.write(t, "app/views/a.py", "1") }, "app/views/a.py"},
		"a new folder with files": {func(t *testing.T, p *project) {
			p.mkdir(t, "fresh/deep")
			p.write(t, "fresh/deep/a.py", "1")
		}, "fresh/deep/a.py"},
		"a rename over the file, as editors do": {func(t *testing.T, p *project) {
			p.write(t, "app/a.tmp", "1")
			if err := os.Rename(filepath.Join(p.root, "app/a.tmp"), filepath.Join(p.root, "app/a.py")); err != nil {
				t.Fatal(err)
			}
		}, "app/a.py"},
		"a listed file": {func(t *testing.T, p *project) { p.write(t, "app/settings.toml", "1") }, "app/settings.toml"},
		"a listed file in a folder that is left out": {func(t *testing.T, p *project) {
			p.write(t, ".git/HEAD", "1")
		}, ".git/HEAD"},
		"nothing that is left out": {func(t *testing.T, p *project) {
			p.mkdir(t, ".cache")
			for _, name := range []string{"__pycache__/a.py", "node_modules/x/a.py", "env/lib/a.py", "app/.#a.py", "app/a.html", ".cache/a.py"} {
				p.write(t, name, "1")
			}
			p.write(t, "app/last.py", "1")
		}, "app/last.py"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := watchProject(t, "app/settings.toml", ".git/HEAD")
			test.change(t, p)
			p.expect(t, test.want)
		})
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Watch(ctx, WatchOptions{Dirs: []string{t.TempDir()}}, func(string) {}); err != nil {
		t.Errorf("Watch: %v; expected nil when its context ends", err)
	}
}

func TestWatchReportsABurstOnce(t *testing.T) {
	t.Parallel()
	p := watchProject(t)
	for _, name := range []string{"app/one.py", "app/two.py", "app/views/three.py"} {
		p.write(t, name, "1")
	}
	p.expect(t, "app/one.py")
	p.write(t, "app/four.py", "1")
	p.expect(t, "app/four.py")
}

func TestWatchRefusesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none")
	for name, opts := range map[string]WatchOptions{
		"folder": {Dirs: []string{missing}},
		"file":   {Files: []string{filepath.Join(missing, "settings.toml")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Watch(t.Context(), opts, func(string) {})
			fault := backline.AsError(err)
			if err == nil || fault.Code != backline.CodeUsage || fault.Hint == "" || !strings.Contains(err.Error(), missing) {
				t.Errorf("Watch: %v (hint %q); expected a usage error that names %s and says what to do", err, fault.Hint, missing)
			}
		})
	}
}
