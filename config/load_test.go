package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"backline"
	"backline/config"
)

// call is one start of the command: what stands in the file, the environment and the command line.
type call struct {
	file    string // content of backline.toml, none when empty
	environ []string
	line    []string
}

// load runs a call in a folder of its own, the way the command does.
func (c call) load(t *testing.T) (*config.Loaded, error) {
	t.Helper()
	dir := t.TempDir()
	if c.file != "" {
		write(t, filepath.Join(dir, "backline.toml"), c.file)
	}
	return c.loadIn(dir)
}

func (c call) loadIn(dir string) (*config.Loaded, error) {
	set := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	flags := config.Bind(set)
	if err := set.Parse(c.line); err != nil {
		return nil, flags.Explain(err)
	}
	return config.Loader{Environ: c.environ, Dir: dir, Cores: 2}.Load(flags, set.Args())
}

func (c call) mustLoad(t *testing.T) *config.Loaded {
	t.Helper()
	loaded, err := c.load(t)
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	return loaded
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wholeText is the message and the hint of every error joined in err; each must be a mistake of the call.
func wholeText(t *testing.T, err error) string {
	t.Helper()
	errs := []error{err}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		errs = several.Unwrap()
	}
	var text strings.Builder
	for _, one := range errs {
		found, ok := errors.AsType[*backline.Error](one)
		if !ok || found.Code != backline.CodeUsage {
			t.Errorf("%v is not a backline.Error with the code usage", one)
			continue
		}
		text.WriteString(found.Error() + " | " + found.Hint + "\n")
	}
	return text.String()
}

func TestTheStrongestSourceWins(t *testing.T) {
	t.Parallel()
	const ours, theirs = "BACKLINE_WORKERS=5", "WEB_CONCURRENCY=6"
	cases := []struct {
		name   string
		call   call
		want   int
		origin string
	}{
		{"default", call{}, 2, "default (one for each core, at most 4)"},
		{"platform", call{environ: []string{theirs}}, 6, "environment WEB_CONCURRENCY"},
		{"file", call{file: "# first\nworkers = 4", environ: []string{theirs}}, 4, "file backline.toml:2"},
		{"environment", call{file: "workers = 4", environ: []string{theirs, ours}}, 5, "environment BACKLINE_WORKERS"},
		{"flag", call{file: "workers = 4", environ: []string{theirs, ours}, line: []string{"-w", "3"}}, 3, "flag --workers"},
		{"last flag", call{line: []string{"-w", "3", "--workers=7"}}, 7, "flag --workers"},
		{"explicit zero", call{file: "workers = 4", line: []string{"-w0"}}, 2, "flag --workers (one for each core, at most 4)"},
		{"empty is unset", call{file: "workers = 4", environ: []string{"BACKLINE_WORKERS=", "WEB_CONCURRENCY="}}, 4, "file backline.toml:1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := c.call.mustLoad(t)
			if got.Config.Workers != c.want || got.Origins["workers"].String() != c.origin {
				t.Errorf("workers is %d from %q, want %d from %q", got.Config.Workers, got.Origins["workers"], c.want, c.origin)
			}
		})
	}
}

// TestAStrongerSourceHidesAMistake: a flag must be able to get round a broken variable.
func TestAStrongerSourceHidesAMistake(t *testing.T) {
	t.Parallel()
	got := call{file: "timeout = 'soon'", environ: []string{"BACKLINE_TIMEOUT=later"}, line: []string{"-t", "5"}}.mustLoad(t)
	if got.Config.Timeout != 5*time.Second {
		t.Errorf("timeout is %v, want 5s", got.Config.Timeout)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	loaded := call{}.mustLoad(t)
	got := loaded.Config
	if !slices.Equal(got.Bind, []string{"127.0.0.1:8000"}) || got.Timeout != 30*time.Second || got.Threads != 8 ||
		got.LimitRequestBody != 1<<30 || got.SocketMode != 0o666 || !got.ServerHeader || got.AccessLogfile != "" || got.Retry != "safe" {
		t.Errorf("the defaults are %+v", got)
	}
	for _, s := range config.Settings() {
		if origin, known := loaded.Origins[s.Key]; !known || origin.Source != config.SourceDefault {
			t.Errorf("%s comes from %q (known: %v), want default", s.Key, origin, known)
		}
	}
	if len(loaded.Warnings) > 0 {
		t.Errorf("warnings without a cause: %q", loaded.Warnings)
	}
}

// TestDefaultsOfLimits: what an operator who sets nothing is promised. docs/settings.md follows the table, whatever it says;
// these numbers do not.
func TestDefaultsOfLimits(t *testing.T) {
	t.Parallel()
	c := call{}.mustLoad(t).Config
	for name, pair := range map[string][2]int64{
		"limit_request_line":   {c.LimitRequestLine, 8 << 10},
		"limit_header_block":   {c.LimitHeaderBlock, 64 << 10},
		"limit_request_fields": {int64(c.LimitRequestFields), 100},
		"limit_request_body":   {c.LimitRequestBody, 1 << 30},
		"limit_connections":    {int64(c.LimitConnections), 20_000},
		"body_min_rate":        {c.BodyMinRate, 1 << 10},
		"body_memory":          {c.BodyMemory, 1 << 20},
		"answer_memory":        {c.AnswerMemory, 1 << 20},
		"answer_file":          {c.AnswerFile, 1 << 30},
		"stream_window":        {c.StreamWindow, 256 << 10},
		"queue_size":           {int64(c.QueueSize), 1024},
		"worker_connections":   {int64(c.WorkerConnections), 1000},
		"max_requests":         {int64(c.MaxRequests), 0},
		"max_worker_memory":    {c.MaxWorkerMemory, 0},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %d, want %d", name, pair[0], pair[1])
		}
	}
	for name, pair := range map[string][2]time.Duration{
		"header_timeout":      {c.HeaderTimeout, 10 * time.Second},
		"body_rate_window":    {c.BodyRateWindow, 30 * time.Second},
		"keep_alive":          {c.KeepAlive, 75 * time.Second},
		"queue_timeout":       {c.QueueTimeout, 10 * time.Second},
		"disconnect_grace":    {c.DisconnectGrace, 10 * time.Second},
		"worker_boot_timeout": {c.WorkerBootTimeout, 120 * time.Second},
		"timeout":             {c.Timeout, 30 * time.Second},
		"stream_timeout":      {c.StreamTimeout, 0},
		"graceful_timeout":    {c.GracefulTimeout, 30 * time.Second},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestManyCoresStartFourWorkers(t *testing.T) {
	t.Parallel()
	for cores, want := range map[int]int{1: 1, 3: 3, 4: 4, 64: 4} {
		loaded, err := config.Loader{Dir: t.TempDir(), Cores: cores}.Load(nil, nil)
		if err != nil || loaded.Config.Workers != want {
			t.Errorf("%d cores: %+v, %v, want %d workers", cores, loaded, err, want)
		}
	}
}

func TestTheApplication(t *testing.T) {
	t.Parallel()
	got := call{file: "app = 'a'", environ: []string{"BACKLINE_APP=b"}, line: []string{"mysite.wsgi", "--factory"}}.mustLoad(t)
	if got.Config.App != "mysite.wsgi" || got.Origins["app"].String() != "argument APP" || !got.Config.Factory {
		t.Errorf("app is %q from %q", got.Config.App, got.Origins["app"])
	}
	if got := (call{file: "app = 'a'"}).mustLoad(t); got.Config.App != "a" {
		t.Errorf("app is %q, want a from the file", got.Config.App)
	}
	_, err := call{line: []string{"mysite.wsgi", "other.wsgi"}}.load(t)
	if err == nil || !strings.Contains(wholeText(t, err), "expected one application, got 2: mysite.wsgi other.wsgi") {
		t.Errorf("two applications: %v", err)
	}
}

func TestTheFileIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "backline.toml"), "threads = 1")
	write(t, filepath.Join(dir, "site", "backline.toml"), "threads = 2")
	write(t, filepath.Join(dir, "etc", "other.toml"), "threads = 3")
	elsewhere := filepath.Join(dir, "etc", "other.toml")
	for _, c := range []struct {
		call call
		want int
		file string
	}{
		{call{}, 1, "backline.toml"},
		{call{line: []string{"--chdir", "site"}}, 2, "site/backline.toml"},
		{call{environ: []string{"BACKLINE_CHDIR=site"}}, 2, "site/backline.toml"},
		{call{line: []string{"--app-dir", "etc"}}, 8, ""},
		{call{line: []string{"-c", "etc/other.toml", "--chdir", "site"}}, 3, "etc/other.toml"},
		{call{line: []string{"-c", elsewhere}}, 3, elsewhere},
		{call{environ: []string{"BACKLINE_CONFIG=etc/other.toml"}}, 3, "etc/other.toml"},
	} {
		got, err := c.call.loadIn(dir)
		if err != nil {
			t.Errorf("%+v: %v", c.call, err)
			continue
		}
		if got.Config.Threads != c.want || got.Config.File != c.file {
			t.Errorf("%+v: threads %d from %q, want %d from %q", c.call, got.Config.Threads, got.Config.File, c.want, c.file)
		}
	}
}

func TestLoadingTwiceGivesTheSame(t *testing.T) {
	t.Parallel()
	set := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	flags := config.Bind(set)
	if err := set.Parse([]string{"-b", ":1", "-b", ":2", "-k", "sync", "--no-date-header", "app"}); err != nil {
		t.Fatal(err)
	}
	loader := config.Loader{Dir: t.TempDir(), Cores: 1}
	for range 2 { // a reload on HUP loads again with the same flags
		got, err := loader.Load(flags, set.Args())
		if err != nil || !slices.Equal(got.Config.Bind, []string{":1", ":2"}) || got.Config.Threads != 1 || got.Config.DateHeader {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

// TestMistakeOfAnotherPart: what is refused after loading is reported like what Load refuses.
func TestMistakeOfAnotherPart(t *testing.T) {
	t.Parallel()
	loaded := call{file: "access_logformat = '%(z)s'", environ: []string{"BACKLINE_LOG_LEVEL=error"}}.mustLoad(t)
	for key, want := range map[string]string{
		"access_logformat": "file backline.toml:1 access_logformat: unknown atom | or leave it out, which means: gunicorn's line (Apache's combined) with duration, queue wait and worker behind it",
		"bus":              "default: unknown atom | or leave it out, which means: this server is alone",
		"bus_secret":       "default: unknown atom | or leave it out",
		"log_level":        "environment BACKLINE_LOG_LEVEL: unknown atom | write for example BACKLINE_LOG_LEVEL=info",
		"bind":             "default: unknown atom | write for example --bind 127.0.0.1:8000",
	} {
		if text := wholeText(t, loaded.Mistake(key, errors.New("unknown atom"))); text != want+"\n" {
			t.Errorf("the mistake of %s is %q, want %q", key, text, want)
		}
	}
}

func TestWriteTable(t *testing.T) {
	t.Parallel()
	loaded := call{file: "threads = 4", environ: []string{"BACKLINE_TIMEOUT=90"}, line: []string{"-e", "TOKEN=hunter2", "-w", "3"}}.mustLoad(t)
	var out strings.Builder
	if err := config.WriteTable(&out, loaded); err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(out.String()) {
		fields := strings.Fields(line)
		rows[fields[0]] = strings.Join(fields[1:], " ")
	}
	for key, want := range map[string]string{
		"workers": "3 flag --workers", "threads": "4 file backline.toml:1", "timeout": "90s environment BACKLINE_TIMEOUT",
		"env": "TOKEN=... flag --env", "app": `"" default`, "limit_request_body": "1GiB default", "socket_mode": "0666 default",
	} {
		if rows[key] != want {
			t.Errorf("the row of %s is %q, want %q", key, rows[key], want)
		}
	}
	for _, s := range config.Settings() {
		if _, found := rows[s.Key]; !found {
			t.Errorf("%s is not in the table", s.Key)
		}
	}
}
