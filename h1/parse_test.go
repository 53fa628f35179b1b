package h1

import (
	"bytes"
	"strings"
	"testing"
)

// Each limit is met exactly and passed by one byte, whole and in pieces, so that a limit is one number and not two.
func TestLimits(t *testing.T) {
	t.Parallel()
	small := Limits{RequestLine: 20, HeaderBlock: 40, HeaderFields: 3}
	const line = "GET / HTTP/1.1\r\nHost: a\r\n" // 14 and 9 bytes
	pad := func(n int) string { return strings.Repeat("x", n) }
	cases := []struct {
		name, input string
		limits      Limits
		want        string // "" for accepted
	}{
		{"request line at the limit", "GET /" + pad(6) + " HTTP/1.1\r\nHost: a\r\n\r\n", small, ""},
		{"request line above", "GET /" + pad(7) + " HTTP/1.1\r\nHost: a\r\n\r\n", small, "414 request line too long"},
		{"request line that never ends", "GET /" + pad(17), small, "414 request line too long"},
		{"request line at the default", "GET /" + pad(8192-14) + " HTTP/1.1\r\nHost: a\r\n\r\n", Limits{}, ""},
		{"request line above the default", "GET /" + pad(8192-13) + " HTTP/1.1\r\nHost: a\r\n\r\n", Limits{}, "414 request line too long"},
		{"empty lines are not counted", "\r\n\r\nGET /" + pad(6) + " HTTP/1.1\r\nHost: a\r\n\r\n", small, ""},
		{"header block at the limit", line + "X: " + pad(24) + "\r\n\r\n", small, ""},
		{"header block above", line + "X: " + pad(25) + "\r\n\r\n", small, "431 header fields too large"},
		{"header block above, before the blank line", line + "X: " + pad(27) + "\r\n", small, "431 header fields too large"},
		{"header line that never ends", line + pad(32), small, "431 header fields too large"},
		{"header block at the default", line + "X: " + pad(65536-9-7) + "\r\n\r\n", Limits{}, ""},
		{"header block above the default", line + "X: " + pad(65536-9-6) + "\r\n\r\n", Limits{}, "431 header fields too large"},
		{"fields at the limit", line + "a:\r\nb:\r\n\r\n", small, ""},
		{"fields above", line + "a:\r\nb:\r\nc:\r\n\r\n", small, "431 too many header fields"},
		{"dropped fields count", line + "a_:\r\nb_:\r\nc_:\r\n\r\n", small, "431 too many header fields"},
		{"fields at the default", line + strings.Repeat("a:\r\n", 99) + "\r\n", Limits{}, ""},
		{"fields above the default", line + strings.Repeat("a:\r\n", 100), Limits{}, "431 too many header fields"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			whole := parseHead(t, []byte(c.input), 0, c.limits)
			if c.want == "" && whole.consumed != len(c.input) || c.want != "" && whole.text != c.want {
				t.Errorf("got %.80q, %d of %d bytes, want %q", whole.text, whole.consumed, len(c.input), c.want)
			}
			piece := 1
			if len(c.input) > 1000 {
				piece = 61
			}
			if pieces := parseHead(t, []byte(c.input), piece, c.limits); pieces != whole {
				t.Errorf("in pieces of %d: %.80q, want as whole: %.80q", piece, pieces.text, whole.text)
			}
		})
	}
}

// An error is given as early as the bytes allow, not when a deadline passes.
func TestErrorsComeEarly(t *testing.T) {
	t.Parallel()
	cases := map[string]string{ // input, and the reason its last byte must be the first to bring
		"\x16":                                  "400 request does not start with a method",
		"GET / HTTP/1.1\n":                      "400 line does not end in CRLF",
		"GET / HTTP/3.0\r\n":                    "505 only HTTP/1.0 and HTTP/1.1 are spoken here",
		"GET / HTTP/1.1\r\nHost: a\n":           "400 line does not end in CRLF",
		"GET / HTTP/1.1\r\nHost: a\r\n \r\n":    "400 field line starts with whitespace (folded lines are not accepted)",
		"GET / HTTP/1.1\r\nHost: \x00\r\n":      "400 control byte in a field value",
		"GET / HTTP/1.1\r\nX:1\r\nY:2\r\nZ\r\n": "400 field line without a colon",
	}
	for input, want := range cases {
		if got := parseHead(t, []byte(input[:len(input)-1]), 1, Limits{}); got.text != "incomplete" {
			t.Errorf("%q without its last byte gave %q, want incomplete", input, got.text)
		}
		if got := parseHead(t, []byte(input), 1, Limits{}); got.text != want {
			t.Errorf("%q gave %q, want %q", input, got.text, want)
		}
	}
}

// What has been judged is not looked at again before the head is whole: that is what makes small pieces cost linear time.
// So here it may turn into anything, and only a parser that starts over each time would notice.
func TestProgressIsKept(t *testing.T) {
	t.Parallel()
	head := []byte("POST /some/where HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-Name: value")
	var p Parser
	var r Request
	for end := 1; end <= len(head); end++ {
		buf := bytes.Repeat([]byte{'\n'}, end)
		line := bytes.LastIndexByte(head[:end-1], '\n') + 1
		buf[line], buf[max(end-2, 0)], buf[end-1] = head[line], head[max(end-2, 0)], head[end-1]
		if head[end-1] == '\n' {
			copy(buf[line:], head[line:end]) // the line is whole, and judged now
		}
		if n, err := p.Parse(buf, &r); n != 0 || err != nil {
			t.Fatalf("after %q: %d, %v, want incomplete", head[:end], n, err)
		}
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	p, r := Parser{Limits: Limits{RequestLine: 20}}, Request{}
	if _, err := p.Parse([]byte("\x00"), &r); err == nil {
		t.Fatal("a NUL was accepted")
	}
	p.Reset()
	if n, err := p.Parse([]byte("GET / HT"), &r); n != 0 || err != nil {
		t.Fatalf("got %d, %v after Reset, want incomplete", n, err)
	}
	p.Reset()
	if n, err := p.Parse([]byte("GET /a HTTP/1.0\r\n\r\n"), &r); n != 19 || err != nil || string(r.Path) != "/a" {
		t.Fatalf("got %d, %v, path %q after Reset, want another request", n, err, r.Path)
	}
	if _, err := p.Parse([]byte("GET /"+strings.Repeat("a", 20)), &r); err == nil {
		t.Error("Reset forgot the limits")
	}
}

// A caller that passes fewer bytes than before has made a mistake; the parser must not read beyond them.
func TestFewerBytesThanBefore(t *testing.T) {
	t.Parallel()
	var p Parser
	var r Request
	for _, input := range []string{"GET / HTTP/1.1\r\nHost: a\r\nX", "GET / HT", "", "GET / HTTP/1.0\r\n\r\n"} {
		n, err := p.Parse([]byte(input), &r)
		if err != nil || (n > 0) != strings.HasSuffix(input, "\r\n\r\n") {
			t.Fatalf("%q: got %d, %v", input, n, err)
		}
	}
}

// Nothing of one request may be left in the next one.
func TestRequestIsReused(t *testing.T) {
	t.Parallel()
	var p Parser
	var r Request
	stream := []byte("POST /a?b HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: x\r\n" +
		"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n" +
		"PUT http://b/?c HTTP/1.1\r\nHost: b\r\nContent-Length: 7\r\n\r\n" +
		"GET / HTTP/1.0\r\n\r\n")
	var first *byte
	for i, want := range []string{"body chunked", "body 7", "body none"} {
		n, err := p.Parse(stream, &r)
		if err != nil || n == 0 {
			t.Fatalf("request %d: %d, %v", i, n, err)
		}
		if got := describe(&r); got != parseHead(t, stream[:n], 0, Limits{}).text || !strings.Contains(got, want) {
			t.Errorf("request %d in a used Request:\n%s", i, got)
		}
		if len(r.Fields) > 0 && first == nil {
			first = &r.Fields[0].Name[0]
		}
		stream = stream[n:]
	}
	if first == nil || len(stream) > 0 {
		t.Errorf("%d bytes left", len(stream))
	}
}

func TestNoAllocations(t *testing.T) {
	// Not parallel: AllocsPerRun counts what the whole process allocates.
	var p Parser
	var r Request
	var dates DateCache
	now := when
	buf := make([]byte, 0, 4096)
	body := append(AppendChunk(AppendChunk(nil, []byte("hello")), []byte("world")), "0\r\nX: y\r\n\r\n"...)
	post := []byte("POST http://a/x?y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n" +
		"Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\nContent-Type: text/plain\r\nX_A: b\r\nX-Name: \xc3\x85sa\r\n\r\n")
	wrk, browser := []byte(wrkRequest), []byte(browserRequest)
	work := map[string]func(){
		"wrk":     func() { mustParse(t, &p, &r, wrk) },
		"browser": func() { mustParse(t, &p, &r, browser) },
		"post":    func() { mustParse(t, &p, &r, post) },
		"in two": func() {
			if n, err := p.Parse(post[:40], &r); n != 0 || err != nil {
				t.Fatal(n, err)
			}
			mustParse(t, &p, &r, post)
		},
		"chunked": func() {
			var c Chunked
			for rest, done := body, false; !done; {
				_, n, end, err := c.Next(rest)
				if err != nil || n == 0 {
					t.Fatal(n, err)
				}
				rest, done = rest[n:], end
			}
		},
		"answer": func() {
			buf = AppendStatusLine(buf[:0], 404, nil)
			buf = AppendField(buf, "Content-Type", []byte("text/plain"))
			buf = dates.Append(AppendDate(buf, now), now)
			buf = AppendChunk(buf, []byte("hello"))
		},
	}
	for name, run := range work {
		run() // the first one makes room for the fields
		if allocs := testing.AllocsPerRun(100, run); allocs != 0 {
			t.Errorf("%s: %v allocations, want 0", name, allocs)
		}
	}
}

func mustParse(tb testing.TB, p *Parser, r *Request, buf []byte) {
	tb.Helper()
	if n, err := p.Parse(buf, r); n != len(buf) || err != nil {
		tb.Fatalf("%d of %d bytes, %v", n, len(buf), err)
	}
}
