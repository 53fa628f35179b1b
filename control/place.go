package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"backline"
)

// Place is where a server's socket is: at a path of its own, or in a folder that all servers of a user share, under a
// name made of the folder that the application is in. So a command finds the server of the folder it is called in.
type Place struct {
	Path   string // if not empty, this and nothing else
	Folder string // else in here, as NAME.sock; as NAME-2.sock and so on where other servers of the folder run
	Name   string
}

// Extension is that of sockets in a shared folder.
const extension = ".sock"

// namesakes is how many servers of one folder can have sockets.
const namesakes = 64

// pathLimit is how long a socket's path may be, with its final zero: Linux has 108 bytes, macOS 104.
const pathLimit = 104

// NameOf gives the name that goes with an application's folder: readable, and different for each folder.
func NameOf(folder string) string {
	sum := sha256.Sum256([]byte(folder))
	base := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, filepath.Base(folder))
	if len(base) > 24 {
		base = base[:24]
	}
	return strings.TrimLeft(base, ".") + "-" + hex.EncodeToString(sum[:4])
}

// candidates are the paths that a server of this place may have, in order.
func (p Place) candidates() []string {
	if p.Path != "" {
		return []string{p.Path}
	}
	all := []string{filepath.Join(p.Folder, p.Name+extension)}
	for n := 2; n <= namesakes; n++ {
		all = append(all, filepath.Join(p.Folder, fmt.Sprintf("%s-%d%s", p.Name, n, extension)))
	}
	return all
}

// folder is what the socket is made in.
func (p Place) folder() string {
	if p.Path != "" {
		return filepath.Dir(p.Path)
	}
	return p.Folder
}

// condition is what is at a path.
type condition int

const (
	free  condition = iota
	stale           // a socket that nobody listens on any more
	live
	foreign // no socket, or one that may not be opened
)

// probe finds out what is at a path.
func probe(path string) (condition, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return free, nil
	case err != nil:
		return foreign, err
	case info.Mode().Type() != os.ModeSocket:
		return foreign, fmt.Errorf("%s is not a socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = conn.Close()
		return live, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return stale, nil
	case errors.Is(err, os.ErrNotExist):
		return free, nil
	default:
		return foreign, err
	}
}

// locked runs f while no other server looks for a name in the folder.
func locked(folder string, f func() error) error {
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return os.NewSyscallError("flock", err)
	}
	return f()
}

func tooLong(path string) error {
	return &backline.Error{
		Op: "open the control socket", Code: backline.CodeUsage,
		Message: fmt.Sprintf("%s is longer than the %d bytes that a socket's path may have", path, pathLimit-1),
		Hint:    "name a shorter one with --control-socket",
	}
}
