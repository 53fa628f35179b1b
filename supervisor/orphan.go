package supervisor

import (
	"syscall"
	"time"
)

// orphanInterval is how often a process is looked for whose end nothing announces. It only happens on old or foreign
// kernels after the death of a template.
const orphanInterval = 50 * time.Millisecond

// awaitOrphan returns when a process has ended whose parent, a template, has died.
func awaitOrphan(pid int) exit {
	if !watchEnd(pid) {
		for syscall.Kill(pid, 0) == nil {
			time.Sleep(orphanInterval)
		}
	}
	// The first process of a container, which we may be, inherits it.
	var status syscall.WaitStatus
	if found, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); err == nil && found == pid {
		return exit{status, true}
	}
	return exit{}
}
