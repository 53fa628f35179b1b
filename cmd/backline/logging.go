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

	"backline"
	"backline/config"
)

// openLog makes the log of the settings: lines for people, or JSON.
func openLog(c *config.Config, stderr io.Writer) (*slog.Logger, error) {
	w := stderr
	if c.LogFile != "-" {
		file, err := os.OpenFile(c.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
		if err != nil {
			return nil, &backline.Error{Op: "open the log", Code: backline.CodeUsage, Err: err, Hint: "choose another --log-file, or - for standard error"}
		}
		w = file
	}
	level := levels[c.LogLevel]
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
	}
	return slog.New(&lines{w: w, level: level, mu: new(sync.Mutex)}), nil
}

var levels = map[string]slog.Level{ //nolint:gochecknoglobals // a constant table
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warning": slog.LevelWarn, "error": slog.LevelError,
}

// lines writes log records for people: time, level, worker, text, then what else there is. Values of several lines (a
// traceback, a stack) stand below, as they are.
type lines struct {
	w     io.Writer
	level slog.Level
	mu    *sync.Mutex
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
	fmt.Fprintf(&line, "%s %-5s ", r.Time.Format("15:04:05.000"), strings.ToLower(r.Level.String()))
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
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(line.Bytes())
	return err
}
