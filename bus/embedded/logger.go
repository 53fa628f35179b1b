package embedded

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// logger takes what the server logs. What it says of peers that are not there yet is no warning: they start later.
type logger struct {
	log  *slog.Logger
	said atomic.Int64
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

// sayEvery bounds what a peer that is misconfigured, or away, can have us log.
const sayEvery = 5 * time.Second

func (l *logger) sayf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, "Error trying to connect to route") {
		return
	}
	now, last := time.Now().UnixNano(), l.said.Load()
	if now-last < int64(sayEvery) || !l.said.CompareAndSwap(last, now) {
		return
	}
	l.log.Warn("the bus in this process: " + text)
}
