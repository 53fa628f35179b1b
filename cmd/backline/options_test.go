package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"backline"
	"backline/config"
	"backline/dispatch"
	"backline/supervisor"
)

func TestCapacity(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wanted, workers, remembered int
		files                       uint64
		want                        string
	}{
		{20_000, 4, 0, 1 << 20, "20,000 connections"},
		{20_000, 4, 0, 20_100, "20,000 connections"},
		{20_000, 4, 0, 20_099, "19,999 connections (ulimit -n is 20,099)"},
		{20_000, 4, 0, 1024, "924 connections (ulimit -n is 1,024)"},
		{20_000, 4, 256, 1024, "668 connections (ulimit -n is 1,024)"},
		{20_000, 50, 0, 1024, "624 connections (ulimit -n is 1,024)"},
		{1, 1, 0, 101, "1 connection"},
		{20_000, 1, 0, 1<<64 - 1, "20,000 connections"},
	} {
		got, err := capacityOf(c.wanted, c.workers, c.remembered, c.files)
		if err != nil || got.String() != c.want {
			t.Errorf("capacityOf(%d, %d, %d, %d) = %v, %v; want %s",
				c.wanted, c.workers, c.remembered, c.files, got, err, c.want)
		}
	}
	for _, files := range []uint64{0, 100} {
		_, err := capacityOf(20_000, 1, 0, files)
		if e := backline.AsError(err); e.Code != backline.CodeUsage || !strings.Contains(e.Hint, "ulimit -n") {
			t.Errorf("%d files: got %v", files, err)
		}
	}
}

// TestZerosKeepTheirMeaning: 0 is "off" or "none" in the settings, and "the default" in the parts' options.
func TestZerosKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	zero := &config.Config{}
	if got := edgeOptions(zero, capacity{}, nil, nil); got.KeepAlive >= 0 || got.BodyRate >= 0 || got.BodyMemory >= 0 || got.AnswerFile >= 0 {
		t.Errorf("edge: %+v", got)
	}
	if got := dispatchOptions(&config.Config{QueueSize: 5}, nil); got.QueueSize != 0 {
		t.Errorf("queue_timeout 0 lets %d wait", got.QueueSize)
	}
	if got := dispatchOptions(&config.Config{QueueSize: 5, QueueTimeout: time.Second, Retry: "off"}, nil); got.QueueSize != 5 || got.Retry {
		t.Errorf("dispatch: %+v", got)
	}
	app := &application{config: zero}
	if got := app.supervise(&journal{}, nil, app.defaults(nil)); got.BootTimeout >= 0 || got.GracefulTimeout >= 0 {
		t.Errorf("supervisor: %+v", got)
	}
}

func TestReloadDoesNotWaitForStreams(t *testing.T) {
	t.Parallel()
	for configured, want := range map[time.Duration]time.Duration{30 * time.Second: reloadGrace, time.Second: time.Second, 0: -1} {
		c := &config.Config{Reload: true, GracefulTimeout: configured}
		app := &application{config: c}
		if got := app.supervise(&journal{}, nil, app.defaults(nil)); got.GracefulTimeout != want {
			t.Errorf("graceful_timeout %v becomes %v, want %v", configured, got.GracefulTimeout, want)
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for why, want := range map[dispatch.Retirement]supervisor.Reason{
		dispatch.RetireMaxRequests: supervisor.MaxRequests, dispatch.RetireStuck: supervisor.Stuck, dispatch.RetireProtocol: supervisor.Broken,
	} {
		if got := reasonFor(why); got != want {
			t.Errorf("reasonFor(%s) = %v, want %v", why, got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 20_000: "20,000", 1_234_567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestPathsAreMeantFromWhereTheyWereTyped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := &process{dir: dir}
	for path, want := range map[string]string{
		"python3.12": "python3.12", "/usr/bin/python3": "/usr/bin/python3", "not/there": "not/there", "./": dir,
	} {
		if got := p.fromHere(path); got != want {
			t.Errorf("fromHere(%q) = %q, want %q", path, got, want)
		}
	}
	if got := absolute([]string{"a", "/b"}, dir); got[0] != filepath.Join(dir, "a") || got[1] != "/b" {
		t.Errorf("got %v", got)
	}
}

// TestCompressor: every word that the settings take has a meaning, and each another.
func TestCompressor(t *testing.T) {
	t.Parallel()
	if compressor(&config.Config{CompressCodings: []string{"gzip"}}) != nil {
		t.Error("answers are compressed although nobody asked for it")
	}
	page := bytes.Repeat([]byte("<tr><td>some text that repeats itself</td></tr>\n"), 2000)
	html := []backline.Field{{Name: []byte("Content-Type"), Value: []byte("text/html")}}
	for _, level := range []string{"fast", "balanced", "small"} {
		for _, coding := range []string{"zstd", "gzip", "br"} {
			c := compressor(&config.Config{
				Compress: true, CompressCodings: []string{coding}, CompressTypes: []string{"text/*"}, CompressMinSize: 100, CompressEncoders: 1,
				CompressLevel: level,
			})
			scope := &backline.Scope{
				Method: []byte("GET"), Fields: []backline.Field{{Name: []byte("Accept-Encoding"), Value: []byte("zstd, gzip, br")}},
			}
			plan := c.Plan(scope, 200, html, int64(len(page)))
			if plan.Coding.String() != coding {
				t.Errorf("%s: %s", coding, plan.Coding)
				continue
			}
			e := c.Encoder(plan.Coding)
			if c.Encoder(plan.Coding) != nil {
				t.Errorf("%s: more encoders than allowed", coding)
			}
			if n := len(e.Close(e.Append(nil, page, false))); n == 0 || n > len(page)/20 {
				t.Errorf("%s at %s: %d bytes of %d", coding, level, n, len(page))
			}
		}
	}
}
