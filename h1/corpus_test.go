package h1

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"backline"
)

// A corpus file is what must come out, "---", and what goes in. Comments start with "#". In the input line breaks mean
// nothing; \r, \n, \t, \\ and \xHH are what a request is really made of.
type corpusCase struct {
	name  string
	good  bool
	want  string
	input []byte
}

func corpus(tb testing.TB, dir string) []corpusCase {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.*"))
	if err != nil || len(files) < 10 {
		tb.Fatalf("testdata/%s has %d files (%v), want the corpus", dir, len(files), err)
	}
	cases := make([]corpusCase, 0, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		want, input, found := strings.Cut(string(text), "\n---\n")
		for strings.HasPrefix(want, "#") {
			_, want, _ = strings.Cut(want, "\n")
		}
		if !found || want == "" {
			tb.Fatalf("%s: no expectation above a line of \"---\"", file)
		}
		cases = append(cases, corpusCase{
			name:  strings.TrimPrefix(file, "testdata/"),
			good:  strings.HasSuffix(file, ".good"),
			want:  want,
			input: unescape(tb, strings.ReplaceAll(input, "\n", "")),
		})
	}
	return cases
}

func unescape(tb testing.TB, s string) []byte {
	tb.Helper()
	var out []byte
	for len(s) > 0 {
		switch {
		case s[0] != '\\':
			out, s = append(out, s[0]), s[1:]
		case len(s) > 3 && s[1] == 'x':
			b, err := strconv.ParseUint(s[2:4], 16, 8)
			if err != nil {
				tb.Fatal(err)
			}
			out, s = append(out, byte(b)), s[4:]
		default:
			i := strings.IndexByte(`rnt\`, s[1])
			if i < 0 {
				tb.Fatalf("unknown escape %q", s[:2])
			}
			out, s = append(out, "\r\n\t\\"[i]), s[2:]
		}
	}
	return out
}

func escape(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		switch i := strings.IndexByte("\r\n\t\\", c); {
		case i >= 0:
			out.WriteString(`\` + `rnt\`[i:i+1])
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&out, `\x%02x`, c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// describe writes everything a Request says, as the corpus has it.
func describe(r *Request) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s HTTP/1.%d\n", r.Method, r.Target, r.Minor)
	fmt.Fprintf(&out, "path %q query %q\n", r.Path, r.Query)
	fmt.Fprintf(&out, "host \"%s\"\n", escape(r.Host))
	switch {
	case r.Chunked && r.ContentLength < 0:
		out.WriteString("body chunked\n")
	case r.ContentLength >= 0:
		fmt.Fprintf(&out, "body %d\n", r.ContentLength)
	default:
		out.WriteString("body none\n")
	}
	connection := map[bool]string{true: "keep-alive", false: "close"}
	fmt.Fprintf(&out, "connection %s\n", connection[r.KeepAlive])
	if r.ExpectContinue {
		out.WriteString("expect 100-continue\n")
	}
	if r.Upgrade != nil {
		fmt.Fprintf(&out, "upgrade %q\n", r.Upgrade)
	}
	for _, f := range r.Fields {
		fmt.Fprintf(&out, "field %s: \"%s\"\n", f.Name, escape(f.Value))
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// outcome is what a parser made of its input: a description with the bytes consumed, an error, or neither.
type outcome struct {
	text     string
	consumed int
}

// mistake describes an error, and insists on its type.
func mistake(tb testing.TB, err error) outcome {
	tb.Helper()
	found, ok := errors.AsType[*Error](err)
	if !ok || found.Status < 400 || found.Status > 599 || found.Reason == "" || !backline.ValidFieldValue([]byte(found.Reason)) {
		tb.Fatalf("error %v (%T), want an *Error with a status and a reason for the client", err, err)
	}
	return outcome{text: found.Error()}
}

// parseHead feeds input in pieces of the given size; 0 is all at once. Every call sees the bytes at another address, and
// those of the call before are overwritten, so that a Request which still points there shows.
func parseHead(tb testing.TB, input []byte, piece int, limits Limits) outcome {
	tb.Helper()
	if piece == 0 {
		piece = max(len(input), 1)
	}
	p, r := Parser{Limits: limits}, Request{}
	var last []byte
	for end := min(piece, len(input)); ; end = min(end+piece, len(input)) {
		buf := bytes.Clone(input[:end])
		n, err := p.Parse(buf, &r)
		for i := range last {
			last[i] = '~'
		}
		last = buf
		switch {
		case err != nil && n != 0:
			tb.Fatalf("%d bytes consumed with error %v", n, err)
		case err != nil:
			if _, again := p.Parse(append(buf, wrkRequest...), &r); !errors.Is(again, err) {
				tb.Fatalf("after %v the parser went on: %v", err, again)
			}
			return mistake(tb, err)
		case n > 0:
			return outcome{describe(&r), n}
		case end == len(input):
			return outcome{text: "incomplete"}
		}
	}
}

// decodeChunked does the same for a chunked body.
func decodeChunked(tb testing.TB, input []byte, piece int) outcome {
	tb.Helper()
	if piece == 0 {
		piece = max(len(input), 1)
	}
	var c Chunked
	var body []byte
	for used, end := 0, min(piece, len(input)); ; end = min(end+piece, len(input)) {
		for {
			data, n, done, err := c.Next(input[used:end])
			body, used = append(body, data...), used+n
			if err != nil {
				if _, n, done, again := c.Next([]byte(LastChunk)); !errors.Is(again, err) || n != 0 || done {
					tb.Fatalf("after %v the decoder went on: %d, %v, %v", err, n, done, again)
				}
				return mistake(tb, err)
			}
			if done {
				return outcome{"body \"" + escape(body) + "\"", used}
			}
			if n == 0 {
				break
			}
		}
		if used != end {
			tb.Fatalf("%d of %d bytes consumed, want all while the body goes on", used, end)
		}
		if end == len(input) {
			return outcome{text: "incomplete"}
		}
	}
}

// Every file whole, in pieces, and with the next request behind it: the same result each time.
func TestCorpus(t *testing.T) {
	t.Parallel()
	decoders := map[string]func(testing.TB, []byte, int) outcome{
		"head": func(tb testing.TB, input []byte, piece int) outcome {
			tb.Helper()
			return parseHead(tb, input, piece, Limits{})
		},
		"chunked": decodeChunked,
	}
	for dir, decode := range decoders {
		for _, c := range corpus(t, dir) {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				want := outcome{text: c.want}
				if c.good {
					want.consumed = len(c.input)
				}
				trailing := append(bytes.Clone(c.input), wrkRequest...)
				for _, piece := range []int{0, 1, 2, 3, 7} {
					if got := decode(t, c.input, piece); got != want {
						t.Errorf("in pieces of %d:\n got %+v\nwant %+v", piece, got, want)
					}
					if got := decode(t, trailing, piece); got != want {
						t.Errorf("with trailing data, in pieces of %d:\n got %+v\nwant %+v", piece, got, want)
					}
				}
				if !c.good {
					return
				}
				for end := range c.input {
					if got := decode(t, c.input[:end], 0); got.text != "incomplete" {
						t.Fatalf("the first %d of %d bytes gave %+v, want incomplete", end, len(c.input), got)
					}
				}
			})
		}
	}
}
