package backline

import (
	"errors"
	"strings"
)

// Code names what kind of mistake an Error is, for exit codes, logs and tests.
type Code string

// The codes. A new one needs a line in docs/errors.md (a test compares).
const (
	CodeUsage    Code = "usage"    // a flag, a setting or a value that cannot be
	CodeBind     Code = "bind"     // an address that cannot be listened on
	CodeApp      Code = "app"      // the application cannot be imported, called or started
	CodeWorker   Code = "worker"   // a worker process cannot be started or spoken to
	CodeProtocol Code = "protocol" // the two ends of the worker protocol do not fit
	CodeInternal Code = "internal" // our own mistake
)

// ExitStatus is what the command ends with: 2 for mistakes in the call, 3 when no worker came up, 1 otherwise.
func (c Code) ExitStatus() int {
	switch c {
	case CodeUsage:
		return 2
	case CodeApp, CodeWorker, CodeProtocol:
		return 3
	default:
		return 1
	}
}

// Error is an error for the person who runs the server: what was wanted and what came instead (Message), and what to
// do about it (Hint, a command or an edit, may be empty). Clients never see it.
type Error struct {
	Op      string // what was being done: "bind 127.0.0.1:8000"
	Code    Code
	Message string
	Hint    string
	Detail  string // several lines shown as they are: an application's traceback
	Err     error  // the cause, for errors.Is and logs
}

// Error gives one line: operation, message, cause.
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	if e.Op != "" {
		parts = append(parts, e.Op)
	}
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError finds the first Error in err's chain, or wraps err as an internal one.
func AsError(err error) *Error {
	if found, ok := errors.AsType[*Error](err); ok {
		return found
	}
	return &Error{Code: CodeInternal, Err: err}
}
