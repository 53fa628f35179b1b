package python

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"backline"
)

func embeddedFiles(t *testing.T) []file {
	t.Helper()
	files, err := packageFiles(embedded)
	if err != nil || len(files) == 0 {
		t.Fatalf("packageFiles: %d files, %v", len(files), err)
	}
	return files
}

func TestEmbeddedIsTheFolder(t *testing.T) {
	t.Parallel()
	var want []string
	err := fs.WalkDir(os.DirFS("."), "backline", func(name string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && strings.HasPrefix(entry.Name(), "__pycache__") {
			return fs.SkipDir
		}
		if err == nil && !entry.IsDir() {
			want = append(want, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range embeddedFiles(t) {
		got = append(got, file.name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("embedded %v\nthe folder has %v\na new subpackage needs its pattern in the go:embed line", got, want)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if got := Version(); !regexp.MustCompile(`^\d+\.\d+\.\d+([a-z.+-].*)?$`).MatchString(got) {
		t.Errorf("Version() = %q, want digits as in __init__.py", got)
	}
}

func TestExtractedPackageIsImportable(t *testing.T) {
	t.Parallel()
	path, err := Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	interpreter, err := FindInterpreter("", os.Environ(), ".")
	if err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	code := "import backline; print(backline.__version__, backline.__file__)"
	command := exec.CommandContext(ctx, interpreter.Path, "-c", code)
	command.Env = append(os.Environ(), "PYTHONPATH="+path)
	command.Dir = t.TempDir()
	out, err := command.CombinedOutput()
	want := Version() + " " + filepath.Join(path, "backline", "__init__.py") + "\n"
	if err != nil || string(out) != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
}

func TestExtractOnce(t *testing.T) {
	t.Parallel()
	base := filepath.Join(t.TempDir(), "not", "yet")
	first, err := Extract(base)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(first, "backline", "__init__.py"))
	if err != nil {
		t.Fatal(err)
	}
	// What Python leaves there is no damage.
	if err := os.Mkdir(filepath.Join(first, "backline", "__pycache__"), 0o700); err != nil {
		t.Fatal(err)
	}
	second, err := Extract(base)
	if err != nil || second != first {
		t.Fatalf("second Extract = %q, %v, want %q", second, err, first)
	}
	after, err := os.Stat(filepath.Join(first, "backline", "__init__.py"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the second Extract wrote the files again (%v)", err)
	}
	for _, folder := range []string{base, first} {
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: mode %v, %v, want 0700", folder, info.Mode(), err)
		}
	}
	wantOnly(t, base, filepath.Base(first))
}

// wantOnly fails if a temporary folder was left behind.
func wantOnly(t *testing.T, base, name string) {
	t.Helper()
	entries, err := os.ReadDir(base)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("%s holds %v, %v, want %s alone", base, entries, err, name)
	}
}

func TestExtractRepairs(t *testing.T) {
	t.Parallel()
	initFile := filepath.Join("backline", "__init__.py")
	for name, damage := range map[string]func(target string) error{
		"changed": func(target string) error {
			return os.WriteFile(filepath.Join(target, initFile), []byte("evil"), 0o600)
		},
		"truncated": func(target string) error { return os.Truncate(filepath.Join(target, initFile), 0) },
		"missing":   func(target string) error { return os.Remove(filepath.Join(target, initFile)) },
		"empty":     func(target string) error { return os.RemoveAll(filepath.Join(target, "backline")) },
		"writable":  func(target string) error { return os.Chmod(target, 0o777) },
		"a file": func(target string) error {
			return errors.Join(os.RemoveAll(target), os.WriteFile(target, nil, 0o600))
		},
		"a link": func(target string) error {
			return errors.Join(os.Rename(target, target+"-elsewhere"), os.Symlink(target+"-elsewhere", target))
		},
		"of somebody else": func(target string) error {
			if os.Geteuid() != 0 {
				return errors.ErrUnsupported
			}
			return os.Chown(target, 1, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			target, err := Extract(base)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(target); errors.Is(err, errors.ErrUnsupported) {
				t.Skip("only root can give files away")
			} else if err != nil {
				t.Fatal(err)
			}
			if verify(target, embeddedFiles(t)) == nil {
				t.Fatal("verify did not see the damage")
			}
			again, err := Extract(base)
			if err != nil || again != target {
				t.Fatalf("Extract = %q, %v, want %q", again, err, target)
			}
			if err := verify(target, embeddedFiles(t)); err != nil {
				t.Error(err)
			}
			_ = os.RemoveAll(target + "-elsewhere")
			wantOnly(t, base, filepath.Base(target))
		})
	}
}

func TestExtractConcurrently(t *testing.T) {
	t.Parallel()
	for _, damaged := range []bool{false, true} {
		base := t.TempDir()
		if damaged {
			target := filepath.Join(base, contentHash(embeddedFiles(t)))
			if err := os.MkdirAll(filepath.Join(target, "backline"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		var group sync.WaitGroup
		paths, errs := make([]string, 16), make([]error, 16)
		for i := range paths {
			group.Go(func() { paths[i], errs[i] = Extract(base) })
		}
		group.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Errorf("damaged %v: %v", damaged, err)
		}
		if len(slices.Compact(paths)) != 1 {
			t.Errorf("damaged %v: different folders %v", damaged, paths)
		}
		if err := verify(paths[0], embeddedFiles(t)); err != nil {
			t.Error(err)
		}
		wantOnly(t, base, filepath.Base(paths[0]))
	}
}

func TestExtractFails(t *testing.T) {
	t.Parallel()
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Extract(filepath.Join(blocked, "below"))
	var failure *backline.Error
	if !errors.As(err, &failure) || failure.Code != backline.CodeWorker {
		t.Fatalf("got %v, want a backline.Error with CodeWorker", err)
	}
	if !strings.Contains(failure.Hint, blocked) || failure.Err == nil {
		t.Errorf("hint %q, cause %v: want the folder and the reason", failure.Hint, failure.Err)
	}
}

// Not parallel: the default folders come from this process's environment.
func TestExtractDefaultFolders(t *testing.T) {
	temporary, cache := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Setenv("HOME", cache)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(cache, "xdg"))
	path, err := Extract("")
	if err != nil || !strings.HasPrefix(path, cache) {
		t.Errorf("Extract = %q, %v, want it below %s", path, err, cache)
	}

	folders := defaultFolders()
	if err := os.Chmod(folders[0], 0o777); err != nil {
		t.Fatal(err)
	}
	path, err = Extract("")
	if err != nil || !strings.HasPrefix(path, temporary) {
		t.Errorf("with a cache folder that all can write: Extract = %q, %v, want it below %s", path, err, temporary)
	}

	if err := os.Chmod(folders[1], 0o777); err != nil {
		t.Fatal(err)
	}
	if path, err = Extract(""); err == nil {
		t.Errorf("with two folders that all can write: Extract = %q, want an error", path)
	}
}

func TestContentHashSeparatesNamesFromContents(t *testing.T) {
	t.Parallel()
	one := contentHash([]file{{"ab", []byte("c")}})
	for _, other := range [][]file{{{"a", []byte("bc")}}, {{"ab", []byte("d")}}, {{"ab", nil}, {"c", nil}}} {
		if contentHash(other) == one {
			t.Errorf("%v has the same hash", other)
		}
	}
}
