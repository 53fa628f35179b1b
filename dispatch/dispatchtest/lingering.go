package dispatchtest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Main runs a package's tests and fails when a goroutine of this module outlives them. It gives the exit status.
func Main(m *testing.M) int {
	status := m.Run()
	if left := lingering(); status == 0 && left != "" {
		fmt.Fprintln(os.Stderr, "goroutines that outlived their tests:\n"+left)
		status = 1
	}
	return status
}

func lingering() string {
	var left []string
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); runtime.Gosched() {
		left = left[:0]
		stacks := make([]byte, 1<<20)
		for each := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(each, "backline/") && !strings.Contains(each, "TestMain") {
				left = append(left, each)
			}
		}
		if len(left) == 0 {
			break
		}
	}
	return strings.Join(left, "\n\n")
}
