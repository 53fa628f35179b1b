package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"backline"
	"backline/config"
)

// journal is the server's log and where it goes.
type journal struct {
	*slog.Logger

	path string // "" where it goes to standard error

	mu   sync.Mutex // guards file, and keeps lines whole
	file io.Writer
}

// openJournal makes the log of the settings: lines for people, or JSON.
func openJournal(c *config.Config, stderr io.Writer) (*journal, error) {
	j := &journal{file: stderr}
	if c.LogFile != "-" {
		j.path = c.LogFile
		if err := j.Reopen(); err != nil {
			return nil, err
		}
	}
	level := levelOf(c.LogLevel)
	if c.LogFormat == "json" {
		j.Logger = slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: level, ReplaceAttr: spellDuration}))
	} else {
		j.Logger = slog.New(&lines{w: j, level: level})
	}
	return j, nil
}

// Write implements io.Writer for the handlers, one whole record at a time.
func (j *journal) Write(record []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Write(record)
}

// Reopen goes on in a new file of the same name, after somebody has moved the old one away. Where it cannot be opened
// the old one stays in use.
func (j *journal) Reopen() error {
	if j.path == "" {
		return nil
	}
	file, err := os.OpenFile(j.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640) //nolint:gosec // for a collector's group
	if err != nil {
		return &backline.Error{
			Op: "open the log", Code: backline.CodeUsage, Err: err, Hint: "choose another --log-file, or - for standard error",
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if old, ok := j.file.(io.Closer); ok && old != os.Stderr {
		_ = old.Close()
	}
	j.file = file
	return nil
}

// output logs what a worker prints, as it is and whatever the level: it is the application's word, often the
// traceback that somebody looks for, and the level is about ours.
func (j *journal) output(worker, _ string, line []byte) {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, string(line), 0)
	r.AddAttrs(slog.String("worker", worker))
	_ = j.Handler().Handle(context.Background(), r)
}

// spellDuration writes "30s" where slog would write a number of nanoseconds.
func spellDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().String())
	}
	return a
}

func levelOf(name string) slog.Level {
	switch name {
	case "debug":
		return slog.LevelDebug
	case "warning":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

// stamp has the date, because files outlive days, and no zone, because people compare it with their clock; log_format
// json has both.
const stamp = "2006-01-02 15:04:05.000"

// lines writes log records for people: time, level, worker, text, then what else there is. Values of several lines (a
// traceback, a stack) stand below, as they are.
type lines struct {
	w     io.Writer
	level slog.Level
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// WithGroup implements slog.Handler; groups are not used here.
func (h *lines) WithGroup(string) slog.Handler { return h }

// WithAttrs implements slog.Handler.
func (h *lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	more.attrs = append(append([]slog.Attr{}, h.attrs...), attrs...)
	return &more
}

// Handle implements slog.Handler.
func (h *lines) Handle(_ context.Context, r slog.Record) error {
	var line, pairs, below bytes.Buffer
	fmt.Fprintf(&line, "%s %-5s ", r.Time.Format(stamp), strings.ToLower(r.Level.String()))
	each := func(a slog.Attr) bool {
		value := a.Value.Resolve().String()
		switch {
		case a.Key == "worker":
			line.WriteString("[" + value + "] ")
		case strings.Contains(value, "\n"):
			below.WriteString("    " + strings.ReplaceAll(strings.TrimRight(value, "\n"), "\n", "\n    ") + "\n")
		case value == "" || strings.ContainsAny(value, " \"="):
			fmt.Fprintf(&pairs, " %s=%q", a.Key, value)
		default:
			pairs.WriteString(" " + a.Key + "=" + value)
		}
		return true
	}
	for _, a := range h.attrs {
		each(a)
	}
	r.Attrs(each)
	line.WriteString(r.Message)
	line.Write(pairs.Bytes())
	line.WriteByte('\n')
	line.Write(below.Bytes())
	_, err := h.w.Write(line.Bytes())
	return err
}
