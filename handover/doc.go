// Package handover passes listening sockets from a server to the process that replaces it, so that a new version can
// begin without a client being refused: the sockets are open in both processes at once, and whoever connects waits in
// one queue, which either of them may take from.
//
// Read successor.go first, the side of the process that is replaced, then predecessor.go, the side of the new one. What
// passes between them is an environment variable, open descriptors, and one line through a pipe:
//
//	BACKLINE_HANDOVER={"sockets":["127.0.0.1:8000","unix:/run/app.sock"]}
//	descriptor 3        the pipe, into which the new process writes "serving" when it does
//	descriptors 4, 5    the sockets, in that order
//
// The new process knows its sockets by the addresses of its own settings, which may have changed: it opens what it was
// not given, and closes what it no longer wants.
package handover

// variable carries the addresses. Its name begins like a setting's so that people see whose it is.
const variable = "BACKLINE_HANDOVER"

// The descriptors that a successor finds open: 0 to 2 are its standard ones.
const (
	pipeDescriptor  = 3
	firstDescriptor = 4
)

// serving is the line that ends a handover. Anything else in the pipe, or its end, is a failure.
const serving = "serving\n"

// legacy is the value of the variable.
type legacy struct {
	Sockets []string `json:"sockets"`
}
