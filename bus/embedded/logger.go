package embedded

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// logger takes what the server logs. That a peer is not there at first is no warning: it starts later.
type logger struct {
	log  *slog.Logger
	said atomic.Int64
	// twice is the last report of a peer that cannot be reached: the server tries each on two connections.
	twice atomic.Pointer[string]
}

// Noticef implements the server's logger.
func (l *logger) Noticef(string, ...any) {}

// Debugf implements the server's logger.
func (l *logger) Debugf(string, ...any) {}

// Tracef implements the server's logger.
func (l *logger) Tracef(string, ...any) {}

// Warnf implements the server's logger.
func (l *logger) Warnf(format string, v ...any) { l.sayf(format, v...) }

// Errorf implements the server's logger.
func (l *logger) Errorf(format string, v ...any) { l.sayf(format, v...) }

// Fatalf implements the server's logger. It logs, and does not end the process.
func (l *logger) Fatalf(format string, v ...any) { l.sayf(format, v...) }

// reportEvery is after how many attempts to reach a peer, one a second, that is said again.
const reportEvery = 15

// sayEvery bounds what a peer that is misconfigured, or away, can have us log.
const sayEvery = 5 * time.Second

func (l *logger) sayf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if _, report, is := strings.Cut(text, "Error trying to connect to route (attempt "); is {
		attempt, reason, _ := strings.Cut(report, "): ")
		if last := l.twice.Swap(&report); attempt != "1" && (last == nil || *last != report) {
			l.log.Warn("a server of bus_peers cannot be reached: is it up, and is the address right?",
				"attempts", attempt, "error", reason)
		}
		return // each peer has its own turn
	}
	now, last := time.Now().UnixNano(), l.said.Load()
	if now-last < int64(sayEvery) || !l.said.CompareAndSwap(last, now) {
		return
	}
	l.log.Warn("the bus in this process: " + text)
}
