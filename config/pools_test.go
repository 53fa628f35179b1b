package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"backline/config"
)

const poolsFile = `
app = "mysite.wsgi"
workers = 3
threads = 5
timeout = "20s"
env = ["A=1"]
websocket = "mysite.asgi"

[pool.web]
queue_size = 7
threads = 6

[[route]]
path = ["/reports", "/exports"]
pool = "reports"

[pool.reports]
app = "reports.wsgi"
worker_class = "sync"
timeout = "5m"
env = ["A=2", "B=3"]

[pool.live]
max_requests = 9
`

func loadText(t *testing.T, text string, c call) *config.Loaded {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "backline.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := c.loadIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func TestPoolsFallBackToTheServersSettings(t *testing.T) {
	t.Parallel()
	loaded := loadText(t, poolsFile, call{line: []string{"--threads", "4"}})
	type seen struct {
		name, app, class                 string
		workers, threads, queue, maximum int
		timeout                          time.Duration
		env                              string
	}
	var got []seen
	for _, p := range loaded.Pools {
		c := p.Config
		got = append(got, seen{
			p.Name, c.App, c.WorkerClass, c.Workers, c.Threads, c.QueueSize, c.MaxRequests, c.Timeout,
			slices.Concat(c.Env)[len(c.Env)-1],
		})
	}
	want := []seen{
		// A flag is about the pool of app, and stronger than that pool's section.
		{"web", "mysite.wsgi", "auto", 3, 4, 7, 0, 20 * time.Second, "A=1"},
		{"live", "mysite.asgi", "asyncio", 1, 4, 1024, 9, 20 * time.Second, "A=1"},
		{"reports", "reports.wsgi", "threads", 3, 4, 1024, 0, 5 * time.Minute, "B=3"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if env := loaded.Pools[2].Config.Env; !slices.Equal(env, []string{"A=1", "A=2", "B=3"}) {
		t.Errorf("env of a pool is added to the server's; got %v", env)
	}
	if r := loaded.Routes; len(r) != 1 || r[0].Pool != "reports" || !slices.Equal(r[0].Path, []string{"/reports", "/exports"}) {
		t.Errorf("routes: %+v", r)
	}
}

func TestSyncIsOneThreadInAPoolToo(t *testing.T) {
	t.Parallel()
	loaded := loadText(t, "[pool.a]\nworker_class = \"sync\"\n[pool.b]\nworker_class = \"sync\"\nthreads = 3\n[pool.c]\n", call{})
	for i, want := range []int{1, 3, 8} {
		if got := loaded.Pools[i].Config.Threads; got != want {
			t.Errorf("pool %s has %d threads, want %d", loaded.Pools[i].Name, got, want)
		}
	}
}

// TestServe: applications that are found out later are the pools' as if they had been named.
func TestServe(t *testing.T) {
	t.Parallel()
	loaded := loadText(t, "django = \"mysite.settings\"\n[pool.reports]\nthreads = 2\n[pool.live]\nworkers = 2\n", call{})
	loaded.Config.Env = []string{"X=1"}
	loaded.Serve("mysite.wsgi:application", "mysite.asgi:application")
	got := ""
	for _, p := range loaded.Pools {
		got += p.Name + " " + p.Config.App + " " + p.Config.WorkerClass + " " + p.Config.Env[0] + "\n"
	}
	want := "web mysite.wsgi:application auto X=1\nlive mysite.asgi:application asyncio X=1\nreports mysite.wsgi:application auto X=1\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestDjangoFlag(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line        []string
		django, app string
	}{
		{[]string{"--django", "mysite.settings"}, "mysite.settings", ""},
		{[]string{"mysite.settings", "--django"}, "mysite.settings", ""},
		{[]string{"--django=mysite.settings"}, "mysite.settings", ""},
		{[]string{"--django"}, "manage.py", ""},
		{[]string{"--django=../site/manage.py"}, "../site/manage.py", ""},
		{[]string{"--threads", "4", "mysite.wsgi"}, "", "mysite.wsgi"},
	} {
		loaded := call{line: c.line}.mustLoad(t)
		if got := loaded.Config; got.Django != c.django || got.App != c.app {
			t.Errorf("%q: django %q, app %q; want %q, %q", c.line, got.Django, got.App, c.django, c.app)
		}
	}
	if got := (call{line: []string{"other.wsgi"}, environ: []string{"BACKLINE_DJANGO=mysite.settings"}}).mustLoad(t).Config; got.Django != "" {
		t.Errorf("an application on the command line is stronger than django in the environment; got %+v", got.Django)
	}
}

func TestEverySettingOfAPoolIsInTheTable(t *testing.T) {
	t.Parallel()
	n := 0
	for _, s := range config.Settings() {
		if s.PerPool() {
			n++
		}
	}
	if n != 38 {
		t.Errorf("%d settings of the table may stand in a pool, and PerPool names 38: one of its names is none", n)
	}
}
