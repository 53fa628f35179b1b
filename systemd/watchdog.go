package systemd

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"backline"
)

// interval is how often systemd wants to hear of the process, 0 for never.
func interval(environ []string, pid int) (time.Duration, error) {
	text := lookup(environ, "WATCHDOG_USEC")
	if text == "" || lookup(environ, "WATCHDOG_PID") != "" && !forUs(environ, "WATCHDOG_PID", pid) {
		return 0, nil
	}
	const most = 1 << 53 // microseconds, 285 years: no overflow below
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > most {
		return 0, &backline.Error{
			Op: "tell systemd", Code: backline.CodeUsage,
			Message: fmt.Sprintf("WATCHDOG_USEC=%s is no number of microseconds", text),
			Hint:    "unset it where systemd does not start the server",
		}
	}
	return time.Duration(n) * time.Microsecond, nil
}

// Run tells systemd's watchdog twice in its interval that the service is alive, as long as check says so, and closes
// the connection when ctx ends. A check that does not return says no as well: systemd then ends the service and starts
// it anew (Restart=).
func (n *Notifier) Run(ctx context.Context, check func() error) error {
	if n == nil {
		<-ctx.Done()
		return nil
	}
	defer n.conn.Close()
	if n.watch == 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(n.watch / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := check(); err != nil {
			n.log.Error("systemd's watchdog is not told that the server is alive, because it is not", "error", err)
			continue
		}
		n.tell("WATCHDOG=1")
	}
}
