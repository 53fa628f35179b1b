package edge

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"backline"
	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// field is one of an application's.
func field(name, value string) backline.Field {
	return backline.Field{Name: []byte(name), Value: []byte(value)}
}

// TestStreamAnswers: the rules are those of HTTP/1.1's answers, and what net/http would add is not added.
func TestStreamAnswers(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		message wire.Message
		method  string
		status  int
		length  string // as the field says
		body    string
		header  map[string]string // "" for absent
	}{
		"plain": {wire.Message{Status: 200, Data: []byte("<html>")}, "GET", 200, "6", "<html>",
			map[string]string{"Content-Type": "", "Server": "backline"}},
		"own server": {wire.Message{Status: 200, Fields: []backline.Field{field("server", "mine"), field("date", "today")}}, "GET", 200, "0", "",
			map[string]string{"Server": "mine", "Date": "today"}},
		"own type":   {wire.Message{Status: 404, Fields: []backline.Field{field("content-type", "a/b")}, Data: []byte("no")}, "GET", 404, "2", "no", map[string]string{"Content-Type": "a/b"}},
		"connection": {wire.Message{Status: 200, Fields: []backline.Field{field("Connection", "x"), field("Keep-Alive", "x"), field("Upgrade", "x"), field("Transfer-Encoding", "chunked"), field("Trailer", "x")}}, "GET", 200, "0", "", map[string]string{"Connection": "", "Keep-Alive": "", "Upgrade": "", "Transfer-Encoding": "", "Trailer": ""}},
		"two values": {wire.Message{Status: 200, Fields: []backline.Field{field("set-cookie", "a"), field("Set-Cookie", "b")}}, "GET", 200, "0", "", map[string]string{"Set-Cookie": "a,b"}},
		"excess":     {wire.Message{Status: 200, Fields: []backline.Field{field("content-length", "3")}, Data: []byte("hello")}, "GET", 200, "3", "hel", nil},
		"no content": {wire.Message{Status: 204, Fields: []backline.Field{field("content-length", "3")}, Data: []byte("hey")}, "GET", 204, "", "", nil},
		"unchanged":  {wire.Message{Status: 304, Fields: []backline.Field{field("etag", `"x"`)}}, "GET", 304, "", "", map[string]string{"Etag": `"x"`}},
		"head":       {wire.Message{Status: 200, Data: []byte("hello")}, "HEAD", 200, "5", "", nil},
		"bare head":  {wire.Message{Status: 200}, "HEAD", 200, "", "", nil},
		"head says":  {wire.Message{Status: 200, Fields: []backline.Field{field("content-length", "7")}}, "HEAD", 200, "7", "", nil},
		"interim":    {wire.Message{Status: 101}, "GET", 500, "50", "The application failed while answering this request.\n", nil},
	}
	for _, kind := range everyMultiplexed() {
		b := start(t, over(kind, Options{}), handler{answer: func(ex *dispatch.Exchange) {
			m := cases[strings.ReplaceAll(string(ex.Scope.Path[1:]), "-", " ")].message
			m.Kind = wire.KindAnswer
			ex.Client.Answer(ex, &m)
		}})
		client := b.client(kind)
		for name, c := range cases {
			answer, body := fetch(t, client, c.method, b.url(kind, "/"+strings.ReplaceAll(name, " ", "-")), nil)
			if name == "interim" {
				c.body, c.length = body, fmt.Sprint(len(body))
			}
			if answer.StatusCode != c.status || body != c.body || answer.Header.Get("Content-Length") != c.length {
				t.Errorf("%s %s: %d, %q, length %q; expected %d, %q, %q", kind, name, answer.StatusCode, body, answer.Header.Get("Content-Length"), c.status, c.body, c.length)
			}
			if len(answer.Header["Date"]) != 1 {
				t.Errorf("%s %s: %d dates", kind, name, len(answer.Header["Date"]))
			}
			for key, want := range c.header {
				if got := strings.Join(answer.Header[key], ","); got != want {
					t.Errorf("%s %s: %s is %q, expected %q", kind, name, key, got, want)
				}
			}
		}
	}
}

// TestStreamUnchanged: 304 may say how long the body would be (RFC 9113 8.1.1). Go's client does not know.
func TestStreamUnchanged(t *testing.T) {
	t.Parallel()
	b := start(t, over("h2", Options{}), handler{answer: func(ex *dispatch.Exchange) {
		ex.Client.Answer(ex, &wire.Message{Kind: wire.KindAnswer, Status: 304, Fields: []backline.Field{field("Content-Length", "3")}})
	}})
	f := b.frames("h2")
	f.open(true, plainGet...)
	if got := fmt.Sprint(f.headers(1)); got != "[:status: 304 content-length: 3]" {
		t.Error(got)
	}
}

// TestStreamHidesFields: no Date and no Server where that is wished.
func TestStreamHidesFields(t *testing.T) {
	t.Parallel()
	b := start(t, over("h2", Options{HideDate: true, HideServer: true}), handler{answer: hello})
	answer, _ := fetch(t, b.client("h2"), "GET", b.url("h2", "/"), nil)
	if len(answer.Header) != 1 || answer.Header.Get("Content-Length") != "1" {
		t.Errorf("got %v, expected the length alone", answer.Header)
	}
}

func TestStreamHints(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		answered := make(chan struct{})
		b := start(t, over(kind, Options{}), handler{answer: func(ex *dispatch.Exchange) {
			go func() {
				ex.Client.Hint(ex, []backline.Field{field("link", "</a.css>; rel=preload"), field("connection", "close"), field("bad name", "x")})
				<-answered
				hello(ex)
			}()
		}})
		f := b.frames(kind)
		f.open(true, plainGet...)
		first := f.headers(1)
		close(answered)
		if got := fmt.Sprint(first); got != "[:status: 103 link: </a.css>; rel=preload]" {
			t.Errorf("%s: %s", kind, got)
		}
		if last := fmt.Sprint(f.headers(1)); last != "[:status: 200 content-length: 1]" {
			t.Errorf("%s: %v", kind, last)
		}
	}
}

// TestStreamDownload: an answer larger than every buffer on its way, and a client that takes it late.
func TestStreamDownload(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	want := sha256.Sum256(pattern(size))
	for _, kind := range []string{"wsgi", "asgi"} {
		for _, way := range everyMultiplexed() {
			t.Run(kind+" "+way, func(t *testing.T) {
				t.Parallel()
				b := withWorker(t, kind, over(way, Options{AnswerMemory: 10_000, AnswerFile: 300_000}), dispatch.Options{}, download(size))
				for range 2 {
					_, body := fetch(t, b.client(way), "GET", b.url(way, "/"), nil)
					if sha256.Sum256([]byte(body)) != want {
						t.Errorf("%d bytes, expected %d, or other ones", len(body), size)
					}
				}
			})
		}
	}
}

func TestStreamFiles(t *testing.T) {
	t.Parallel()
	data := pattern(1 << 20)
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	b := start(t, over("h2", Options{AnswerMemory: 1000, AnswerFile: 1000}), handler{answer: func(ex *dispatch.Exchange) {
		m := &wire.Message{Kind: wire.KindFile, Status: 200, Data: []byte(name), Length: -1}
		switch string(ex.Scope.Path) {
		case "/missing":
			m.Data = []byte(name + ".not")
		case "/longer":
			m.Fields = []backline.Field{field("content-length", "9999999")}
		case "/part":
			m.Fields = []backline.Field{field("content-length", "10")}
		}
		ex.Client.Answer(ex, m)
	}})
	client := b.client("h2")
	if answer, body := fetch(t, client, "GET", b.url("h2", "/"), nil); body != string(data) || answer.ContentLength != int64(len(data)) {
		t.Error("not the file")
	}
	if answer, body := fetch(t, client, "HEAD", b.url("h2", "/"), nil); body != "" || answer.ContentLength != int64(len(data)) {
		t.Error("not the file's length")
	}
	if _, body := fetch(t, client, "GET", b.url("h2", "/part"), nil); body != string(data[:10]) {
		t.Error("not its beginning")
	}
	if answer, _ := fetch(t, client, "GET", b.url("h2", "/missing"), nil); answer.StatusCode != http.StatusInternalServerError {
		t.Errorf("status %d", answer.StatusCode)
	}
	answer, err := client.Get(b.url("h2", "/longer"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if rest, err := io.ReadAll(answer.Body); err == nil || string(rest) != string(data) {
		t.Errorf("%d bytes and %v; expected the file and then a reset", len(rest), err)
	}
}

// TestStreamIsCut: a client must be able to tell that an answer is not whole, and still gets what there is.
func TestStreamIsCut(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		b := start(t, over(kind, Options{}), handler{answer: func(ex *dispatch.Exchange) {
			m := &wire.Message{Kind: wire.KindStart, Status: 200, Data: []byte("part")}
			switch string(ex.Scope.Path) {
			case "/short":
				m.Fields = []backline.Field{field("content-length", "9")}
				ex.Client.Answer(ex, m)
				ex.Client.End(ex)
				return
			case "/silent":
				ex.Client.Fail(ex, &dispatch.Failure{Name: "silent"})
				return
			}
			ex.Client.Answer(ex, m)
			ex.Client.Fail(ex, dispatch.FailApp)
		}})
		for path, want := range map[string]string{"/": "200 part INTERNAL_ERROR", "/short": "200 part INTERNAL_ERROR", "/silent": "0  INTERNAL_ERROR"} {
			f := b.frames(kind)
			f.open(true, ":method: GET", ":scheme: http", ":authority: x", ":path: "+path)
			if status, body, reset := f.whole(1); fmt.Sprintf("%d %s %s", status, body, reset) != want {
				t.Errorf("%s %s: %d %q %s, expected %s", kind, path, status, body, reset, want)
			}
		}
	}
}

// TestStreamPages: what the server itself says is what HTTP/1.1's clients are told.
func TestStreamPages(t *testing.T) {
	t.Parallel()
	b := start(t, over("h2", Options{}), handler{answer: func(ex *dispatch.Exchange) { ex.Client.Fail(ex, dispatch.FailQueueFull) }})
	answer, body := fetch(t, b.client("h2"), "POST", b.url("h2", "/x"), strings.NewReader("body"))
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || body != dispatch.FailQueueFull.Reason+"\n" {
		t.Errorf("%d %v %q", answer.StatusCode, answer.Header, body)
	}
	b.access.expect(t, fmt.Sprintf("POST /x 503 %d %s", len(body), dispatch.FailQueueFull.Name))
}

// TestStreamFlushes: each piece of an answer reaches the client when it is made, not at the end.
func TestStreamFlushes(t *testing.T) {
	t.Parallel()
	for _, kind := range everyMultiplexed() {
		turn := make(chan struct{})
		b := withWorker(t, "asgi", over(kind, Options{}), dispatch.Options{}, func(w *worker, m dispatchtest.Message) {
			w.Send(dispatchtest.Tuple{wire.KindStart, m.Stream, 200, []dispatchtest.Tuple{}, []byte{}})
			for range 3 {
				<-turn
				w.Send(dispatchtest.Tuple{wire.KindData, m.Stream, []byte("tick")})
			}
			w.Send(dispatchtest.Tuple{wire.KindEnd, m.Stream}, dispatchtest.Tuple{wire.KindDone, m.Stream})
		})
		answer, err := b.client(kind).Get(b.url(kind, "/"))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		for range 3 {
			turn <- struct{}{}
			var piece [4]byte
			if _, err := io.ReadFull(answer.Body, piece[:]); err != nil || string(piece[:]) != "tick" {
				t.Fatalf("%s: %q, %v", kind, piece, err)
			}
		}
		if rest, err := io.ReadAll(answer.Body); err != nil || len(rest) > 0 {
			t.Errorf("%s: %q, %v", kind, rest, err)
		}
	}
}
