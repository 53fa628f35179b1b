package config_test

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"backline/config"
)

// badFiles says what must appear in the errors of each testdata/NAME.bad.toml: place, message and hint.
func badFiles() map[string][]string {
	return map[string][]string{
		"unknown-key":       {":3: unknown setting \"gracful_timeout\"", "did you mean graceful_timeout?"},
		"uvicorn-key":       {":1: unknown setting \"limit_max_requests\"", "did you mean max_requests?"},
		"flag-as-key":       {"unknown setting \"keep-alive\"", "did you mean keep_alive?"},
		"unknown-far":       {"unknown setting \"zebra_crossing\"", "`backline settings` lists the names"},
		"section":           {":1: unknown setting \"server\": the file has no sections but [pool.NAME] and [[route]]", "without [server]"},
		"not-toml":          {".bad.toml:2: ", "key = \"text\""},
		"unquoted":          {".bad.toml:1: ", "key = \"text\""},
		"names-a-file":      {":1 config: the file cannot name another file", "--config"},
		"wrong-type":        {":1 workers: \"many\" is not a whole number", "workers = 0"},
		"list-for-one":      {":1 threads: a list: expected a number", "threads = 8"},
		"number-for-text":   {":1 python: a number: expected a text in quotes"},
		"number-in-list":    {":1 bind: the list holds a number", "bind = [\"127.0.0.1:8000\"]"},
		"date":              {":1 timeout: a date: expected a text in quotes", "timeout = \"30s\""},
		"mode-as-number":    {":1 socket_mode: a number: expected octal digits in quotes", "socket_mode = \"0666\""},
		"negative":          {":1 timeout: -1 is negative: a duration is 0 or more", "timeout = \"30s\""},
		"duration":          {":1 timeout: \"30 seconds\" is not a duration: expected seconds (30)", "timeout = \"30s\""},
		"too-long":          {":1 timeout: 30000000 is out of range: allowed is 0 to 24h"},
		"size":              {":1 limit_request_body: \"1.5G\" is not a size", "limit_request_body = \"1GiB\""},
		"choice":            {":1 log_level: \"verbos\" is not one of debug, info, warning, error", "log_level = \"info\""},
		"header-off":        {":1 header_timeout: 0 is out of range: allowed is 100ms to 24h", "header_timeout = \"10s\""},
		"bind-empty":        {"bind is empty, there is nowhere to listen", "--bind 127.0.0.1:8000"},
		"bind-twice":        {"bind has 127.0.0.1:80 twice", "leave one of them out"},
		"bind-and-port":     {"bind-and-port.bad.toml:1 and ", "bind-and-port.bad.toml:2 both say where to listen", "keep one of them"},
		"eventlet":          {":1 worker_class: \"eventlet\" is not served here", "expected gevent"},
		"tiny-memory":       {":1 max_worker_memory: 512 is less than any worker needs", "expected 512MiB"},
		"pair":              {":1 env: a variable without a name or without =: expected KEY=VALUE"},
		"pool-unknown-key":  {":4 [pool.reports]: unknown setting \"thread\"", "did you mean threads?"},
		"pool-not-its-own":  {":3 [pool.reports]: \"bind\" is a setting of the whole server", "above the first line in [brackets]"},
		"pool-wrong-value":  {":3 [pool.reports] workers: \"many\" is not a whole number", ":5 [pool.other] threads: 0 is out of range"},
		"pool-compute":      {":1 [pool.compute]: \"compute\" is what the pools for offloaded functions are called"},
		"pool-name":         {":1 [pool.My Pool]: \"My Pool\" is no name for a pool", "[pool.reports]"},
		"pool-without-name": {":2: \"workers\" stands in [pool]: expected the name of a pool first", "[pool.reports]"},
		"pool-folder":       {":2 [pool.reports]: the folder nowhere does not exist"},
		"pool-application":  {":2 [pool.reports]: unknown setting \"application\"", "did you mean app?"},
		"route-one-bracket": {":1: route is a section: expected sections [[route]]", "two pairs of brackets"},
		"route-unknown-key": {":6 [[route]]: unknown condition \"paht\"", "did you mean path?"},
		"route-nowhere":     {":2 [[route]]: it leads to no pool", "pool = \"reports\""},
		"route-number":      {":2 [[route]] path: a number: expected a text in quotes", "path = \"/reports\""},
		"route-empty-list":  {":2 [[route]] method: an empty list: no request would fit", "method = [\"POST\", \"PUT\"]"},
		"django-and-app":    {":1 and file", ":2 both say what to serve", "keep one of them"},
		"django-file":       {":1 django: \"mysite/settings.py\" is no module", "such as mysite.settings"},
		"section-near":      {":1: unknown setting \"pools\": the file has no sections but [pool.NAME] and [[route]]"},
		"two-mistakes":      {":1 workers: -1 is out of range: allowed is 0 to 1024", ":2 threads: 0 is out of range: allowed is 1 to 4096"},
	}
}

func loadFile(t *testing.T, path string) (*config.Loaded, error) {
	t.Helper()
	return call{line: []string{"--config", path}}.loadIn(".")
}

func names(t *testing.T, ending string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "*"+ending))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no testdata/*%s: %v", ending, err)
	}
	for i, path := range paths {
		paths[i] = strings.TrimSuffix(filepath.Base(path), ending)
	}
	return paths
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	const ending = ".bad.toml"
	found := names(t, ending)
	for name := range badFiles() {
		if !slices.Contains(found, name) {
			t.Errorf("testdata/%s%s does not exist", name, ending)
		}
	}
	for _, name := range found {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wants := badFiles()[name]
			if len(wants) == 0 {
				t.Fatal("nothing says what is wrong with it")
			}
			loaded, err := loadFile(t, filepath.Join("testdata", name+ending))
			if err == nil {
				t.Fatalf("was taken: %+v", loaded.Config)
			}
			text := wholeText(t, err)
			for _, want := range wants {
				if !strings.Contains(text, want) {
					t.Errorf("the error lacks %q:\n%s", want, text)
				}
			}
			if strings.Contains(text, "hunter2") {
				t.Errorf("the error shows a value of env:\n%s", text)
			}
		})
	}
}

func TestGoodFiles(t *testing.T) {
	t.Parallel()
	wants := map[string]func(c *config.Config){
		"empty":      func(*config.Config) {},
		"minimal":    func(c *config.Config) { c.App = "mysite.wsgi" },
		"env-single": func(c *config.Config) { c.Env = []string{"OPTIONS=a,b"} },
		"everything": func(c *config.Config) {
			c.App, c.Workers, c.WorkerClass = "mysite.asgi:application", 3, "asyncio"
			c.Bind = []string{"127.0.0.1:9000", "unix:/run/site.sock", "[::1]:9000"}
			c.Env = []string{"DJANGO_SETTINGS_MODULE=mysite.settings", "OPTIONS=a,b"}
			c.PythonPath = []string{"src", "vendor"}
			c.Timeout, c.GracefulTimeout, c.KeepAlive = 2500*time.Millisecond, 2*time.Minute, 5*time.Second
			c.LimitRequestBody, c.BodyMemory, c.SocketMode = 10<<30, 64<<10, 0o660
			c.ServerHeader, c.DateHeader, c.Retry, c.ASGISpecVersion = false, false, "off", "2.3"
			c.LogLevel, c.RootPath = "warning", "/site"
		},
	}
	defaults := call{}.mustLoad(t).Config
	for _, name := range names(t, ".good.toml") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := wants[name]
			if change == nil {
				t.Fatal("nothing says what it means")
			}
			path := filepath.Join("testdata", name+".good.toml")
			loaded, err := loadFile(t, path)
			if err != nil {
				t.Fatal(err)
			}
			want := defaults
			want.File = path
			change(&want)
			if !reflect.DeepEqual(loaded.Config, want) {
				t.Errorf("got  %+v\nwant %+v", loaded.Config, want)
			}
		})
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "gunicorn.conf.py"), "import multiprocessing\nworkers = multiprocessing.cpu_count()\n")
	for name, wants := range map[string][]string{
		"missing.toml":     {"file missing.toml: the settings cannot be read", "or leave --config out"},
		"gunicorn.conf.py": {"this is Python: expected a settings file in TOML", "backline.toml"},
		".":                {"file .: the settings cannot be read"},
	} {
		_, err := call{line: []string{"-c", name}}.loadIn(dir)
		if err == nil {
			t.Errorf("%s was taken", name)
			continue
		}
		text := wholeText(t, err)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the error lacks %q:\n%s", name, want, text)
			}
		}
	}
}
