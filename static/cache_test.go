package static

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"backline/negotiate"
)

func touch(t testing.TB, path string, when time.Time) {
	t.Helper()
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

// TestNeighbours: which of a file and its compressed neighbours is sent.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	for _, open := range []int{0, 100} {
		f := filesOf(t, map[string]string{
			"all.js": "plain", "all.js.br": "BR", "all.js.gz": "GZ", "all.js.zst": "ZST",
			"gz.css": "plain", "gz.css.gz": "GZ", "none.css": "plain", "a.png": "plain", "a.png.gz": "GZ",
			"only.css.gz": "GZ", "folder.css": "plain", "folder.css.gz/x": "x",
		}, Options{OpenFiles: open}, func(folder string) {
			if err := os.Symlink("/etc/passwd", filepath.Join(folder, "none.css.br")); err != nil {
				t.Fatal(err)
			}
		})
		for range 2 {
			for _, c := range []struct{ name, accept, body, coding, vary string }{
				{"all.js", "gzip, deflate, br, zstd", "BR", "br", "Accept-Encoding"},
				{"all.js", "gzip, zstd", "ZST", "zstd", "Accept-Encoding"},
				{"all.js", "gzip", "GZ", "gzip", "Accept-Encoding"},
				{"all.js", "gzip;q=1, br;q=0.9", "GZ", "gzip", "Accept-Encoding"},
				{"all.js", "", "plain", "", "Accept-Encoding"},
				{"all.js", "identity, br;q=0.5", "plain", "", "Accept-Encoding"},
				{"all.js", "br;q=0, gzip;q=0, zstd;q=0", "plain", "", "Accept-Encoding"},
				{"all.js", "identity;q=0, gzip;q=0.1", "GZ", "gzip", "Accept-Encoding"},
				{"gz.css", "br, gzip", "GZ", "gzip", "Accept-Encoding"},
				{"gz.css", "br", "plain", "", "Accept-Encoding"},
				{"none.css", "br, gzip", "plain", "", ""},
				{"folder.css", "br, gzip", "plain", "", ""},
				{"a.png", "gzip", "plain", "", ""},
				{"all.js.gz", "gzip", "GZ", "", ""},
			} {
				got := see(t, f.Serve(request("GET /s/"+c.name, "Accept-Encoding: "+c.accept)))
				if got.status != 200 || got.body != c.body || got.fields["Content-Encoding"] != c.coding || got.fields["Vary"] != c.vary ||
					c.coding != "" && got.fields["Content-Type"] != f.typeOf(c.name).name {
					t.Errorf("%s for %q: %v", c.name, c.accept, got)
				}
			}
			if got := see(t, f.Serve(request("GET /s/only.css", "Accept-Encoding: gzip"))); got.status != 404 {
				t.Errorf("a neighbour of nothing: %v", got)
			}
		}
	}
}

// TestRemembered: a file is opened once a second, unless it is written to.
func TestRemembered(t *testing.T) {
	t.Parallel()
	folder := tree(t, map[string]string{"a.css": "one"})
	m := mount(t, "/s/", folder)
	f := New(Options{Mounts: []*Mount{m}, OpenFiles: 10})
	defer f.cache.clear()
	now := time.Now()
	find := func(when time.Time) string {
		file, err := f.find(m.folder, []byte("a.css"), negotiate.Identity, when)
		if err != nil {
			return "none"
		}
		defer file.release()
		content := make([]byte, file.size)
		if _, err := file.ReadAt(content, 0); err != nil {
			t.Error(err)
		}
		return string(content)
	}
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	expect("at first", find(now), "one")
	put(t, folder, "new", "two")
	if err := os.Rename(filepath.Join(folder, "new"), filepath.Join(folder, "a.css")); err != nil {
		t.Fatal(err)
	}
	expect("another file under the name, at once", find(now), "one")
	expect("a second later", find(now.Add(remember+time.Millisecond)), "two")
	now = now.Add(2 * remember)
	expect("again", find(now), "two")
	put(t, folder, "a.css", "three")
	expect("written to, at once", find(now), "three")
	if err := os.Remove(filepath.Join(folder, "a.css")); err != nil {
		t.Fatal(err)
	}
	expect("removed", find(now.Add(remember+time.Millisecond)), "none")
	if n := counts(t, folder); n != 1 {
		t.Errorf("%d descriptors for one name", n)
	}
	f.cache.sweep(now.Add(time.Hour))
	if n := counts(t, folder); n != 0 {
		t.Errorf("%d descriptors after everything is old", n)
	}
}

// TestRememberedIsBounded: however many names are asked for, and whether they exist or not.
func TestRememberedIsBounded(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for n := range 30 {
		files[fmt.Sprintf("%d.css", n)] = "x"
	}
	folder := tree(t, files)
	f := New(Options{Mounts: []*Mount{mount(t, "/s/", folder)}, OpenFiles: 8})
	for n := range 100 {
		see(t, f.Serve(request(fmt.Sprintf("GET /s/%d.css", n%40))))
		if len(f.cache.places) > 8 || len(f.cache.queue) > 16 {
			t.Fatalf("%d places, %d in the queue", len(f.cache.places), len(f.cache.queue))
		}
	}
	if n := counts(t, folder); n > 8 || n == 0 {
		t.Errorf("%d descriptors", n)
	}
	f.cache.clear()
	if n := counts(t, folder); n != 0 {
		t.Errorf("%d descriptors after clear", n)
	}
}

// TestAnswersKeepTheirFile: what is being sent stays open, whatever becomes of the name and of what is remembered.
func TestAnswersKeepTheirFile(t *testing.T) {
	t.Parallel()
	folder := tree(t, map[string]string{"a.css": "one", "a.css.gz": "gz"})
	f := New(Options{Mounts: []*Mount{mount(t, "/s/", folder)}, OpenFiles: 8})
	first, second := f.Serve(request("GET /s/a.css")), f.Serve(request("GET /s/a.css"))
	if first.Parts[0].File.FD() != second.Parts[0].File.FD() {
		t.Error("the file was opened twice")
	}
	if err := os.Remove(filepath.Join(folder, "a.css")); err != nil {
		t.Fatal(err)
	}
	f.cache.clear()
	for _, a := range []*Answer{first, second} {
		if got := see(t, a); got.body != "one" {
			t.Errorf("%v", got)
		}
		a.Close() // a second time does nothing
	}
	if n := counts(t, folder); n != 0 {
		t.Errorf("%d descriptors are left", n)
	}
}

// TestFolderIsReplaced: a deploy turns the link to another folder, or makes the folder anew.
func TestFolderIsReplaced(t *testing.T) {
	t.Parallel()
	releases := tree(t, map[string]string{"1/a.css": "one", "2/a.css": "two"})
	current := filepath.Join(releases, "current")
	point := func(to string) {
		_ = os.Remove(current)
		if err := os.Symlink(to, current); err != nil {
			t.Fatal(err)
		}
	}
	point("1")
	folder, err := OpenFolder(current)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	now := time.Now()
	expect := func(when time.Time, want string) {
		t.Helper()
		file, err := openRegular(folder, "a.css", when)
		if err != nil {
			if want != "" {
				t.Errorf("%v, want %q", err, want)
			}
			return
		}
		defer file.release()
		content := make([]byte, 3)
		if _, _ = file.ReadAt(content, 0); string(content) != want {
			t.Errorf("%q, want %q", content, want)
		}
	}
	expect(now, "one")
	point("2")
	expect(now, "one")
	expect(now.Add(2*remember), "two")
	if err := os.Rename(releases+"/2", releases+"/3"); err != nil {
		t.Fatal(err)
	}
	expect(now.Add(4*remember), "")
	point("3")
	expect(now.Add(6*remember), "two")
}

// TestRunClosesWhatIsOld: without a request to notice that time has passed.
func TestRunClosesWhatIsOld(t *testing.T) {
	t.Parallel()
	folder := tree(t, map[string]string{"a.css": "one"})
	m := mount(t, "/s/", folder)
	synctest.Test(t, func(t *testing.T) {
		for _, open := range []int{0, 8} {
			f := New(Options{Mounts: []*Mount{m}, OpenFiles: open})
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- f.Run(ctx) }()
			see(t, f.Serve(request("GET /s/a.css")))
			if n := counts(t, folder); n != min(open, 1) {
				t.Errorf("%d descriptors at first", n)
			}
			time.Sleep(3 * remember) // the bubble's clock: takes no time
			synctest.Wait()
			if n := counts(t, folder); n != 0 {
				t.Errorf("%d descriptors after three seconds", n)
			}
			see(t, f.Serve(request("GET /s/a.css")))
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if n := counts(t, folder); n != 0 {
				t.Errorf("%d descriptors after the end", n)
			}
		}
	})
}

// TestManyAtOnce has something to say under -race.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	folder := tree(t, map[string]string{"a.css": "one", "a.css.gz": "gz", "b.css": "b"})
	f := New(Options{Mounts: []*Mount{mount(t, "/s/", folder)}, OpenFiles: 2})
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			for i := range 200 {
				name := string("ab"[(i+n)%2])
				got := see(t, f.Serve(request("GET /s/"+name+".css", "Accept-Encoding: gzip")))
				if want := map[string]string{"a": "gz", "b": "b"}[name]; got.body != want {
					t.Errorf("%s: %v", name, got)
				}
				if i%50 == 0 {
					f.cache.sweep(time.Now().Add(time.Hour))
				}
			}
		})
	}
	group.Wait()
	f.cache.clear()
	if n := counts(t, folder); n != 0 {
		t.Errorf("%d descriptors are left", n)
	}
}

func BenchmarkServe(b *testing.B) {
	for _, open := range []int{0, 64} {
		b.Run(fmt.Sprintf("remembering=%d", open), func(b *testing.B) {
			f := filesOf(b, map[string]string{"app.3f2a1b4c5d6e.css": strings.Repeat("x", 50_000)}, Options{OpenFiles: open}, nil)
			scope := request("GET /s/app.3f2a1b4c5d6e.css", "Host: x", "User-Agent: y", "Accept-Encoding: gzip, deflate, br")
			b.ReportAllocs()
			for b.Loop() {
				f.Serve(scope).Close()
			}
		})
	}
}
