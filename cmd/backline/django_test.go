package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"backline/config"
)

const managed = `
def main():
    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')
`

func TestSettingsModule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, django, manage string
		environ, env         []string
		want, err            string
	}{
		{name: "module", django: "mysite.prod", manage: managed, want: "mysite.prod"},
		{name: "bare", django: "manage.py", manage: managed, want: "mysite.settings"},
		{name: "found", manage: managed, want: "mysite.settings"},
		{name: "assigned", manage: "os.environ[\"DJANGO_SETTINGS_MODULE\"] = \"a.b\"", want: "a.b"},
		{name: "environment", manage: managed, environ: []string{"DJANGO_SETTINGS_MODULE=mysite.env"}, want: "mysite.env"},
		{
			name: "env setting", manage: managed, environ: []string{"DJANGO_SETTINGS_MODULE=mysite.env"},
			env: []string{"DJANGO_SETTINGS_MODULE=mysite.own"}, want: "mysite.own",
		},
		{name: "no project"},
		{name: "another manage.py", manage: "print('hello')"},
		{name: "bare without manage.py", django: "manage.py", err: "there is no "},
		{name: "bare with another manage.py", django: "manage.py", manage: "print('hello')", err: "does not set DJANGO_SETTINGS_MODULE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if c.manage != "" {
				if err := os.WriteFile(filepath.Join(dir, managePy), []byte(c.manage), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			loaded := &config.Loaded{Config: config.Config{Django: c.django, Env: c.env}}
			got, err := settingsModule(loaded, dir, c.environ)
			if got != c.want || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %q, %v; want %q, %q", got, err, c.want, c.err)
			}
		})
	}
}

func TestStaticFilesOfAProject(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, c := range []struct {
		url, root, mount string
		given            []string
		want             []string
	}{
		{url: "/static/", root: folder, want: []string{"/static/=" + folder}},
		{url: "static/", root: folder, want: []string{"/static/=" + folder}},
		{url: "static/", root: folder, mount: "/site", want: []string{"/site/static/=" + folder}},
		{url: "/static/", root: folder, given: []string{"/static=./other"}, want: []string{"/static=./other"}},
		{url: "https://cdn.example.com/static/", root: folder},
		{url: "//cdn.example.com/static/", root: folder},
		{url: "/", root: folder},
		{url: "", root: folder},
		{url: "/static/"},
		{url: "/static/", root: filepath.Join(folder, "absent")},
	} {
		cfg := &config.Config{Static: c.given, RootPath: c.mount, LogFile: "-", LogLevel: "error"}
		log, err := openJournal(cfg, t.Output())
		if err != nil {
			t.Fatal(err)
		}
		serveStatic(cfg, &project{StaticURL: c.url, StaticRoot: c.root}, log)
		if !slices.Equal(cfg.Static, c.want) {
			t.Errorf("%q from %q: %q, want %q", c.url, c.root, cfg.Static, c.want)
		}
	}
}
