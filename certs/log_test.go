package certs

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestBridge(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	plain := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	for _, least := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		out.Reset()
		log := zap.New(&bridge{log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: least, ReplaceAttr: plain}))})
		named := log.Named("obtain").With(zap.String("identifier", "example.com"))
		named.Debug("each handshake")
		named.Info("acquiring lock")
		named.Error("unable to unlock", zap.Int("attempt", 2))
		named.Error("will retry")
		log.Warn("plain")
		want := `level=WARN msg="acme: unable to unlock" identifier=example.com attempt=2` + "\n"
		if least == slog.LevelDebug {
			want = `level=DEBUG msg="acme: acquiring lock" identifier=example.com` + "\n" + want +
				`level=DEBUG msg="acme: will retry" identifier=example.com` + "\n" + `level=DEBUG msg="acme: plain"` + "\n"
		}
		if got := out.String(); strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("at %s the log is\n%swant\n%s", least, got, want)
		}
	}
}
