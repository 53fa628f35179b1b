package static

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
)

func TestParseRanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field string
		want  string // spans, "none" satisfiable, or "ignored"
	}{
		{"bytes=0-0", "[{0 1}]"},
		{"bytes=0-9", "[{0 10}]"},
		{"bytes=0-", "[{0 10}]"},
		{"bytes=9-", "[{9 1}]"},
		{"bytes=2-4", "[{2 3}]"},
		{"bytes=2-99", "[{2 8}]"},
		{"bytes=-1", "[{9 1}]"},
		{"bytes=-99", "[{0 10}]"},
		{"BYTES=0-1", "[{0 2}]"},
		{"bytes=0-0,9-9", "[{0 1} {9 1}]"},
		{"bytes=9-9,0-0", "[{9 1} {0 1}]"}, // as asked for
		{"bytes= 0-0 ,\t9-9", "[{0 1} {9 1}]"},
		{"bytes=,0-0,,", "[{0 1}]"},
		{"bytes=0-4,2-6", "[{0 5} {2 5}]"},
		{"bytes=0-0,10-10", "[{0 1}]"},
		{"bytes=007-8", "[{7 2}]"},
		{"bytes=1-99999999999999999999999999", "[{1 9}]"},
		{"bytes=10-", "none"},
		{"bytes=10-20,-0", "none"},
		{"bytes=-0", "none"},
		{"bytes=99999999999999999999999999-", "none"},

		{"bytes=", "ignored"},
		{"bytes=,", "ignored"},
		{"bytes", "ignored"},
		{"", "ignored"},
		{"items=0-1", "ignored"},
		{"bytes 0-1", "ignored"},
		{"bytes=-", "ignored"},
		{"bytes=1", "ignored"},
		{"bytes=4-2", "ignored"},
		{"bytes=0-1-2", "ignored"},
		{"bytes=a-b", "ignored"},
		{"bytes=0x1-2", "ignored"},
		{"bytes=+1-2", "ignored"},
		{"bytes=--1", "ignored"},
		{"bytes=0 - 1", "ignored"},
		{"bytes=0-1,x", "ignored"},
		{"bytes=0-9,0-9", "ignored"},       // more than there is
		{"bytes=0-,0-,0-,0-", "ignored"},   // CVE-2011-3192
		{"bytes=0-1,bytes=2-3", "ignored"}, // two lines
		{"bytes=" + repeat(32), "ignored"}, // overlapping in the end
		{"bytes=" + repeat(33), "ignored"}, // too many
		{"bytes=-9223372036854775807", "[{0 10}]"},
		{"bytes=9223372036854775806-9223372036854775807", "none"},
	} {
		spans, ok := parseRanges([]byte(c.field), 10)
		got := fmt.Sprint(spans)
		if !ok {
			got = "ignored"
		} else if len(spans) == 0 {
			got = "none"
		}
		if got != c.want {
			t.Errorf("%.60q: %s, want %s", c.field, got, c.want)
		}
	}
	if _, ok := parseRanges([]byte("bytes=0-"), 0); ok {
		t.Error("a range of an empty file is to be ignored")
	}
	if spans, ok := parseRanges([]byte("bytes="+repeat(32)), 1000); !ok || len(spans) != 32 {
		t.Errorf("32 ranges: %v, %v", spans, ok)
	}
}

// repeat gives n ranges of one byte each.
func repeat(n int) string {
	ranges := make([]string, n)
	for i := range ranges {
		ranges[i] = fmt.Sprintf("%d-%d", i%10, i%10)
	}
	return strings.Join(ranges, ",")
}

func TestRangeAnswers(t *testing.T) {
	t.Parallel()
	f := filesOf(t, map[string]string{"a.txt": "0123456789", "empty.txt": "", "a.txt.gz": "abcdef"}, Options{}, nil)
	got := see(t, f.Serve(request("GET /s/a.txt", "Range: bytes=2-4")))
	if got.status != 206 || got.body != "234" || got.fields["Content-Range"] != "bytes 2-4/10" || got.fields["ETag"] == "" ||
		got.fields["Content-Type"] != "text/plain; charset=utf-8" || got.fields["Vary"] != "Accept-Encoding" {
		t.Errorf("%v", got)
	}
	got = see(t, f.Serve(request("GET /s/a.txt", "Range: bytes=10-")))
	if got.status != 416 || got.fields["Content-Range"] != "bytes */10" || got.fields["ETag"] != "" {
		t.Errorf("%v", got)
	}
	got = see(t, f.Serve(request("GET /s/a.txt", "Range: bytes=1-2", "Accept-Encoding: gzip")))
	if got.status != 206 || got.body != "bc" || got.fields["Content-Range"] != "bytes 1-2/6" || got.fields["Content-Encoding"] != "gzip" {
		t.Errorf("%v", got)
	}
	for _, c := range []struct{ line, field, body string }{
		{"GET /s/a.txt", "Range: bytes=4-2", "0123456789"},
		{"GET /s/a.txt", "Range: lines=1-2", "0123456789"},
		{"GET /s/empty.txt", "Range: bytes=0-", ""},
		{"HEAD /s/a.txt", "Range: bytes=0-1", ""},
	} {
		if got := see(t, f.Serve(request(c.line, c.field))); got.status != 200 || got.body != c.body || got.fields["Content-Range"] != "" {
			t.Errorf("%s %s: %v", c.line, c.field, got)
		}
	}
	if got := see(t, f.Serve(request("GET /s/a.txt"))); got.status != 200 || got.fields["Content-Range"] != "" {
		t.Errorf("the fields of a file that is used again were changed: %v", got)
	}
}

func TestSeveralRanges(t *testing.T) {
	t.Parallel()
	f := filesOf(t, map[string]string{"a.txt": "0123456789"}, Options{}, nil)
	got := see(t, f.Serve(request("GET /s/a.txt", "Range: bytes=0-1, -2, 4-4")))
	kind, parameters, err := mime.ParseMediaType(got.fields["Content-Type"])
	if err != nil || kind != "multipart/byteranges" || got.status != 206 || got.fields["Content-Range"] != "" {
		t.Fatalf("%v", got)
	}
	reader := multipart.NewReader(strings.NewReader(got.body), parameters["boundary"])
	for _, want := range [][2]string{{"bytes 0-1/10", "01"}, {"bytes 8-9/10", "89"}, {"bytes 4-4/10", "4"}} {
		part, err := reader.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part)
		if err != nil || string(body) != want[1] || part.Header.Get("Content-Range") != want[0] ||
			part.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%q, %v, %v; want %v", body, part.Header, err, want)
		}
	}
	if _, err := reader.NextPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

func FuzzRanges(f *testing.F) {
	for _, seed := range []string{"bytes=0-1,-2", "bytes=4-", "bytes=--", "bytes=9999999999999999999-"} {
		f.Add([]byte(seed), int64(10))
	}
	f.Fuzz(func(t *testing.T, field []byte, size int64) {
		if size < 0 || size > 1<<60 {
			return
		}
		spans, ok := parseRanges(field, size)
		total := int64(0)
		for _, s := range spans {
			if total += s.length; ok && (s.start < 0 || s.length <= 0 || s.start+s.length > size) {
				t.Errorf("%q of %d: %v", field, size, s)
			}
		}
		if ok && (total > size || len(spans) > mostRanges) {
			t.Errorf("%q of %d: %d spans of together %d bytes", field, size, len(spans), total)
		}
	})
}
