package main

import (
	"fmt"
	"strings"
)

// respond is the application: scope has ASGI's entries without those that are as always, body all that the client sent.
func respond(scope map[string]any, body []byte) (status int, headers [][2]string, text []byte) {
	headers = [][2]string{{"content-type", "text/plain; charset=utf-8"}}
	path, _ := scope["path"].(string)
	switch name, found := strings.CutPrefix(path, "/go/hello/"); {
	case found && scope["method"] == "POST":
		return 200, headers, fmt.Appendf(nil, "Hello %s, that was %d bytes\n", name, len(body))
	case found:
		return 200, headers, fmt.Appendf(nil, "Hello %s\n", name)
	}
	return 404, headers, []byte("There is /go/hello/NAME.\n")
}
