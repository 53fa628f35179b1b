package static

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestServe(t *testing.T) {
	t.Parallel()
	f := filesOf(t, map[string]string{"a.css": "body {}", "sub/b.txt": "b", "empty.js": "", "UPPER.PNG": "png", "noext": "x"},
		Options{MaxAge: time.Minute}, nil)
	got := see(t, f.Serve(request("GET /s/a.css")))
	want := map[string]string{
		"Content-Type": "text/css; charset=utf-8", "ETag": got.fields["ETag"], "Last-Modified": longAgoText,
		"Accept-Ranges": "bytes", "Cache-Control": "public, max-age=60", "X-Content-Type-Options": "nosniff",
	}
	if got.status != 200 || got.body != "body {}" || len(got.fields) != len(want) {
		t.Errorf("%v", got)
	}
	for name, value := range want {
		if got.fields[name] != value || value == "" {
			t.Errorf("%s: %q, want %q", name, got.fields[name], value)
		}
	}
	for _, c := range []struct{ line, kind, body string }{
		{"GET /s/sub/b.txt", "text/plain; charset=utf-8", "b"},
		{"GET /s/sub/b.txt?v=1", "text/plain; charset=utf-8", "b"},
		{"GET /s/%73ub/b%2etxt", "text/plain; charset=utf-8", "b"},
		{"GET /%73/sub/b.txt", "text/plain; charset=utf-8", "b"},
		{"GET /s/empty.js", "text/javascript; charset=utf-8", ""},
		{"GET /s/UPPER.PNG", "image/png", "png"},
		{"GET /s/noext", "application/octet-stream", "x"},
	} {
		got := see(t, f.Serve(request(c.line)))
		if got.status != 200 || got.body != c.body || got.fields["Content-Type"] != c.kind {
			t.Errorf("%s: %v", c.line, got)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	f := filesOf(t, map[string]string{"a.css": "body {}"}, Options{}, nil)
	get, head := see(t, f.Serve(request("GET /s/a.css"))), see(t, f.Serve(request("HEAD /s/a.css")))
	if head.status != 200 || head.body != "" || head.length != 7 || head.fields["ETag"] != get.fields["ETag"] {
		t.Errorf("HEAD: %v, %d bytes", head, head.length)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "get"} {
		for _, name := range []string{"a.css", "missing"} {
			got := see(t, f.Serve(request(method+" /s/"+name)))
			if got.status != 405 || got.fields["Allow"] != "GET, HEAD" {
				t.Errorf("%s %s: %v", method, name, got)
			}
		}
	}
	if got := see(t, f.Serve(request("HEAD /s/missing"))); got.status != 404 || got.body != "" || got.length == 0 {
		t.Errorf("HEAD of nothing: %v, %d bytes", got, got.length)
	}
}

// TestNotServed: what must not be reached looks like what does not exist.
func TestNotServed(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"secret": "secret"})
	more := func(folder string) {
		for link, target := range map[string]string{
			"out":         filepath.Join(outside, "secret"),
			"outfolder":   outside,
			"up":          "../" + filepath.Base(outside) + "/secret",
			"loop":        "loop",
			"dangling":    "nothing",
			"inside":      "a.css",
			"sub/inside":  "../a.css",
			"folderlink":  "sub",
			"twice":       "inside",
			"sub/outside": "../../../../../../../../etc/passwd",
		} {
			if err := os.Symlink(target, filepath.Join(folder, link)); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Mkfifo(filepath.Join(folder, "fifo"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string]string{"a.css": "body {}", "sub/b.txt": "b", ".env": "secret", ".git/config": "secret", "sub/.x": "secret"}
	f := filesOf(t, files, Options{}, more)
	for _, name := range []string{
		"", "missing", "sub", "sub/", "a.css/", "a.css/b", "sub//b.txt", "/a.css", "sub/missing", "sub/../a.css", "./a.css",
		"../" + filepath.Base(outside) + "/secret", "..%2f", "%2e%2e/", "%2e%2e%2fa.css", "..;/a.css", "a.css%00", "a.css%00.png",
		"..\\a.css", "..%5ca.css", "%c0%ae%c0%ae/", "%252e%252e%252f", ".env", ".git/config", "%2eenv", "sub/.x", "%", "%zz", "a.css%",
		"out", "outfolder/secret", "up", "loop", "dangling", "sub/outside", "fifo", strings.Repeat("a", 5000),
		strings.Repeat("a/", 2000) + "b",
	} {
		got := see(t, f.Serve(request("GET /s/"+name)))
		if got.status != 404 || strings.Contains(got.body, "secret") {
			t.Errorf("%.60q: %v", name, got)
		}
	}
	for _, name := range []string{"inside", "sub/inside", "twice", "folderlink/inside"} {
		if got := see(t, f.Serve(request("GET /s/"+name))); got.status != 200 || got.body != "body {}" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNoMount(t *testing.T) {
	t.Parallel()
	f := filesOf(t, map[string]string{"a.css": "body {}"}, Options{}, nil)
	for _, line := range []string{"GET /", "GET /s", "GET /S/a.css", "GET /sx/a.css", "GET /x/s/a.css", "GET //s/a.css", "OPTIONS *",
		"GET /s%2fa.css", "POST /other", "GET "} {
		if a := f.Serve(request(line)); a != nil {
			t.Errorf("%s: %v", line, see(t, a))
		}
	}
	if a := New(Options{}).Serve(request("GET /s/a.css")); a != nil {
		t.Errorf("without mounts: %v", see(t, a))
	}
}

func TestLongestPrefixWins(t *testing.T) {
	t.Parallel()
	one, two := tree(t, map[string]string{"x": "one", "in/x": "one in"}), tree(t, map[string]string{"x": "two"})
	f := New(Options{Mounts: []*Mount{
		mount(t, "/a", one), mount(t, "/a/in/", two), mount(t, "/favicon.ico", filepath.Join(two, "x")),
	}})
	for path, want := range map[string]string{"/a/x": "one", "/a/in/x": "two", "/favicon.ico": "two"} {
		if got := see(t, f.Serve(request("GET "+path))); got.body != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	for _, path := range []string{"/favicon.ico/", "/favicon.icon", "/favicon.ico/x"} {
		if a := f.Serve(request("GET " + path)); a != nil {
			t.Errorf("%s: %v", path, see(t, a))
		}
	}
}

func TestFallthrough(t *testing.T) {
	t.Parallel()
	f := filesOf(t, map[string]string{"a.css": "body {}"}, Options{Fallthrough: true}, nil)
	for _, line := range []string{"GET /s/missing", "GET /s/", "GET /s/../x", "POST /s/a.css", "GET /s/.env"} {
		if a := f.Serve(request(line)); a != nil {
			t.Errorf("%s: %v", line, see(t, a))
		}
	}
	if got := see(t, f.Serve(request("GET /s/a.css"))); got.status != 200 {
		t.Errorf("%v", got)
	}
}

func TestIndex(t *testing.T) {
	t.Parallel()
	files := map[string]string{"index.html": "top", "sub/index.html": "sub", "bare/x": "x", "index.html.br": "br"}
	f := filesOf(t, files, Options{Index: true}, nil)
	for path, want := range map[string]string{"/s/": "200 top", "/s/sub/": "200 sub", "/s/sub/index.html": "200 sub"} {
		got := see(t, f.Serve(request("GET "+path)))
		if got.status != 200 || "200 "+got.body != want || got.fields["Content-Type"] != "text/html; charset=utf-8" {
			t.Errorf("%s: %v", path, got)
		}
	}
	if got := see(t, f.Serve(request("GET /s/", "Accept-Encoding: br"))); got.body != "br" {
		t.Errorf("compressed: %v", got)
	}
	for path, want := range map[string]string{"/s/sub": "/s/sub/", "/s/sub?a=/b": "/s/sub/?a=/b", "/s/%73ub": "/s/%73ub/"} {
		if got := see(t, f.Serve(request("GET "+path))); got.status != 301 || got.fields["Location"] != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	for _, path := range []string{"/s/bare/", "/s//", "/s/sub//", "/s/missing/", "/s/index.html/"} {
		if got := see(t, f.Serve(request("GET "+path))); got.status != 404 {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	var log bytes.Buffer
	f := filesOf(t, map[string]string{"a.css": "body {}"}, Options{Log: logTo(&log)}, func(folder string) {
		if err := os.Chmod(filepath.Join(folder, "a.css"), 0); err != nil {
			t.Fatal(err)
		}
	})
	for range 3 {
		if got := see(t, f.Serve(request("GET /s/a.css"))); got.status != 403 {
			t.Errorf("%v", got)
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines < 1 || lines > 2 || !strings.Contains(log.String(), "/s/a.css") {
		t.Errorf("the log says: %s", &log)
	}
}

// TestRefusal: what errors of the system mean to a client.
func TestRefusal(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := New(Options{Log: logTo(&log)})
	for err, want := range map[error]int{
		syscall.ENOENT: 404, syscall.ENOTDIR: 404, syscall.ELOOP: 404, syscall.ENAMETOOLONG: 404, syscall.ENXIO: 404, errFolder: 404,
		errNotRegular: 404, syscall.EACCES: 403, syscall.EPERM: 403, syscall.EMFILE: 503, syscall.ENFILE: 503, syscall.EIO: 500,
	} {
		if got := see(t, f.refuse(request("GET /s/x"), &os.PathError{Op: "openat", Path: "x", Err: err})); got.status != want {
			t.Errorf("%v: %d, want %d", err, got.status, want)
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 {
		t.Errorf("%d lines for four failures within a second:\n%s", lines, &log)
	}
}

func TestCachingFields(t *testing.T) {
	t.Parallel()
	files := map[string]string{"app.3f2a1b4c5d6e.js": "x", "app.js": "x"}
	f := filesOf(t, files, Options{}, nil)
	for name, want := range map[string]string{
		"app.3f2a1b4c5d6e.js": "public, max-age=31536000, immutable", "app.js": "no-cache",
	} {
		if got := see(t, f.Serve(request("GET /s/"+name))).fields["Cache-Control"]; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestHashedNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"app.3f2a1b4c5d6e.js": true, "css/site.min.3f2a1b4c5d6e.css": true, "app.js.3f2a1b4c5d6e.map": true,
		"main.8e0d62a1.chunk.js": true, "main.8e0d62a1.js.map": true, "logo.3f2a1b4c5d6e.png": true, "main.8e0d62a1.js": true, "chunk-8e0d62a10e2f3a4b.js": true,
		"assets/index-BxK3_9aZ.js": true, "x/assets/index-DiwrgTda.css": true, "assets/a-b-B-3_9aZx.js": true,

		"logo.3f2a1b4c5d6e": false, "avatar-5f3e2a1b9c8d7e6f5a4b3c2d.png": false, "550e8400-e29b-41d4-a716-44665544000f.png": false,
		"550e8400-e29b-41d4-a716-44665544000f.js": false, "3f2a1b4c5d6e.a.js": false, "app.js": false, "jquery.3.6.0.min.js": false, "report.20240131.pdf": false, "20240131.pdf": false, "app.deadbeef.js": false,
		"app.3f2a1b4.js": false, "app.3F2A1B4C.js": false, "3f2a1b4c5d6e.js": false, ".3f2a1b4c5d6e": false, "": false, "a/": false,
		"index-BxK3_9aZ.js": false, "assets/my-document.pdf": false, "assets/logo-original.png": false, "assets/a-Overview.txt": false,
		"assets/photo-IMG_1234.jpg": false, "assets/report-Summer24.pdf": false, "assets/foo-20240131.js": false,
		"assets/jquery-migrate.js": false, "assets/-BxK3_9aZ.js": false, "assets/a-BxK3+9aZ.js": false, "assets.old/a-BxK3_9aZ.js": false,
	} {
		if got := hashed(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTypes(t *testing.T) {
	t.Parallel()
	f := New(Options{})
	for name, want := range map[string]string{
		"a.html": "text/html; charset=utf-8", "a.mjs": "text/javascript; charset=utf-8", "a.json": "application/json",
		"a.svg": "image/svg+xml", "a.wasm": "application/wasm", "a.woff2": "font/woff2", "A.JPG": "image/jpeg", "a.tar.gz": "application/gzip",
		"x.b/a": unknownType, "a.": unknownType, "html": unknownType, "a.unknown": unknownType,
	} {
		if got := f.typeOf(name).name; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for line := range strings.Lines(typesTable) {
		words := strings.Fields(line)
		if words[0] != "#" && (len(words) < 2 || strings.Count(words[0], "/") != 1) {
			t.Errorf("not a line of the table: %q", line)
		}
	}
}

func TestMountErrors(t *testing.T) {
	t.Parallel()
	folder := tree(t, map[string]string{"file": "x"})
	for _, c := range []struct{ prefix, path, want string }{
		{"s/", folder, "does not begin with a slash"},
		{"/s/", filepath.Join(folder, "missing"), "there is no folder " + folder + "/missing: create it"},
		{"/s/", filepath.Join(folder, "file"), "file is not a folder"},
		{"/s", filepath.Join(folder, "file", "x"), "is not a folder"},
	} {
		if _, err := NewMount(c.prefix, c.path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: %v, want %q", c.prefix, c.path, err, c.want)
		}
	}
}
