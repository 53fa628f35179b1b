// Package python carries the worker package inside the binary and finds the interpreter that runs it.
//
// Read embed.go for how the package reaches the disk, interpreter.go for which Python is used. Nothing here starts a
// process or a goroutine: a subprocess to ask an interpreter for its version would cost more than the whole start may
// take, so the worker checks that itself when it boots.
package python

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"backline"
)

// Patterns that name files, because a pattern that names a folder would leave out __init__.py and _types.py, and with
// the "all:" prefix would carry whatever __pycache__ the machine that builds happens to hold. A test compares this with
// the folder.
//
//go:embed backline/*.py backline/py.typed backline/loops/*.py
var embedded embed.FS

// hashLength is how many bytes of the content's SHA-256 name its folder: 64 bits tell apart every build a machine will
// see, and the content is compared as well.
const hashLength = 8

// extractAttempts bounds the race with other processes that replace the same folder: each lost race means that another
// one won, so that the next look normally finds the folder whole.
const extractAttempts = 5

// Version is the version of the worker package, as its __init__.py has it.
func Version() string {
	source, err := embedded.ReadFile("backline/__init__.py")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(source)) {
		if value, found := strings.CutPrefix(line, "__version__ = "); found {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// Extract writes the worker package to disk, if it is not there already, and returns the folder to put on PYTHONPATH:
// the one that holds "backline". That folder is named by a hash of its content and lies below dir, or below the user's
// cache folder when dir is "", or below a private folder among the temporary files when there is no cache folder.
//
// Any number of processes may call it at the same time. Files appear whole or not at all, because the folder is written
// under another name first. A folder that is already there is compared byte by byte (some twenty small files, well
// below a millisecond), so that a damaged or changed one is replaced instead of run.
func Extract(dir string) (path string, err error) {
	files, err := packageFiles(embedded)
	if err != nil {
		return "", extractError(dir, err)
	}
	if dir != "" {
		path, err = extractBelow(dir, files)
		return path, extractError(dir, err)
	}
	var failed []error
	for _, base := range defaultFolders() {
		if err = os.MkdirAll(base, 0o700); err == nil {
			err = private(base)
		}
		if err == nil {
			path, err = extractBelow(base, files)
		}
		if err == nil {
			return path, nil
		}
		failed = append(failed, err)
	}
	return "", extractError("", errors.Join(failed...))
}

func extractError(dir string, err error) error {
	if err == nil {
		return nil
	}
	hint := "set XDG_CACHE_HOME or TMPDIR to a folder that this user can write"
	if dir != "" {
		hint = "choose a folder that this user can write: " + dir
	}
	return &backline.Error{
		Op:      "unpack the worker package",
		Code:    backline.CodeWorker,
		Message: "expected a folder to write it to",
		Hint:    hint,
		Err:     err,
	}
}

// defaultFolders are tried in order. The user's number is in the temporary one because /tmp is everybody's.
func defaultFolders() []string {
	var folders []string
	if cache, err := os.UserCacheDir(); err == nil {
		folders = append(folders, filepath.Join(cache, "backline"))
	}
	return append(folders, filepath.Join(os.TempDir(), "backline-"+strconv.Itoa(os.Geteuid())))
}

// file is one file of the package; its name is relative and has slashes: "backline/wire.py".
type file struct {
	name    string
	content []byte
}

// packageFiles lists the files in lexical order, which is the order of fs.WalkDir.
func packageFiles(source fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(source, name)
		files = append(files, file{name, content})
		return err
	})
	return files, err
}

func contentHash(files []file) string {
	hash := sha256.New()
	for _, file := range files {
		// With lengths, or moving a byte from a name to a content would give the same hash.
		fmt.Fprintf(hash, "%d %s %d ", len(file.name), file.name, len(file.content))
		hash.Write(file.content)
	}
	return hex.EncodeToString(hash.Sum(nil)[:hashLength])
}

func extractBelow(base string, files []file) (string, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(base, 0o700); err != nil {
		return "", err
	}
	target := filepath.Join(base, contentHash(files))
	for range extractAttempts {
		if err = verify(target, files); err == nil {
			return target, nil
		}
		if err = replace(base, target, files); err != nil {
			return "", err
		}
	}
	return "", err
}

// private tells whether folder is one that only this user can have made and can write to. Python will run what it
// finds there, and whoever made /tmp/backline-1000 first could put something else in it.
func private(folder string) error {
	info, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	owner := -1
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = int(stat.Uid)
	}
	if info.IsDir() && info.Mode().Perm()&0o022 == 0 && owner == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("%s: expected a folder of user %d that nobody else can write, got one of user %d with mode %s",
		folder, os.Geteuid(), owner, info.Mode())
}

// verify tells whether target is ours and holds these files as they are.
func verify(target string, files []file) error {
	if err := private(target); err != nil {
		return err
	}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(target, filepath.FromSlash(file.name)))
		if err != nil {
			return err
		}
		if !bytes.Equal(content, file.content) {
			return fmt.Errorf("%s in %s was changed", file.name, target)
		}
	}
	return nil
}

// replace puts a new folder where target is or should be. Losing against another process is no error: the caller looks
// again. Nothing is synced to disk, since what a power loss truncates is found by verify at the next start.
func replace(base, target string, files []file) error {
	fresh, err := os.MkdirTemp(base, ".new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := write(fresh, files); err != nil {
		return err
	}
	if os.Rename(fresh, target) == nil {
		return nil
	}
	// A folder that holds something cannot be renamed over, so a damaged one moves aside first. Between the two renames
	// there is none: a worker that imports just then fails and is started again.
	if verify(target, files) == nil {
		return nil
	}
	aside := fresh + ".old"
	if err := os.Rename(target, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer func() { _ = os.RemoveAll(aside) }()
	if err := os.Rename(fresh, target); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func write(folder string, files []file) error {
	for _, file := range files {
		path := filepath.Join(folder, filepath.FromSlash(file.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, file.content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
