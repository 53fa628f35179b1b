package config_test

import (
	"slices"
	"strings"
	"testing"

	"backline/config"
)

func TestWhereToListen(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		call   call
		want   string
		origin string
	}{
		{"repeated", call{line: []string{"-b", ":80", "-b", "unix:/a"}}, ":80 unix:/a", "flag --bind"},
		{"commas", call{line: []string{"-b", ":80,unix:/a"}}, ":80 unix:/a", "flag --bind"},
		{"commas in a variable", call{environ: []string{"BACKLINE_BIND=:80, :81"}}, ":80 :81", "environment BACKLINE_BIND"},
		{"host", call{line: []string{"--host", "0.0.0.0"}}, "0.0.0.0:8000", "flag --host"},
		{"port", call{line: []string{"--port", "80"}}, "127.0.0.1:80", "flag --port"},
		{"both", call{line: []string{"--host", "::1", "--port", "80"}}, "[::1]:80", "flag --host"},
		{"host and port of two sources", call{file: "host = '0.0.0.0'", line: []string{"--port", "80"}}, "0.0.0.0:80", "flag --port"},
		{"flag over file", call{file: "bind = ['a:1']", line: []string{"--port", "80"}}, "127.0.0.1:80", "flag --port"},
		{"bind over file", call{file: "port = 81", line: []string{"-b", ":80"}}, ":80", "flag --bind"},
		{"uds", call{file: "port = 81", line: []string{"--uds", "/run/a"}}, "unix:/run/a", "flag --uds"},
		{"PORT", call{environ: []string{"PORT=5000"}}, "0.0.0.0:5000", "environment PORT"},
		{"PORT under the file", call{file: "port = 81", environ: []string{"PORT=5000"}}, "127.0.0.1:81", "file backline.toml:1"},
		{"PORT with a host", call{environ: []string{"PORT=5000"}, line: []string{"--host", "::"}}, "[::]:5000", "flag --host"},
		{"Kubernetes service", call{environ: []string{"BACKLINE_PORT=tcp://10.0.0.1:80", "BACKLINE_SERVICE_HOST=10.0.0.1", "BACKLINE_PORT_80_TCP=x"}},
			"127.0.0.1:8000", "default"},
		{"two free ports", call{line: []string{"-b", ":0", "-b", ":0"}}, ":0 :0", "flag --bind"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := c.call.mustLoad(t)
			if !slices.Equal(got.Config.Bind, strings.Fields(c.want)) || got.Origins["bind"].String() != c.origin {
				t.Errorf("bind is %q from %q, want %q from %q", got.Config.Bind, got.Origins["bind"], c.want, c.origin)
			}
			if len(got.Warnings) > 0 {
				t.Errorf("warnings: %q", got.Warnings)
			}
		})
	}
}

func TestContradictionsAreErrors(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		call call
		want string
	}{
		{"bind and port", call{line: []string{"-b", ":80", "--port", "80"}}, "flag --bind and flag --port both say where to listen"},
		{"bind and uds", call{environ: []string{"BACKLINE_BIND=:1", "BACKLINE_UDS=/a"}}, "BACKLINE_BIND and environment BACKLINE_UDS both"},
		{"uds and host", call{line: []string{"--uds", "/a", "--host", "::"}}, "flag --host and flag --uds both"},
		{"admin_bind", call{line: []string{"-b", ":80", "-b", ":81", "--admin-bind", ":81"}}, "bind and admin_bind both are :81"},
		{"access log", call{line: []string{"--no-access-log", "--access-logfile", "a.log"}}, "contradict each other about the access log"},
		{"PORT", call{environ: []string{"PORT=http"}}, `environment PORT: "0.0.0.0:http": port "http" is not a number`},
		{"chdir", call{line: []string{"--chdir", "nowhere"}}, "flag --chdir: the folder nowhere does not exist"},
		{"chdir is a file", call{file: "threads = 1", line: []string{"--chdir", "backline.toml"}}, "backline.toml is a file"},
		{"alias", call{line: []string{"--timeout-keep-alive", "x"}}, `flag --timeout-keep-alive: "x" is not a duration`},
		{"switch", call{line: []string{"--reload=maybe"}}, `flag --reload: "maybe" is neither true nor false | write for example --reload or --no-reload`},
		{"bind nothing", call{line: []string{"--bind", ""}}, "bind is empty"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			loaded, err := c.call.load(t)
			if err == nil {
				t.Fatalf("was taken: %+v", loaded.Config)
			}
			if text := wholeText(t, err); !strings.Contains(text, c.want) {
				t.Errorf("the error lacks %q:\n%s", c.want, text)
			}
		})
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		call call
		want string
	}{
		{"default", call{}, ""},
		{"uvicorn", call{line: []string{"--access-log"}}, "-"},
		{"gunicorn", call{line: []string{"--access-logfile", "-"}}, "-"},
		{"both", call{line: []string{"--access-log", "--access-logfile", "a.log"}}, "a.log"},
		{"switch keeps the file", call{file: "access_logfile = 'a.log'", line: []string{"--access-log"}}, "a.log"},
		{"off for one start", call{file: "access_logfile = 'a.log'", line: []string{"--no-access-log"}}, ""},
		{"file over switch", call{file: "access_log = false", line: []string{"--access-logfile", "a.log"}}, "a.log"},
		{"empty over switch", call{file: "access_log = true", environ: []string{"BACKLINE_ACCESS_LOGFILE="}}, ""},
		{"double negation", call{line: []string{"--no-access-log=false"}}, "-"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.call.mustLoad(t).Config.AccessLogfile; got != c.want {
				t.Errorf("the access log goes to %q, want %q", got, c.want)
			}
		})
	}
}

func TestSyncIsOneThread(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		call call
		want int
	}{
		{call{line: []string{"-k", "sync"}}, 1},
		{call{line: []string{"-k", "gthread"}}, 8},
		{call{line: []string{"-k", "sync", "--threads", "4"}}, 4}, // gunicorn too makes gthread of it
		{call{file: "threads = 4", line: []string{"-k", "sync"}}, 4},
	} {
		got := c.call.mustLoad(t).Config
		if got.Threads != c.want || got.WorkerClass != "threads" {
			t.Errorf("%+v: %d threads of %s, want %d", c.call, got.Threads, got.WorkerClass, c.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"BACKLINE_WROKERS=2":             "BACKLINE_WROKERS is not a setting and was ignored; did you mean BACKLINE_WORKERS?",
		"BACKLINE_LIMIT_MAX_REQUESTS=2":  "did you mean BACKLINE_MAX_REQUESTS?",
		"BACKLINE_ZEBRA=2":               "BACKLINE_ZEBRA is not a setting and was ignored",
		"GUNICORN_CMD_ARGS=-w 4":         "GUNICORN_CMD_ARGS is not used",
		"BACKLINE_MAX_REQUESTS_JITTER=2": "max_requests_jitter has no effect without max_requests",
	} {
		got := call{environ: []string{"HOME=/root", entry}}.mustLoad(t).Warnings
		if len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: warnings %q, want one with %q", entry, got, want)
		}
	}
	if got := (call{environ: []string{"FORWARDED_ALLOW_IPS=", "GUNICORN_CMD_ARGS=", "BACKLINE=1", "PATH=/bin"}}).mustLoad(t).Warnings; len(got) > 0 {
		t.Errorf("warnings without a cause: %q", got)
	}
}

func TestOriginSaysWhere(t *testing.T) {
	t.Parallel()
	for want, origin := range map[string]config.Origin{
		"default":                     {},
		"file a.toml":                 {Source: config.SourceFile, Name: "a.toml"},
		"file a.toml:3":               {Source: config.SourceFile, Name: "a.toml", Line: 3},
		"environment WEB_CONCURRENCY": {Source: config.SourceForeign, Name: "WEB_CONCURRENCY"},
		"flag --bind (why)":           {Source: config.SourceFlag, Name: "--bind", Note: "why"},
	} {
		if got := origin.String(); got != want {
			t.Errorf("%+v is %q, want %q", origin, got, want)
		}
	}
}
