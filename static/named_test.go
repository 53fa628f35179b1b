package static

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openFolder(t testing.TB, path string) *Folder {
	t.Helper()
	folder, err := OpenFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	return folder
}

// TestNamed: X-Sendfile and X-Accel-Redirect.
func TestNamed(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"secret": "secret"})
	media := treeOf(t, map[string]string{"a.txt": "0123456789", "b c.png": "png", ".hidden": "h"}, func(folder string) {
		if err := os.Symlink(outside, filepath.Join(folder, "out")); err != nil {
			t.Fatal(err)
		}
	})
	f := New(Options{
		Roots: []*Folder{openFolder(t, media)}, Mounts: []*Mount{mount(t, "/s/", tree(t, map[string]string{"s.txt": "s"}))},
		Internal: []*Mount{mount(t, "/protected/", media)},
	})
	for _, c := range []struct {
		name, fields string // of the application, separated by "|"
		status       int
		body, has    string // a field that the answer has
		fails        string // a part of the error
	}{
		{"X-Sendfile", "X-Sendfile: MEDIA/a.txt", 200, "0123456789", "Content-Type: text/plain; charset=utf-8", ""},
		{"any case", "x-sendfile: MEDIA/a.txt", 200, "0123456789", "Accept-Ranges: bytes", ""},
		{"X-Accel-Redirect", "X-Accel-Redirect: /protected/a.txt", 200, "0123456789", "Last-Modified: " + longAgoText, ""},
		{"escaped", "X-Accel-Redirect: /protected/b%20c.png", 200, "png", "Content-Type: image/png", ""},
		{"bare", "X-Accel-Redirect: /protected/b c.png?x=1", 200, "png", "Content-Type: image/png", ""},
		{"the application's type", "Content-Type: x/y|X-Sendfile: MEDIA/a.txt", 200, "0123456789", "Content-Type: x/y", ""},
		{"an empty type", "content-type: |X-Sendfile: MEDIA/a.txt", 200, "0123456789", "Content-Type: text/plain; charset=utf-8", ""},
		{"other fields", "Content-Disposition: attachment|X-Sendfile: MEDIA/a.txt", 200, "0123456789", "Content-Disposition: attachment", ""},
		{"its body's length", "Content-Length: 0|X-Sendfile: MEDIA/a.txt", 200, "0123456789", "Accept-Ranges: bytes", ""},
		{"its body's coding", "Content-Encoding: gzip|X-Sendfile: MEDIA/a.txt", 200, "0123456789", "Accept-Ranges: bytes", ""},
		{"another status", "X-Sendfile: MEDIA/a.txt", 404, "0123456789", "Content-Type: text/plain; charset=utf-8", ""},
		{"a hidden file", "X-Sendfile: MEDIA/.hidden", 200, "h", "Accept-Ranges: bytes", ""},
		{"no field", "Content-Type: text/plain", 200, "", "", ""},

		{"a folder of a mount", "X-Sendfile: SECRET/../" + "nothing", 0, "", "", "sendfile_root"},
		{"outside", "X-Sendfile: SECRET/secret", 0, "", "", "add its folder to sendfile_root"},
		{"by dots", "X-Sendfile: MEDIA/../x", 0, "", "", "escapes"},
		{"by a link", "X-Sendfile: MEDIA/out/secret", 0, "", "", "escapes"},
		{"the folder", "X-Sendfile: MEDIA/", 0, "", "", "sendfile_root"},
		{"a namesake", "X-Sendfile: MEDIAx/a.txt", 0, "", "", "sendfile_root"},
		{"relative", "X-Sendfile: a.txt", 0, "", "", "not absolute"},
		{"missing", "X-Sendfile: MEDIA/missing", 0, "", "", "no such file"},
		{"no internal mount", "X-Accel-Redirect: /other/a.txt", 0, "", "", "--accel"},
		{"a public mount", "X-Accel-Redirect: /s/s.txt", 0, "", "", "--accel"},
		{"an internal name that is none", "X-Accel-Redirect: /protected/../a.txt", 0, "", "", "no file's name"},
		{"an internal dotfile", "X-Accel-Redirect: /protected/.hidden", 0, "", "", "no file's name"},
		{"an internal link", "X-Accel-Redirect: /protected/out/secret", 0, "", "", "escapes"},
	} {
		fields := fieldsOf(strings.Split(strings.NewReplacer("MEDIA", media, "SECRET", outside).Replace(c.fields), "|")...)
		a, err := f.Named(request("GET /x"), max(c.status, 200), fields)
		switch {
		case c.fails != "":
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want %q", c.name, err, c.fails)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
			continue
		case c.body == "":
			if a != nil {
				t.Errorf("%s: %v", c.name, see(t, a))
			}
			continue
		}
		got := see(t, a)
		name, value, _ := strings.Cut(c.has, ": ")
		for key, each := range got.fields {
			if strings.EqualFold(key, name) && each == value {
				name = ""
			}
			switch strings.ToLower(key) {
			case "x-sendfile", "x-accel-redirect", "content-length", "content-encoding":
				t.Errorf("%s: the client gets %s", c.name, key)
			}
		}
		if got.status != c.status || got.body != c.body || name != "" {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestNamedNeedsFolders: without declared folders the fields are for a proxy in front.
func TestNamedNeedsFolders(t *testing.T) {
	t.Parallel()
	folder := tree(t, map[string]string{"a": "a"})
	both := fieldsOf("X-Sendfile: "+folder+"/a", "X-Accel-Redirect: /p/a")
	for name, options := range map[string]Options{
		"nothing": {}, "mounts": {Mounts: []*Mount{mount(t, "/p/", folder)}},
	} {
		if a, err := New(options).Named(request("GET /"), 200, both); a != nil || err != nil {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	for name, options := range map[string]Options{
		"X-Accel-Redirect: /p/a":       {Roots: []*Folder{openFolder(t, folder)}},
		"X-Sendfile: " + folder + "/a": {Internal: []*Mount{mount(t, "/p/", folder)}},
	} {
		if a, err := New(options).Named(request("GET /"), 200, fieldsOf(name)); a != nil || err != nil {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

// TestNamedConditions: the client's conditions are held against the application's validators, if it gives any.
func TestNamedConditions(t *testing.T) {
	t.Parallel()
	media := tree(t, map[string]string{"a.txt": "0123456789"})
	f := New(Options{Roots: []*Folder{openFolder(t, media)}})
	for _, c := range []struct {
		line, asked, given string
		status             int
		body               string
	}{
		{"GET /", "Range: bytes=1-2", "", 206, "12"},
		{"GET /", "Range: bytes=1-2", "Accept-Ranges: none", 200, "0123456789"},
		{"GET /", "Range: bytes=20-", "", 416, "The file has no such bytes.\n"},
		{"GET /", "If-Modified-Since: " + longAgoText, "", 304, ""},
		{"GET /", "If-Modified-Since: " + longAgoText, "Last-Modified: Fri, 02 Jan 2026 03:04:06 GMT", 200, "0123456789"},
		{"GET /", `If-None-Match: "x"`, `ETag: "x"`, 304, ""},
		{"GET /", `If-None-Match: "x"`, `ETag: W/"x"`, 304, ""},
		{"GET /", `If-Match: "x"`, `ETag: W/"x"`, 412, "The file is another than the request's condition asks for.\n"},
		{"HEAD /", "Range: bytes=1-2", "", 200, ""},
		{"POST /", "Range: bytes=1-2", "", 200, "0123456789"},
	} {
		fields := fieldsOf("X-Sendfile: " + media + "/a.txt")
		if c.given != "" {
			fields = append(fields, fieldsOf(c.given)...)
		}
		a, err := f.Named(request(c.line, c.asked), 200, fields)
		if err != nil {
			t.Fatal(err)
		}
		if got := see(t, a); got.status != c.status || got.body != c.body {
			t.Errorf("%s with %s of %s: %v", c.line, c.asked, c.given, got)
		}
	}
}

// TestSend: the file as it is, wherever the application says that it begins and ends.
func TestSend(t *testing.T) {
	t.Parallel()
	folder, outside := tree(t, map[string]string{"a.txt": "0123456789", "s/b": "b"}), tree(t, map[string]string{"c": "c"})
	link := filepath.Join(outside, "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	free, confined := New(Options{}), New(Options{
		Roots: []*Folder{openFolder(t, link)}, Mounts: []*Mount{mount(t, "/s/", filepath.Join(folder, "s"))},
	})
	for _, c := range []struct {
		path           string
		offset, length int64
		want           string
	}{
		{folder + "/a.txt", 0, -1, "0123456789"},
		{link + "/a.txt", 0, -1, "0123456789"},
		{folder + "/s/b", 0, -1, "b"},
		{folder + "/a.txt", 2, -1, "23456789"},
		{folder + "/a.txt", 2, 3, "234"},
		{folder + "/a.txt", 8, 100, "89"},
		{folder + "/a.txt", 10, -1, ""},
		{folder + "/a.txt", 99, -1, ""},
		{folder + "/a.txt", 0, 0, ""},
	} {
		for name, f := range map[string]*Files{"free": free, "confined": confined} {
			a, err := f.Send(c.path, c.offset, c.length)
			if err != nil {
				t.Errorf("%s: %s: %v", name, c.path, err)
			} else if got := see(t, a); got.body != c.want || got.length != int64(len(c.want)) {
				t.Errorf("%s: %s from %d, %d bytes: %v", name, c.path, c.offset, c.length, got)
			}
		}
	}
	for path, f := range map[string]*Files{
		outside + "/c": confined, folder + "/../x": confined, folder: free, folder + "/": confined, "/dev/null": free, folder + "/missing": free,
		"a.txt": free, "": free,
	} {
		if a, err := f.Send(path, 0, -1); err == nil {
			t.Errorf("%q: %v", path, see(t, a))
		}
	}
	if a, err := free.Send(outside+"/c", 0, -1); err != nil || see(t, a).body != "c" {
		t.Errorf("without declared folders: %v", err)
	}
}
