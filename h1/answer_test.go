package h1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

var when = time.Date(1994, time.November, 6, 9, 49, 37, 999, time.FixedZone("CET", 3600))

func TestAppendStatusLine(t *testing.T) {
	t.Parallel()
	cases := []struct {
		status int
		reason string
		want   string
	}{
		{200, "", "HTTP/1.1 200 OK\r\n"},
		{200, "Fine", "HTTP/1.1 200 Fine\r\n"},
		{100, "", "HTTP/1.1 100 Continue\r\n"},
		{404, "", "HTTP/1.1 404 Not Found\r\n"},
		{431, "", "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
		{299, "", "HTTP/1.1 299 \r\n"}, // the space stays: RFC 9112 4
		{999, "No", "HTTP/1.1 999 No\r\n"},
	}
	for _, c := range cases {
		if got := AppendStatusLine([]byte(">"), c.status, []byte(c.reason)); string(got) != ">"+c.want {
			t.Errorf("%d %q: got %q, want %q", c.status, c.reason, got, c.want)
		}
	}
}

// Every status that net/http knows has a phrase here, and no other; the words follow RFC 9110 where they differ.
func TestReasonPhrase(t *testing.T) {
	t.Parallel()
	newer := map[int]string{413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
	for status := -1; status < 1100; status++ {
		want := http.StatusText(status)
		if phrase, ok := newer[status]; ok {
			want = phrase
		}
		if got := ReasonPhrase(status); got != want {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
	}
}

func TestBodyForbidden(t *testing.T) {
	t.Parallel()
	forbidden := map[int]bool{100: true, 101: true, 103: true, 199: true, 204: true, 304: true}
	for status := 100; status < 600; status++ {
		want := forbidden[status] || status < 200
		if got := BodyForbidden(status); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
}

// An answer made of these parts is read back by net/http.
func TestAnswerIsReadable(t *testing.T) {
	t.Parallel()
	var dates DateCache
	answer := AppendStatusLine(nil, 201, nil)
	answer = AppendField(answer, "Date", dates.Append(nil, when))
	answer = AppendField(answer, []byte("Transfer-Encoding"), "chunked")
	answer = append(answer, "\r\n"...)
	answer = AppendChunk(answer, []byte("hello "))
	answer = AppendChunk(answer, nil) // must not end the body
	long := bytes.Repeat([]byte("x"), 1<<16+10)
	answer = append(append(AppendChunkSize(answer, len(long)), long...), "\r\n"...)
	answer = append(answer, LastChunk...)

	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "hello "+string(long) {
		t.Errorf("body of %d bytes, %v, want %d", len(body), err, len(long)+6)
	}
	if response.Status != "201 Created" || response.Header.Get("Date") != "Sun, 06 Nov 1994 08:49:37 GMT" {
		t.Errorf("status %q, date %q", response.Status, response.Header.Get("Date"))
	}
}

func TestAppendDate(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{when, time.Unix(0, 0), time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC)} {
		if got, want := string(AppendDate(nil, at)), at.UTC().Format(http.TimeFormat); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDateCache(t *testing.T) {
	t.Parallel()
	var dates DateCache
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 2000 {
				at := when.Add(time.Duration(i%7) * 400 * time.Millisecond) // forwards and back again
				if got, want := dates.Append(nil, at), AppendDate(nil, at); !bytes.Equal(got, want) {
					t.Errorf("at %v: got %q, want %q", at, got, want)
					return
				}
			}
		})
	}
	group.Wait()
}
