package supervisor

import "fmt"

// Reason is why a worker ended or is to end. Logs, metrics and the status share these.
type Reason uint8

// The reasons. The zero value means that there is none.
const (
	Crashed     Reason = iota + 1 // ended by itself, with whatever exit status, or by a signal of its own making
	Killed                        // by SIGKILL from outside: an operator, or the kernel for lack of memory
	Broken                        // broke the worker protocol
	MaxRequests                   // served as many requests as one worker should
	Memory                        // took more memory than one worker should
	Stuck                         // a request of it does not end
	TimedOut                      // what it was given took too long, and could only be ended with it
	Reloaded                      // has old code
	Scaled                        // the pool became smaller
	Shutdown                      // the server stops
	Upgraded                      // another process serves in this one's place
)

// String is the reason's name in logs and metrics.
func (r Reason) String() string {
	switch r {
	case 0:
		return "none"
	case Crashed:
		return "crashed"
	case Killed:
		return "killed"
	case Broken:
		return "broken"
	case MaxRequests:
		return "max-requests"
	case Memory:
		return "memory"
	case Stuck:
		return "stuck"
	case TimedOut:
		return "timeout"
	case Reloaded:
		return "reloaded"
	case Scaled:
		return "scaled"
	case Shutdown:
		return "shutdown"
	case Upgraded:
		return "upgraded"
	default:
		return fmt.Sprintf("reason %d", uint8(r))
	}
}
