package h1

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// transcript reads a connection as the edge does: head, body, head, body, until the first mistake or the end. One line for
// each request, with its body, and one for how it ended.
func transcript(tb testing.TB, stream string, piece int) (lines []string) {
	tb.Helper()
	pos, end := 0, 0
	more := func() bool {
		before := end
		end = min(end+piece, len(stream))
		return end > before
	}
	var p Parser
	var r Request
	for {
		n, err := p.Parse([]byte(stream[pos:end]), &r)
		switch {
		case err != nil:
			return append(lines, mistake(tb, err).text)
		case n == 0 && more():
			continue
		case n == 0 && pos == end:
			return lines
		case n == 0:
			return append(lines, "incomplete head")
		}
		pos += n
		request, keep := fmt.Sprintf("%s %s", r.Method, r.Target), r.KeepAlive
		var body []byte
		var c Chunked
		for done := !r.Chunked; !done; {
			data, n, last, err := c.Next([]byte(stream[pos:end]))
			pos, done, body = pos+n, last, append(body, data...)
			switch {
			case err != nil:
				return append(lines, request+" then "+mistake(tb, err).text)
			case n == 0 && !done && !more():
				return append(lines, request+" then incomplete body")
			}
		}
		if r.ContentLength > 0 {
			for int64(end-pos) < r.ContentLength {
				if !more() {
					return append(lines, request+" then incomplete body")
				}
			}
			body = []byte(stream[pos:][:r.ContentLength])
			pos += len(body)
		}
		lines = append(lines, fmt.Sprintf("%s %q", request, body))
		if !keep {
			return append(lines, "close")
		}
	}
}

// The classes of mistakes that HTTP Garden found in servers (S) and proxies (T), by their numbers in its list, with requests
// of our own. What must never appear is a request to /evil, or a body that another recipient would have ended elsewhere.
func TestHTTPGardenFindings(t *testing.T) {
	t.Parallel()
	const (
		get     = "GET / HTTP/1.1\r\nHost: a\r\n"
		post    = "POST / HTTP/1.1\r\nHost: a\r\n"
		chunked = post + "Transfer-Encoding: chunked\r\n\r\n"
		evil    = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"

		noSize   = "POST / then 400 chunk size is not a hexadecimal number"
		noEnd    = "POST / then 400 line does not end in CRLF in a chunked body"
		noData   = "POST / then 400 chunk data does not end where its size says"
		control  = "400 control byte in a field value"
		noToken  = "400 field name is not a token"
		noNumber = "400 Content-Length is not a number"
		folded   = "400 field line starts with whitespace (folded lines are not accepted)"
		noCoding = "400 Transfer-Encoding does not end in chunked"
		twoSizes = "400 two Content-Length fields"
	)
	cases := []struct {
		id, stream string
		want       []string
	}{
		{"S1 int() on chunk sizes", chunked + "0_5\r\nhello\r\n0\r\n\r\n" + evil, []string{noSize}},
		{"S1 signed chunk size", chunked + "+5\r\nhello\r\n0\r\n\r\n" + evil, []string{noSize}},
		{"S2 NUL, CR and LF in values", get + "X: a\x00\rb\r\n\r\n" + evil, []string{control}},
		{"S3 space before colon", post + "Content-Length : 34\r\n\r\n" + evil, []string{"400 whitespace between field name and colon"}},
		{"S4 space before first name", "GET / HTTP/1.1\r\n\tContent-Length: 1\r\nHost: a\r\n\r\n", []string{folded}},
		{"S9 LF for SP", "GET /\nHTTP/1.1\r\nHost: a\r\n\r\n", []string{"400 line does not end in CRLF"}},
		{"S10 int() on lengths", post + "Content-Length: +1_0\r\n\r\n0123456789", []string{noNumber}},
		{"S11 chunked twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", []string{"400 two Transfer-Encoding fields"}},
		{"S12 \\xa0 stripped", post + "Transfer-Encoding: \xa0chunked\xa0\r\n\r\n0\r\n\r\n", []string{noCoding}},
		{"S13 CR as line end", get + "X: :/\rY: :)\r\n\r\n", []string{control}},
		{"S16 empty length", post + "Content-Length: \r\n\r\n" + evil, []string{noNumber}},
		{"S17 empty chunk size", chunked + "\r\n\r\n" + evil, []string{noSize}},
		{"S18 empty name", "GET / HTTP/1.1\r\n: x\r\nHost: a\r\n\r\n", []string{"400 empty field name"}},
		{"S19 LF skipped before value", get + "X:\n\n" + evil, []string{"400 line does not end in CRLF"}},
		{"S20 \\x85 in a name", post + "Content-Length\x85: 10\r\n\r\n0123456789", []string{noToken}},
		{"S21 ,chunked", post + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", []string{"400 malformed Transfer-Encoding"}},
		{"S22 longest prefix of a size", chunked + "5these bytes\r\nhello\r\n0\r\n\r\n", []string{noSize}},
		{"S23 first length wins", post + "Content-Length: 1\r\nContent-Length: 0\r\n\r\na", []string{twoSizes}},
		{"S25 strtoll on sizes", chunked + "0x5\r\nhello\r\n0\r\n\r\n", []string{noSize}},
		{"S26 negative length", post + "Content-Length: -48\r\n\r\n", []string{noNumber}},
		{"S29 longest prefix of a length", post + "Content-Length: 1Z\r\n\r\nZ", []string{noNumber}},
		{"S30 CR X ends the header", get + "\rZ" + evil, []string{noToken}},
		{"S31 CR X ends a chunk line", chunked + "5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n" + evil, []string{noEnd}},
		{"S32 octal length", post + "Content-Length: 010\r\n\r\n0123456789", []string{`POST / "0123456789"`}},
		{"S33 last length wins", post + "Content-Length: 0\r\nContent-Length: 1\r\n\r\na", []string{twoSizes}},
		{"S36 CR in an extension", chunked + "5;a=b\r\rXX\r\nhello\r\n0\r\n\r\n" + evil, []string{noEnd}},
		{"S39 body ended by any two bytes", chunked + "0\r\nX:GET /evil HTTP/1.1\r\n\r\n", []string{`POST / ""`}},
		{"S41 \\x85 stripped", get + "User: \x85admin\r\n\r\n", []string{"400 byte 0x85 (NEL) in a field value"}},
		{"S42 empty length before another", post + "Content-Length: \r\nContent-Length: 43\r\n\r\n" + evil, []string{twoSizes}}, //nolint:dupword // the attack
		{"S43 NUL stripped", get + "X: evil\x00\r\n\r\n", []string{control}},
		{"S44 unknown coding as chunked", post + "Transfer-Encoding: blegh\r\n\r\n1\r\na\r\n0\r\n\r\n", []string{noCoding}},
		{"S45 the next request is invalid", get + "\r\n" + "Invalid\r\n\r\n", []string{`GET / ""`, "400 method is not a token followed by one space"}},
		{"S45 and is not looked at after close", get + "Connection: close\r\n\r\nInvalid\r\n\r\n", []string{`GET / ""`, "close"}},
		{"S46 high bytes stripped", "GET / HTTP/1.1\r\nHost: \xffa\xff\r\n\r\n", []string{"400 invalid Host field"}},
		{"S47 the invalid chunk is skipped", chunked + "INVALID!!!\r\n" + evil, []string{noSize}},
		{"S48 the pipeline as body", post + "Content-Length: 0\r\n\r\n" + post + "Content-Length: 3\r\n\r\nabc" + get + "\r\n",
			[]string{`POST / ""`, `POST / "abc"`, `GET / ""`}},
		{"T3 CR before an extension", chunked + "2\r\r;a\r\nab\r\n0\r\n\r\n" + evil, []string{noEnd}},
		{"T7 unchecked rest of a size", chunked + "1 rest\r\na\r\n0\r\n\r\n", []string{noSize}},
		{"T13 LF after a chunk", chunked + "a\r\n0123456789\n0\r\n\r\n", []string{noData}},
		{"T17 CRLF before the last chunk", chunked + "1\r\na\r\n\r\n0\r\n\r\n", []string{noSize}},
		{"T18 ,chunked and length", post + "Transfer-Encoding: ,chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", []string{"400 both Content-Length and Transfer-Encoding"}},
		{"T20 NUL joins fields", get + "a:b\r\nc\x00\r\n\r\n", []string{noToken}},
		{"T21 body of GET", get + "Content-Length: 31\r\n\r\n" + evil, []string{fmt.Sprintf("GET / %q", evil)}},
		{"T24 space before a size", chunked + "   0\r\n\r\n", []string{noSize}},
		{"bonus 3 a byte after the body", chunked + "0\r\n\r\n\x00", []string{`POST / ""`, "400 request does not start with a method"}},
	}
	for _, c := range cases {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{len(c.stream), 1, 2, 5} {
				if got := transcript(t, c.stream, piece); !slices.Equal(got, c.want) {
					t.Errorf("in pieces of %d:\n got %q\nwant %q", piece, got, c.want)
				}
			}
		})
	}
}

// Advisories against other servers that need more than one head or one body to show.
func TestAdvisories(t *testing.T) {
	t.Parallel()
	const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	cases := []struct {
		id, stream string
		want       []string
	}{
		{"CVE-2024-49768 nothing runs after a mistake", "GET / HTTP/1.1\r\n\r\n" + get, []string{"400 no Host field"}},
		{"CVE-2023-41419 a request in the trailers", chunked + "0\r\n" + get, []string{"POST / then 400 malformed trailer field"}},
		{"CVE-2025-58068 trailers are discarded", chunked + "0\r\nX-A: b\r\n\r\n" + get, []string{`POST / ""`, `GET / ""`}},
		{"CVE-2025-43859 the end of a chunk is CRLF", chunked + "5\r\nhelloXX0\r\n\r\n" + get, []string{"POST / then 400 chunk data does not end where its size says"}},
		{"CVE-2025-22871 LF in a chunk line", chunked + "5\nhello\r\n0\r\n\r\n", []string{"POST / then 400 chunk size is not a hexadecimal number"}},
		{"CVE-2023-39326 extensions without end", chunked + strings.Repeat("1;a=bcdefghij\r\nx\r\n", 1000), []string{"POST / then 400 chunk extensions too large"}},
		{"CVE-2022-24761 size +1", chunked + "+1\r\nx\r\n0\r\n\r\n", []string{"POST / then 400 chunk size is not a hexadecimal number"}},
		{"trailers without end", chunked + "0\r\n" + strings.Repeat("X: aaaaaaaaaaa\r\n", 600), []string{"POST / then 431 trailer fields too large"}},
		{"one extension without end", chunked + "1;" + strings.Repeat("a", 5000), []string{"POST / then 400 chunk extensions too large"}},
		{"last chunk cut off", chunked + "1\r\nx\r\n0\r\n", []string{"POST / then incomplete body"}},
		{"CVE-2020-5236 linear time on spaces", get[:len(get)-2] + "X:" + strings.Repeat(" ", 60000) + "x" + strings.Repeat(" ", 5000) + "\r\n\r\n",
			[]string{`GET / ""`}},
	}
	for _, c := range cases {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{len(c.stream), 13} {
				if got := transcript(t, c.stream, piece); !slices.Equal(got, c.want) {
					t.Errorf("in pieces of %d:\n got %q\nwant %q", piece, got, c.want)
				}
			}
		})
	}
}
