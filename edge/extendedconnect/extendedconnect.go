// Package extendedconnect makes net/http accept WebSockets over HTTP/2 (RFC 8441), by being imported. net/http only
// asks whether to once, when the program starts, and only the environment; a "//go:debug" line does not reach it.
// Because of its import path, and because it imports nothing but os and strings, this package is initialized before
// net/http is (Go specification, "Program initialization"). TestExtendedConnect sees to that.
package extendedconnect

import (
	"os"
	"strings"
)

const (
	variable = "GODEBUG"
	key      = "http2xconnect"
)

var _ = enable() // see above: nothing later than this is early enough

// enable leaves a decision of the operator's own alone.
func enable() error {
	value := os.Getenv(variable)
	if strings.Contains(value, key) {
		return nil
	}
	if value != "" {
		value += ","
	}
	return os.Setenv(variable, value+key+"=1")
}
