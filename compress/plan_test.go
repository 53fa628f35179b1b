package compress

import (
	"fmt"
	"strings"
	"testing"

	"backline"
	"backline/negotiate"
)

// usual are options as the settings' defaults make them.
func usual() Options {
	return Options{
		Codings: []negotiate.Coding{negotiate.Zstd, negotiate.Gzip, negotiate.Brotli},
		Types:   []string{"text/*", "application/json", "*+json", "*+xml"}, MinSize: 100, Level: Balanced, Encoders: 4,
	}
}

// fieldsOf reads "Name: value" lines, separated by "|".
func fieldsOf(lines string) (fields []backline.Field) {
	for line := range strings.SplitSeq(lines, "|") {
		if name, value, found := strings.Cut(line, ": "); found {
			fields = append(fields, backline.Field{Name: []byte(name), Value: []byte(value)})
		}
	}
	return fields
}

func shown(fields []backline.Field) string {
	lines := make([]string, len(fields))
	for i, f := range fields {
		lines[i] = fmt.Sprintf("%s: %s", f.Name, f.Value)
	}
	return strings.Join(lines, "|")
}

func request(method, accept string) *backline.Scope {
	return &backline.Scope{Method: []byte(method), Fields: fieldsOf("Accept-Encoding: " + accept)}
}

const html = "Content-Type: text/html; charset=utf-8"

// TestPlan: which answers are compressed, and what becomes of their fields. Each is asked for with gzip accepted.
func TestPlan(t *testing.T) {
	t.Parallel()
	c := New(usual())
	const (
		plain  = "identity"  // nobody gets it compressed
		varies = "identity*" // this client does not
		gzip   = "gzip"      // this one does
		added  = "|Content-Encoding: gzip|Vary: Accept-Encoding"
	)
	for _, one := range []struct {
		name, method string
		status       int
		fields       string
		length       int64
		coding, want string // want of fields; empty: as they were
	}{
		{"a page", "GET", 200, html, 1000, gzip, html + added},
		{"a page that streams", "GET", 200, html, -1, gzip, html + added},
		{"with its length", "GET", 200, html + "|Content-Length: 1000", 1000, gzip, html + added},
		{"a stream with its length", "GET", 200, "Content-Length: 1000|" + html, -1, gzip, html + added},
		{"a page about an error", "GET", 404, html, 1000, gzip, html + added},
		{"an answer to POST", "POST", 200, html, 1000, gzip, html + added},
		{"JSON", "GET", 200, "content-type: application/json", 1000, gzip, "content-type: application/json" + added},
		{"another JSON", "GET", 200, "Content-Type: Application/Problem+JSON ;a=b", 1000, gzip, "Content-Type: Application/Problem+JSON ;a=b" + added},
		{"an entity tag", "GET", 200, html + `|ETag: "x"`, 1000, gzip, html + `|ETag: W/"x"` + added},
		{"a weak one", "GET", 200, html + `|ETag: W/"x"`, 1000, gzip, html + `|ETag: W/"x"` + added},
		{"ranges", "GET", 200, html + `|Accept-Ranges: bytes`, 1000, gzip, html + added},
		{"Vary", "GET", 200, html + "|Vary: Cookie", 1000, gzip, html + "|Vary: Cookie, Accept-Encoding|Content-Encoding: gzip"},
		{"the same Vary", "GET", 200, html + "|vary: Cookie, accept-encoding", 1000, gzip, html + "|vary: Cookie, accept-encoding|Content-Encoding: gzip"},
		{"Vary of everything", "GET", 200, html + "|Vary: *", 1000, gzip, html + "|Vary: *|Content-Encoding: gzip"},
		{"no coding, said so", "GET", 200, html + "|Content-Encoding: identity", 1000, gzip, html + added},
		{"other fields", "GET", 200, "Set-Cookie: a|" + html + "|Set-Cookie: b", 1000, gzip, "Set-Cookie: a|" + html + "|Set-Cookie: b" + added},
		{"caching", "GET", 200, html + "|Cache-Control: public", 1000, gzip, html + "|Cache-Control: public" + added},
		{"HEAD", "HEAD", 200, html + "|Content-Length: 1000", -1, gzip, html + added},
		{"HEAD without a length", "HEAD", 200, html, -1, varies, html + "|Vary: Accept-Encoding"},
		{"exactly long enough", "GET", 200, html, 100, gzip, html + added},

		{"too short", "GET", 200, html, 99, plain, ""},
		{"too short, it says", "GET", 200, html + "|Content-Length: 99", -1, plain, ""},
		{"empty", "GET", 200, html, 0, plain, ""},
		{"no type", "GET", 200, "", 1000, plain, ""},
		{"an image", "GET", 200, "Content-Type: image/png", 1000, plain, ""},
		{"an image with text in its name", "GET", 200, "Content-Type: image/text", 1000, plain, ""},
		{"nearly a type", "GET", 200, "Content-Type: text/", 1000, plain, ""},
		{"an event stream", "GET", 200, "Content-Type: text/event-stream", -1, plain, ""},
		{"compressed already", "GET", 200, html + "|Content-Encoding: br", 1000, plain, ""},
		{"not to be touched", "GET", 200, html + "|Cache-Control: public, No-Transform", 1000, plain, ""},
		{"a range", "GET", 200, html + "|Content-Range: bytes 0-999/2000", 1000, plain, ""},
		{"a sum", "GET", 200, html + "|Content-MD5: x", 1000, plain, ""},
		{"a digest", "GET", 200, html + "|Repr-Digest: x", 1000, plain, ""},
		{"part of a page", "GET", 206, html, 1000, plain, ""},
		{"nothing", "GET", 204, html, 1000, plain, ""},
		{"nothing new", "GET", 304, html + `|ETag: "x"`, 1000, plain, ""},
		{"reset", "GET", 205, html, 1000, plain, ""},
		{"an interim answer", "GET", 103, html, 1000, plain, ""},
		{"the wrong length", "GET", 200, html + "|Content-Length: 1001", 1000, plain, ""},
		{"no length", "GET", 200, html + "|Content-Length: x", 1000, plain, ""},
		{"an empty length", "GET", 200, html + "|Content-Length: ", 1000, plain, ""},
	} {
		given := fieldsOf(one.fields)
		plan := c.Plan(request(one.method, "gzip"), one.status, given, one.length)
		coding := plan.Coding.String()
		if plan.varies && coding == plain {
			coding = varies
		}
		want := one.want
		if want == "" {
			want = one.fields
		}
		if got := shown(plan.Fields(given)); coding != one.coding || got != want {
			t.Errorf("%s: %s, %s; want %s, %s", one.name, coding, got, one.coding, want)
		}
		if shown(given) != one.fields {
			t.Errorf("%s: the application's own fields were changed to %s", one.name, shown(given))
		}
	}
}

// TestPlanByClient: a client that does not get it compressed, or otherwise, is told in the same way that others may.
func TestPlanByClient(t *testing.T) {
	t.Parallel()
	c := New(usual())
	for accept, want := range map[string]string{
		"": "identity", "gzip, deflate, br, zstd": "zstd", "gzip, br": "gzip", "br": "br", "br, gzip;q=0.9": "br",
		"gzip;q=0": "identity", "deflate": "identity", "*": "zstd", "identity;q=0, *;q=0": "identity",
	} {
		plan := c.Plan(request("GET", accept), 200, fieldsOf(html), 1000)
		fields := shown(plan.Fields(fieldsOf(html)))
		if plan.Coding.String() != want || !strings.Contains(fields, "Vary: Accept-Encoding") {
			t.Errorf("%q: %s, %s; want %s", accept, plan.Coding, fields, want)
		}
	}
	plan := c.Plan(&backline.Scope{Method: []byte("GET")}, 200, fieldsOf(html), 1000)
	if got := shown(plan.Fields(fieldsOf(html + `|ETag: "x"|Content-Length: 1000`))); got != html+`|ETag: "x"|Content-Length: 1000|Vary: Accept-Encoding` {
		t.Errorf("no Accept-Encoding: %s", got)
	}
}

func TestTypesThatAreNamed(t *testing.T) {
	t.Parallel()
	options := usual()
	options.Types = []string{"text/event-stream", "a/b"}
	c := New(options)
	for given, want := range map[string]bool{
		"text/event-stream": true, "Text/Event-Stream; charset=utf-8": true, "a/b": true, "a/bc": false, "text/html": false, "": false,
	} {
		if got := c.isWorth([]byte(given)); got != want {
			t.Errorf("%q: %v", given, got)
		}
	}
}
