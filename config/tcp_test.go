package config_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"backline/config"
)

func TestParseTCP(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.TCP{
		"127.0.0.1:5000=mod:handle":   {Address: "127.0.0.1:5000", App: "mod:handle"},
		"tls://[::1]:5000=mod":        {Address: "[::1]:5000", TLS: true, App: "mod"},
		"tcp://:5000 = a.b:make(x=1)": {Address: ":5000", App: "a.b:make(x=1)"},
	} {
		got, err := config.ParseTCP(text)
		if err != nil || got != want {
			t.Errorf("ParseTCP(%q) = %+v, %v, want %+v", text, got, err, want)
		}
		if again, err := config.ParseTCP(got.String()); err != nil || again != want {
			t.Errorf("ParseTCP(%q) = %+v, %v, want %+v", got.String(), again, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                         "does not say which function",
		"127.0.0.1:5000":           "does not say which function",
		"127.0.0.1:5000=":          "no function after the =",
		"127.0.0.1:5000=:handle":   "no module before the colon",
		"127.0.0.1=mod:handle":     "has no port",
		"unix:/run/a=mod:handle":   "no address of raw TCP",
		"fd://3=mod:handle":        "no address of raw TCP",
		"https://:5000=mod:handle": "no address of raw TCP",
	} {
		if got, err := config.ParseTCP(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseTCP(%q) = %+v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestPoolsOfTCP(t *testing.T) {
	t.Parallel()
	loaded := loadText(t, `
app = "mysite.asgi"
worker_class = "asyncio"
factory = true
threads = 5
tcp = ["127.0.0.1:5000=lines:handle", "127.0.0.1:5001=game:play"]

[pool.tcp]
threads = 50

[pool.tcp-2]
worker_class = "gevent"
`, call{})
	var names, apps, classes []string
	var threads []int
	for _, each := range loaded.Pools {
		names, apps = append(names, each.Name), append(apps, each.Config.App)
		classes, threads = append(classes, each.Config.WorkerClass), append(threads, each.Config.Threads)
		if (each.TCP != nil) != strings.HasPrefix(each.Name, "tcp") || each.Config.Factory != (each.TCP == nil) {
			t.Errorf("the pool %s has TCP %v, and factory %v", each.Name, each.TCP, each.Config.Factory)
		}
	}
	if !slices.Equal(names, []string{"web", "tcp", "tcp-2"}) ||
		!slices.Equal(apps, []string{"mysite.asgi", "lines:handle", "game:play"}) ||
		!slices.Equal(classes, []string{"asyncio", "threads", "gevent"}) || !slices.Equal(threads, []int{5, 50, 5}) {
		t.Errorf("the pools are %q of %q, %q with %v threads", names, apps, classes, threads)
	}
}

func TestMistakesOfTCP(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`tcp = ["tls://:5000=a:b"]`:                                     "there are no certificates",
		`tcp = [":5000=a:b", "tls://:5000=a:c"]` + "\ndev_tls = true":   ":5000 is to be listened on for tcp and for something else",
		"bind = [\":5000\"]\ntcp = [\":5000=a:b\"]":                     "for tcp and for something else",
		"admin_bind = \":5000\"\ntcp = [\":5000=a:b\"]":                 "for tcp and for something else",
		"tcp = [\":5000=a:b\"]\n[pool.tcp]\nworker_class = \"asyncio\"": "which an event loop cannot call",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "backline.toml"), "app = \"x\"\n"+text)
		if _, err := (call{}).loadIn(dir); err == nil || !strings.Contains(wholeText(t, err), want) {
			t.Errorf("%s gives %v, want an error with %q", text, err, want)
		}
	}
}
