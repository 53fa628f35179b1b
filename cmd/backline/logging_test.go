package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"backline/config"
)

func journalTo(t *testing.T, out *strings.Builder, level, format string) *journal {
	t.Helper()
	j, err := openJournal(&config.Config{LogFile: "-", LogLevel: level, LogFormat: format}, out)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestLinesForPeople(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		log  func(*slog.Logger)
		want string
	}{
		{"plain", func(l *slog.Logger) { l.Info("hello") }, "info  hello\n"},
		{"level", func(l *slog.Logger) { l.Error("bad") }, "error bad\n"},
		{"worker first", func(l *slog.Logger) { l.Info("up", "pid", 7, "worker", "web.1") }, "info  [web.1] up pid=7\n"},
		{"worker of a With", func(l *slog.Logger) { l.With("worker", "web.1").Warn("x") }, "warn  [web.1] x\n"},
		{"quoted", func(l *slog.Logger) { l.Info("x", "a", "two words", "b", "", "c", `say "hi"`) }, `info  x a="two words" b="" c="say \"hi\""` + "\n"},
		{"duration", func(l *slog.Logger) { l.Info("x", "after", 30*time.Second) }, "info  x after=30s\n"},
		{
			"several lines stand below", func(l *slog.Logger) { l.Error("stuck", "stack", "  File a\n    b()\n", "after", "1s") },
			"error stuck after=1s\n      File a\n        b()\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			c.log(journalTo(t, &out, "info", "text").Logger)
			stamp, rest := out.String()[:len("2006-01-02 15:04:05.000")], out.String()[len("2006-01-02 15:04:05.000 "):]
			if !regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$`).MatchString(stamp) {
				t.Errorf("the time is %q", stamp)
			}
			if rest != c.want {
				t.Errorf("got %q, want %q", rest, c.want)
			}
		})
	}
}

func TestLevelIsAboutOurOwnLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	j := journalTo(t, &out, "error", "text")
	j.Info("not this")
	j.output("web.1", "stdout", []byte("  but this, as it is "))
	if got := out.String(); strings.Contains(got, "not this") || !strings.HasSuffix(got, " [web.1]   but this, as it is \n") {
		t.Errorf("got %q", got)
	}
}

func TestJSONLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	j := journalTo(t, &out, "info", "json")
	j.Info("stopping", "graceful_timeout", 30*time.Second)
	j.output("web.1", "stderr", []byte(`a "quoted" line`))
	var records []map[string]any
	for line := range strings.Lines(out.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	if records[0]["graceful_timeout"] != "30s" || records[1]["worker"] != "web.1" || records[1]["msg"] != `a "quoted" line` {
		t.Errorf("got %v", records)
	}
}

func TestJournalIsOpenedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	j, err := openJournal(&config.Config{LogFile: path, LogLevel: "info", LogFormat: "text"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	j.Info("before")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	j.Info("meanwhile")
	if err := j.Reopen(); err != nil {
		t.Fatal(err)
	}
	j.Info("after")
	for name, want := range map[string][]string{path + ".1": {"before", "meanwhile"}, path: {"after"}} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(text), "\n"); got != len(want) || !strings.Contains(string(text), want[len(want)-1]) {
			t.Errorf("%s has %q, want lines %v", name, text, want)
		}
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := j.Reopen(); err == nil {
		t.Error("a log in a folder that has gone was opened")
	}
	if _, err := j.Write([]byte("still\n")); err != nil {
		t.Errorf("the old log is not in use any more: %v", err)
	}
}

func TestLevelNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warning": slog.LevelWarn, "error": slog.LevelError,
	} {
		if got := levelOf(name); got != want {
			t.Errorf("levelOf(%q) = %v, want %v", name, got, want)
		}
	}
}
