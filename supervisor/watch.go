package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"backline"
)

// quiet is how long no file may have changed before a change is reported: a checkout or an editor's "save all" is one
// change, and the first file of it is not yet the new code.
const quiet = 100 * time.Millisecond

// WatchOptions say which files count.
type WatchOptions struct {
	// Dirs are watched with all folders below, for *.py. Folders are left out when they are hidden, virtual
	// environments, __pycache__ or node_modules.
	Dirs []string
	// Files count too, whatever their names: templates, settings. They need not exist yet; their folder must.
	Files []string
	// Log gets what cannot be watched. nil means slog.Default().
	Log *slog.Logger
}

// Watch calls changed with the path of a file, once per burst of changes, until ctx ends. It returns nil then, and an
// error if the files cannot be watched.
func Watch(ctx context.Context, opts WatchOptions, changed func(path string)) error {
	w, err := openWatch(opts)
	if err != nil {
		return err
	}
	defer func() { _ = w.notify.Close() }()
	return w.run(ctx, changed)
}

type watch struct {
	notify *fsnotify.Watcher
	log    *slog.Logger
	dirs   []string // resolved
	files  []string // absolute
}

// openWatch sees every change from its return on.
func openWatch(opts WatchOptions) (*watch, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, watchError("the file system", err)
	}
	w := &watch{notify: notify, log: opts.Log}
	if w.log == nil {
		w.log = slog.Default()
	}
	if err := w.addAll(opts); err != nil {
		_ = notify.Close()
		return nil, err
	}
	return w, nil
}

func (w *watch) addAll(opts WatchOptions) error {
	for _, dir := range opts.Dirs {
		// Resolved because a walk does not follow a link, not even its root.
		root, err := filepath.EvalSymlinks(dir)
		if err == nil {
			root, err = filepath.Abs(root)
		}
		if err == nil {
			_, err = w.addTree(root)
		}
		if err != nil {
			return watchError(dir, err)
		}
		w.dirs = append(w.dirs, root)
	}
	for _, name := range opts.Files {
		path, err := filepath.Abs(name)
		if err == nil {
			// The folder and not the file: editors write a new file and rename it, which ends a watch on the old one.
			err = w.notify.Add(filepath.Dir(path))
		}
		if err != nil {
			return watchError(name, err)
		}
		w.files = append(w.files, path)
	}
	return nil
}

// addTree watches a folder and all below it, and gives a Python file in it, if there is one.
func (w *watch) addTree(root string) (python string, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != root:
			return nil // removed while we look
		case errors.Is(err, fs.ErrPermission) && path != root:
			w.log.Warn("cannot watch", "path", path, "error", err)
			return fs.SkipDir
		case err != nil:
			return err
		case !entry.IsDir():
			if isPython(path) {
				python = path
			}
			return nil
		case path != root && ignored(path):
			return fs.SkipDir
		}
		return w.notify.Add(path)
	})
	return python, err
}

func (w *watch) run(ctx context.Context, changed func(path string)) error {
	burst := time.NewTimer(time.Hour)
	burst.Stop()
	defer burst.Stop()
	first := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-burst.C:
			path := first
			first = ""
			changed(path)
		case event := <-w.notify.Events:
			if path := w.relevant(event); path != "" {
				if first == "" {
					first = path
				}
				burst.Reset(quiet)
			}
		case err := <-w.notify.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return watchError("the file system", err)
			}
			// Something changed, only too much at once to say what.
			first = "many files"
			burst.Reset(quiet)
		}
	}
}

// relevant gives the file that an event is about if it counts, and watches new folders.
func (w *watch) relevant(event fsnotify.Event) string {
	if event.Op&^fsnotify.Chmod == 0 {
		return "" // indexers and backups touch attributes all day
	}
	if slices.Contains(w.files, event.Name) {
		return event.Name
	}
	if !w.inDirs(event.Name) {
		return "" // a neighbour of a listed file
	}
	if event.Has(fsnotify.Create) {
		if info, err := os.Stat(event.Name); err == nil && info.IsDir() {
			return w.newFolder(event.Name)
		}
	}
	if isPython(event.Name) {
		return event.Name
	}
	return ""
}

// newFolder watches a folder made since. What was in it before the watch gave no event of its own.
func (w *watch) newFolder(path string) string {
	if ignored(path) {
		return ""
	}
	python, err := w.addTree(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.log.Error("cannot watch a new folder; changes in it go unseen", "path", path, "error", watchError(path, err))
	}
	return python
}

func (w *watch) inDirs(path string) bool {
	return slices.ContainsFunc(w.dirs, func(dir string) bool {
		return strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
	})
}

// isPython leaves hidden files out: editors keep their locks and backups (.#views.py) beside the file.
func isPython(path string) bool {
	return filepath.Ext(path) == ".py" && !strings.HasPrefix(filepath.Base(path), ".")
}

// ignored folders hold no code that somebody edits, and often more folders than the system lets us watch.
func ignored(path string) bool {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".") || name == "__pycache__" || name == "node_modules" {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "pyvenv.cfg")) // what makes a folder a virtual environment, whatever its name
	return err == nil
}

func watchError(what string, err error) error {
	e := &backline.Error{Op: "watch " + what, Code: backline.CodeUsage, Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		e.Message = "the system's limit of watched folders is reached"
		e.Hint = "raise it: sudo sysctl fs.inotify.max_user_watches=524288; or watch fewer folders"
	case errors.Is(err, syscall.EMFILE):
		e.Message = "no file descriptor or inotify instance is left"
		e.Hint = "raise ulimit -n, or: sudo sysctl fs.inotify.max_user_instances=512"
	case errors.Is(err, fs.ErrNotExist):
		e.Message = "no such file or folder"
		e.Hint = fmt.Sprintf("expected an existing folder; %s is looked up from the working directory", what)
	}
	return e
}
