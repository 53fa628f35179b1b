package config_test

import (
	"strings"
	"testing"
)

func TestChannelsHaveAPool(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"command = [\"./worker\"]\nchannels = [\"thumbs\"]\n":                                               "channels ./worker asyncio 1 thumbs",
		"app = \"a:wsgi\"\nchannels = [\"thumbs\"]\n":                                                       "channels a:wsgi asyncio 1 thumbs",
		"app = \"a:wsgi\"\nwebsocket = \"a:asgi\"\nchannels = [\"thumbs\"]\n":                               "channels a:asgi asyncio 1 thumbs",
		"app = \"a:wsgi\"\nworkers = 3\nworker_class = \"gevent\"\n[pool.x]\nchannels = [\"t.*\", \"u\"]\n": "x a:wsgi asyncio 3 t.*,u",
		"app = \"a:wsgi\"\nchannels = [\"thumbs\"]\n[pool.channels]\nworkers = 2\napp = \"b:b\"\n":          "channels b:b asyncio 2 thumbs",
	} {
		loaded := loadText(t, text, call{})
		for i, p := range loaded.Pools {
			c, last := p.Config, i == len(loaded.Pools)-1
			if p.Answers() == last || last != (len(c.Channels) > 0) {
				t.Errorf("%s: the pool %s has the channels %q", text, p.Name, c.Channels)
			}
			if got := strings.Join([]string{
				p.Name, c.App, c.WorkerClass, string(rune('0' + c.Workers)), strings.Join(c.Channels, ","),
			}, " "); last && got != want {
				t.Errorf("%s: got %s, want %s", text, got, want)
			}
		}
	}
}

func TestChannelsThatNoPoolCanHave(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[pool.web]\napp = \"a:a\"\nchannels = [\"x\"]\n":               "answers clients",
		"[pool.x]\nworker_class = \"gthread\"\nchannels = [\"x\"]\n":    "worker_class is threads",
		"[pool.x]\nchannels = [\"a.*\", \"a.b.*\"]\n":                   "a.* has the channels of a.b.* already",
		"[pool.x]\nchannels = [\"a.b\", \"a.*\"]\n":                     "a.* has the channels of a.b already",
		"[pool.x]\nchannels = [\"a\", \"a\"]\n":                         "a has the channels of a already",
		"[pool.x]\nchannels = [\"a.*.b\"]\n":                            "no name of a channel",
		"[pool.x]\nchannels = [\"specific.x!y\"]\n":                     "no name of a channel",
		"[pool.x]\nchannels = [\"" + strings.Repeat("x", 100) + "\"]\n": "no name of a channel",
	} {
		if _, err := (call{file: text}).load(t); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q", text, err, want)
		}
	}
}
