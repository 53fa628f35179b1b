package embedded

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestPeersThatAreNotThere: at first that is no news, later somebody may have mistyped an address. Each is named.
func TestPeersThatAreNotThere(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := &logger{log: slog.New(slog.NewTextHandler(&out, nil))}
	const format = "Error trying to connect to route (attempt %v): %v"
	l.Errorf(format, 1, "one: refused")
	if out.Len() > 0 {
		t.Errorf("the first attempt is logged: %s", &out)
	}
	l.Errorf(format, 15, "one: refused")
	l.Errorf(format, 15, "one: refused")
	l.Errorf(format, 15, "another: refused")
	l.Errorf("something else")
	l.Errorf("and more of it at once")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{"one: refused", "another: refused", "something else"} {
		if len(lines) != 3 || !strings.Contains(lines[i], want) || strings.Contains(lines[i], "bus_peers") != (i < 2) {
			t.Errorf("the log has %q", lines)
			return
		}
	}
}
