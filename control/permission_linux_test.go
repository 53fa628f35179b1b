package control_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"backline/control"
)

// TestSomebodyElse has a command of another user, where the test may be one (as root, by this thread's identity for
// files); elsewhere it finds a folder that is closed to its own.
func TestSomebodyElse(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	place := control.Place{Path: filepath.Join(dir, "closed", "s.sock")}
	if err := os.Mkdir(filepath.Dir(place.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, place, 7, 0)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if os.Geteuid() == 0 {
		const nobody = 65534
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setfsuid(0) }()
	} else {
		if err := os.Chmod(filepath.Dir(place.Path), 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(filepath.Dir(place.Path), 0o700)
	}
	for _, each := range []control.Place{place, {Folder: filepath.Dir(place.Path), Name: "mysite"}} {
		found, message := find(t, each, 0)
		if found != 0 || !strings.Contains(message, "may not open") || !strings.Contains(message, "try sudo") {
			t.Errorf("%+v: %d, %s", each, found, message)
		}
	}
}
