package certs

import (
	"context"
	"log/slog"
	"slices"

	"go.uber.org/zap/zapcore"
)

// bridge carries what certmagic logs over to slog, a level or two below: most of it is about locks and requests, and
// what people have to know comes to us as an event, for which authority.event finds words.
type bridge struct {
	log    *slog.Logger
	fields []zapcore.Field
}

// level gives ours for zap's. Its errors are warnings here, because certmagic tries again.
func level(l zapcore.Level) slog.Level {
	if l >= zapcore.ErrorLevel {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// Enabled implements zapcore.Core.
func (b *bridge) Enabled(l zapcore.Level) bool {
	return l > zapcore.DebugLevel && b.log.Enabled(context.Background(), level(l))
}

// With implements zapcore.Core.
func (b *bridge) With(fields []zapcore.Field) zapcore.Core { //nolint:ireturn // the interface says so
	return &bridge{log: b.log, fields: append(slices.Clip(b.fields), fields...)}
}

// Check implements zapcore.Core.
func (b *bridge) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !b.Enabled(entry.Level) {
		return checked
	}
	return checked.AddCore(entry, b)
}

// Write implements zapcore.Core.
func (b *bridge) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	l := level(entry.Level)
	if said(entry.Message) {
		l = slog.LevelDebug
	}
	fields = append(slices.Clip(b.fields), fields...)
	attrs := make([]slog.Attr, 0, len(fields))
	for _, field := range fields {
		values := zapcore.NewMapObjectEncoder()
		field.AddTo(values)
		for key, value := range values.Fields {
			attrs = append(attrs, slog.Any(key, value))
		}
	}
	b.log.LogAttrs(context.Background(), l, "acme: "+entry.Message, attrs...)
	return nil
}

// Sync implements zapcore.Core.
func (b *bridge) Sync() error { return nil }

// said tells which errors only repeat the event cert_failed. Should certmagic word them differently one day, they are
// heard twice.
func said(message string) bool {
	switch message {
	case "could not get certificate from issuer", "job failed", "validating authorization", "challenge failed",
		"will retry":
		return true
	}
	return false
}
