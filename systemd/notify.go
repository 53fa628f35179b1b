package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"backline"
)

// Notifier tells systemd how the service is. A nil one, for a process that systemd did not start, tells nobody.
type Notifier struct {
	conn  *net.UnixConn
	log   *slog.Logger
	watch time.Duration // 0: systemd does not watch
}

// NewNotifier connects to the socket that environ names; pid is this process's number. It gives nil where there is
// none.
func NewNotifier(ctx context.Context, environ []string, pid int, log *slog.Logger) (*Notifier, error) {
	path := lookup(environ, "NOTIFY_SOCKET")
	if path == "" {
		return nil, nil //nolint:nilnil // nobody to tell
	}
	conn, err := dial(ctx, path)
	if err != nil {
		return nil, &backline.Error{
			Op: "tell systemd", Code: backline.CodeUsage, Err: err,
			Message: fmt.Sprintf("NOTIFY_SOCKET=%s cannot be connected to", path),
			Hint:    "unset NOTIFY_SOCKET where systemd does not start the server",
		}
	}
	watch, err := interval(environ, pid)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &Notifier{conn: conn, log: log, watch: watch}, nil
}

// dial takes a path, or a name that begins with "@" for one of the sockets that have no path.
func dial(ctx context.Context, path string) (*net.UnixConn, error) {
	if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "@") {
		return nil, fmt.Errorf("%q is neither a path nor an abstract name", path)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unixgram", path)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil //nolint:forcetypeassert // what "unixgram" gives
}

// Ready says that the service has started, or has reloaded.
func (n *Notifier) Ready(status string) { n.tell("READY=1", "STATUS="+line(status)) }

// Reloading says that a reload has begun. systemd waits for Ready, and takes the time to tell this reload from an
// earlier one (Type=notify-reload).
func (n *Notifier) Reloading(status string) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return // not on any system that has systemd
	}
	n.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000), "STATUS="+line(status))
}

// Stopping says that the service is about to end.
func (n *Notifier) Stopping(status string) { n.tell("STOPPING=1", "STATUS="+line(status)) }

// MainPID says which process is the service from now on: one that takes this one's place.
func (n *Notifier) MainPID(pid int) { n.tell(fmt.Sprintf("MAINPID=%d", pid)) }

// line keeps a status from adding assignments of its own.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

func (n *Notifier) tell(assignments ...string) {
	if n == nil {
		return
	}
	// A full socket would make us wait; systemd reads it as long as it lives, and without it nobody waits for us.
	_ = n.conn.SetWriteDeadline(time.Now().Add(tellTimeout))
	if _, err := n.conn.Write([]byte(strings.Join(assignments, "\n"))); err != nil {
		n.log.Warn("systemd cannot be told", "what", assignments[0], "error", err)
	}
}

const tellTimeout = time.Second
