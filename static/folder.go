package static

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Folder is one that files are opened in, and never outside of it: neither ".." nor a symbolic link leads out
// (os.Root). Links that stay inside are followed.
type Folder struct {
	path string

	mu       sync.Mutex
	root     *os.Root
	info     fs.FileInfo // of the folder that root holds
	resolved string      // its path without symbolic links
	looked   time.Time   // when path was last seen to lead there
}

// remember is how long what was found in the file system counts as found: the place of a folder, an open file, the
// absence of a compressed neighbour.
const remember = time.Second

// OpenFolder opens the folder at path.
func OpenFolder(path string) (*Folder, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f := &Folder{path: absolute}
	if err := f.look(time.Now()); err != nil {
		return nil, explain(absolute, err)
	}
	return f, nil
}

// explain says what is wrong with a folder that an operator named.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s: create it (Django's `collectstatic` does), or name another", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not read the folder %s", path)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s is not a folder", path)
	}
	return fmt.Errorf("the folder %s cannot be opened: %w", path, err)
}

// look finds out whether the path still leads to the folder that is open, and opens what it leads to now: a deploy may
// have put a new folder there, or turned the link "current" to another one. It is called with mu held, and once before
// anybody else knows the folder.
func (f *Folder) look(now time.Time) error {
	info, err := os.Stat(f.path)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return err
	}
	if f.root == nil || !os.SameFile(info, f.info) {
		root, err := os.OpenRoot(f.path)
		if err != nil {
			return err
		}
		if f.root != nil {
			_ = f.root.Close() // those who open a file in it right now may finish: os.Root counts them
		}
		f.root, f.info, f.resolved = root, info, f.path
		if resolved, err := filepath.EvalSymlinks(f.path); err == nil {
			f.resolved = resolved
		}
	}
	f.looked = now
	return nil
}

// open opens the file of that name, which is relative and clean. A FIFO would wait for a writer, hence O_NONBLOCK.
func (f *Folder) open(name string, now time.Time) (*os.File, error) {
	f.mu.Lock()
	if now.Sub(f.looked) >= remember {
		if err := f.look(now); err != nil {
			f.mu.Unlock()
			return nil, err
		}
	}
	root := f.root
	f.mu.Unlock()
	return root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// relative gives the name within the folder of a file that an application names by an absolute path, which may lead
// through the links that lead to the folder, or not.
func (f *Folder) relative(path string) (name string, inside bool) {
	f.mu.Lock()
	resolved := f.resolved
	f.mu.Unlock()
	for _, folder := range [...]string{f.path, resolved} {
		if name, inside = strings.CutPrefix(path, strings.TrimSuffix(folder, "/")+"/"); inside && name != "" {
			return name, true
		}
	}
	return "", false
}

// Close lets go of the folder.
func (f *Folder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.root.Close()
}
