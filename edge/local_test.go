package edge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/static"
	"backline/wire"
)

// published is a folder with files, and static.Files that serves it under /s/ and sends from it what is named.
func published(t testing.TB, contents map[string][]byte) (*static.Files, string) {
	t.Helper()
	folder := t.TempDir()
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mount, err := static.NewMount("/s/", folder)
	if err != nil {
		t.Fatal(err)
	}
	root, err := static.OpenFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	return static.New(static.Options{Mounts: []*static.Mount{mount}, Roots: []*static.Folder{root}, OpenFiles: 16}), folder
}

// unasked fails when the application is asked.
func unasked(t testing.TB) handler {
	return handler{answer: func(ex *dispatch.Exchange) {
		t.Errorf("the application was asked for %s", ex.Scope.Path)
		respond(ex, "")
	}}
}

// waysToSend are the ways in which a file's bytes can go.
func waysToSend() map[string]Options {
	return map[string]Options{"kernel": {}, "copied": {CopyFiles: true}, "TLS": {TLS: serverTLS()}}
}

func TestStaticFiles(t *testing.T) {
	t.Parallel()
	large := pattern(3 << 20)
	files, _ := published(t, map[string][]byte{"small": []byte("0123456789"), "large": large, "empty": nil})
	for name, options := range waysToSend() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options.Files = files
			options.AnswerMemory = 1000
			b := start(t, options, unasked(t))
			c := b.dial()
			for range 3 {
				for path, want := range map[string][]byte{"/s/small": []byte("0123456789"), "/s/large": large, "/s/empty": nil} {
					if got := c.get(path); got != string(want) {
						t.Fatalf("%s: %d bytes, want %d", path, len(got), len(want))
					}
				}
			}
			c.say("GET /s/small HTTP/1.1\r\nHost: x\r\nRange: bytes=-3\r\n\r\n" +
				"GET /s/small HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0,9-9\r\n\r\n" +
				"GET /s/missing HTTP/1.1\r\nHost: x\r\n\r\n" +
				"POST /s/small HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
			if body, _ := c.expect(206); body != "789" {
				t.Errorf("%q", body)
			}
			if body, _ := c.expect(206); strings.Count(body, "Content-Range: bytes ") != 2 {
				t.Errorf("%q", body)
			}
			c.expect(404)
			if _, closes := c.expect(405); !closes {
				t.Error("what is left of a body must not be read as a request")
			}
			c = b.dial()
			c.say("GET /s/large HTTP/1.0\r\nHost: x\r\n\r\n")
			if body, _ := c.expect(200); body != string(large) {
				t.Error("HTTP/1.0: not the file")
			}
			c.expectEnd()
		})
	}
}

// TestStaticHeads: what has no body leaves the connection usable, and what there is says how long it is.
func TestStaticHeads(t *testing.T) {
	t.Parallel()
	files, _ := published(t, map[string][]byte{"small": []byte("0123456789")})
	b := start(t, Options{Files: files}, unasked(t))
	c := b.dial()
	ask := func(request string) *http.Response {
		t.Helper()
		c.say(request + "\r\nHost: x\r\n\r\n")
		answer, err := http.ReadResponse(c.in, &http.Request{Method: request[:strings.IndexByte(request, ' ')]})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	get := ask("GET /s/small HTTP/1.1")
	if get.ContentLength != 10 || get.Header.Get("Server") != "backline" || get.Header.Get("Date") == "" || get.Header.Get("ETag") == "" {
		t.Errorf("GET: %v", get.Header)
	}
	head := ask("HEAD /s/small HTTP/1.1")
	if head.StatusCode != http.StatusOK || head.ContentLength != 10 || head.Header.Get("ETag") != get.Header.Get("ETag") {
		t.Errorf("HEAD: %v", head)
	}
	same := ask("GET /s/small HTTP/1.1\r\nIf-None-Match: " + get.Header.Get("ETag"))
	if same.StatusCode != http.StatusNotModified || same.Header.Get("Content-Length") != "" || same.Header.Get("ETag") != get.Header.Get("ETag") {
		t.Errorf("If-None-Match: %v", same)
	}
	if missing := ask("HEAD /s/missing HTTP/1.1"); missing.StatusCode != http.StatusNotFound || missing.ContentLength <= 0 {
		t.Errorf("HEAD of nothing: %v", missing)
	}
	c.say("GET /s/small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	c.expect(200)
	c.expectEnd()
	b.access.expect(t, "GET /s/small 200 10 ", "HEAD /s/small 200 0 ", "GET /s/small 304 0 ", "HEAD /s/missing 404 0 ", "GET /s/small 200 10 ")
}

func TestStaticFilesOverHTTP2(t *testing.T) {
	t.Parallel()
	large := pattern(3 << 20)
	files, _ := published(t, map[string][]byte{"small": []byte("0123456789"), "large": large})
	for _, kind := range multiplexed() {
		b := start(t, over(kind, Options{Files: files, AnswerMemory: 1000}), unasked(t))
		client := b.client(kind)
		for range 2 {
			answer, body := fetch(t, client, "GET", b.url(kind, "/s/large"), nil)
			if body != string(large) || answer.ContentLength != int64(len(large)) || answer.Header.Get("ETag") == "" {
				t.Errorf("%s: %d bytes, %v", kind, len(body), answer.Header)
			}
		}
		if answer, body := fetch(t, client, "HEAD", b.url(kind, "/s/small"), nil); body != "" || answer.ContentLength != 10 {
			t.Errorf("%s: HEAD: %v", kind, answer)
		}
		if answer, _ := fetch(t, client, "GET", b.url(kind, "/s/missing"), nil); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %v", kind, answer)
		}
	}
}

// TestShrinkingFile: a file that becomes shorter while it is sent cannot become a whole answer; the client has to see
// that.
func TestShrinkingFile(t *testing.T) {
	t.Parallel()
	for name, options := range waysToSend() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			files, folder := published(t, nil)
			path := filepath.Join(folder, "f")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, 1<<30); err != nil {
				t.Fatal(err)
			}
			options.Files, options.Log = files, logTo(&log)
			b := start(t, options, unasked(t))
			c := b.dial()
			c.say("GET /s/f HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, err := c.in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, 1); err != nil {
				t.Fatal(err)
			}
			n, _ := io.Copy(io.Discard, c.in)
			if n >= 1<<30 {
				t.Errorf("%d bytes came", n)
			}
			eventually(t, "the access log says so", func() bool { return b.access.contains("GET /s/f 200", " file") })
			b.stop()
			<-b.ended
			if !strings.Contains(log.String(), "become shorter") || !strings.Contains(log.String(), "path=/s/f") {
				t.Errorf("the log says: %s", &log)
			}
		})
	}
}

// TestSlowReaderOfAFile: a client that takes nothing costs no memory beyond its socket's, and keeps nobody.
func TestSlowReaderOfAFile(t *testing.T) {
	t.Parallel()
	data := pattern(8 << 20)
	files, _ := published(t, map[string][]byte{"f": data})
	b := start(t, Options{Files: files, Pollers: 1, Access: noAccess}, handler{answer: hello})
	slow := make([]*caller, 4)
	for i := range slow {
		slow[i] = b.dial()
		_ = slow[i].tcp().SetReadBuffer(16 << 10)
		slow[i].say("GET /s/f HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := slow[i].in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.dial().get("/quick"); got != "/quick" {
		t.Errorf("%q", got)
	}
	b.each(func(c *conn) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.out.answer != nil && (len(c.out.memory) > headBuffer || c.out.file != nil || c.out.left == 0) {
			t.Errorf("%d bytes in memory, %d of the file to come", len(c.out.memory), c.out.left)
		}
	})
	for _, c := range slow {
		answer, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\n"), c.in)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(answer.Body); err != nil || !bytes.Equal(body, data) {
			t.Errorf("%d bytes and %v", len(body), err)
		}
		_ = answer.Body.Close()
	}
}

// TestDownloadsAreFair: clients that take all they can get leave room for others on the same poller.
func TestDownloadsAreFair(t *testing.T) {
	t.Parallel()
	files, folder := published(t, nil)
	path := filepath.Join(folder, "endless")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Fatal(err)
	}
	b := start(t, Options{Files: files, Pollers: 1}, handler{answer: hello})
	for range 3 {
		c := b.dial()
		c.say("GET /s/endless HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := io.CopyN(io.Discard, c.in, 8<<20); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, c.in) }()
		defer c.Close()
	}
	c := b.dial()
	for n := range 20 {
		if path := fmt.Sprintf("/%d", n); c.get(path) != path {
			t.Errorf("not the answer to %s", path)
		}
	}
}

// TestPartOfAFile: a worker may ask for any of its bytes (wsgi.file_wrapper begins where the file stands).
func TestPartOfAFile(t *testing.T) {
	t.Parallel()
	data := pattern(300 << 10)
	_, folder := published(t, map[string][]byte{"f": data})
	b := start(t, Options{}, handler{answer: func(ex *dispatch.Exchange) {
		var offset, length int64
		if _, err := fmt.Sscanf(string(ex.Scope.Path), "/%d/%d", &offset, &length); err != nil {
			t.Error(err)
		}
		ex.Client.Answer(ex, &wire.Message{
			Kind: wire.KindFile, Status: 200, Data: []byte(folder + "/f"), Offset: offset, Length: length,
		})
	}})
	c := b.dial()
	for path, want := range map[string][]byte{
		"/0/-1": data, "/100/-1": data[100:], "/100/200000": data[100:200100], "/307190/100": data[307190:], "/307200/-1": nil, "/999999/5": nil,
	} {
		if got := c.get(path); got != string(want) {
			t.Errorf("%s: %d bytes, want %d", path, len(got), len(want))
		}
	}
}

// TestNamedFiles: a file takes the place of an answer that names it, whichever way the answer comes, and the worker may
// send what nobody gets.
func TestNamedFiles(t *testing.T) {
	t.Parallel()
	data := pattern(1 << 20)
	files, folder := published(t, map[string][]byte{"f.txt": data})
	b := withWorker(t, "asgi", Options{Files: files}, dispatch.Options{}, nameFile(folder+"/f.txt"))
	c := b.dial()
	for range 2 {
		for _, path := range []string{"/whole", "/open", "/stream"} {
			c.say("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
			answer, err := http.ReadResponse(c.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil || !bytes.Equal(body, data) || answer.Header.Get("X-Sendfile") != "" || answer.Header.Get("X-Own") != "1" ||
				answer.Header.Get("Content-Type") != "text/plain; charset=utf-8" || answer.ContentLength != int64(len(data)) {
				t.Errorf("%s: %d bytes, %v, %v", path, len(body), err, answer.Header)
			}
		}
	}
	c.say("GET /stream HTTP/1.1\r\nHost: x\r\nRange: bytes=1-4\r\n\r\n")
	if body, _ := c.expect(206); body != string(data[1:5]) {
		t.Errorf("a range: %q", body)
	}
	c.say("HEAD /whole HTTP/1.1\r\nHost: x\r\n\r\nGET /missing HTTP/1.1\r\nHost: x\r\n\r\n")
	if head, err := http.ReadResponse(c.in, &http.Request{Method: http.MethodHead}); err != nil || head.ContentLength != int64(len(data)) {
		t.Errorf("HEAD: %v, %v", head, err)
	}
	c.expect(500)
}

// nameFile is a worker that answers with the name of a file, and in one case with a long body of its own beside it.
func nameFile(path string) func(w *worker, m dispatchtest.Message) {
	return func(w *worker, m dispatchtest.Message) {
		fields := []dispatchtest.Tuple{{"X-Sendfile", path}, {"X-Own", "1"}, {"Content-Length", "5"}}
		switch m.Path() {
		case "/stream":
			pour(w, m, fields[:2], pattern(2<<20))
			return
		case "/open":
			w.Send(dispatchtest.Tuple{wire.KindAnswerOpen, m.Stream, 200, fields, []byte("hello")}, dispatchtest.Tuple{wire.KindDone, m.Stream})
			return
		case "/missing":
			fields[0][1] = path + ".not"
		}
		w.Send(dispatchtest.Tuple{wire.KindAnswer, m.Stream, 200, fields, []byte("hello")})
	}
}
