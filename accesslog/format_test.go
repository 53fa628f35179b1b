package accesslog_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"backline"
	"backline/accesslog"
)

// record is a request with something in every place that an atom can print.
func record() *accesslog.Record {
	return &accesslog.Record{
		Scope: &backline.Scope{
			Method:  []byte("GET"),
			Target:  []byte("/caf%C3%A9?x=1&y=2"),
			Path:    []byte("/caf%C3%A9"),
			Query:   []byte("x=1&y=2"),
			Version: "1.1",
			Scheme:  "https",
			Fields: []backline.Field{
				field("Host", "example.org"),
				field("User-Agent", "curl/8.5"),
				field("REFERER", "https://example.org/"),
				field("Content-Type", "text/plain"),
				field("X-Trace", "first"),
				field("x-trace", "last"),
				field("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("ada:secret"))),
			},
			Client:   backline.Addr{Host: "192.0.2.7", Port: 51000},
			Server:   backline.Addr{Host: "192.0.2.1", Port: 8000},
			RootPath: "/shop",
		},
		Status:   200,
		Bytes:    1234,
		Start:    time.Date(2026, time.March, 4, 5, 6, 7, 89_000_000, time.FixedZone("", 3600)),
		Duration: 2345678 * time.Microsecond,
		Queue:    1500 * time.Microsecond,
		Worker:   "web.1",
		PID:      4711,
		Answer:   []backline.Field{field("Content-Type", "text/html"), field("X-Cache", "hit")},
		Aborted:  "client",
	}
}

func field(name, value string) backline.Field {
	return backline.Field{Name: []byte(name), Value: []byte(value)}
}

func compile(t testing.TB, format string) *accesslog.Format {
	t.Helper()
	f, err := accesslog.Compile(format)
	if err != nil {
		t.Fatalf("Compile(%q): %v", format, err)
	}
	return f
}

func line(t testing.TB, format string, r *accesslog.Record) string {
	t.Helper()
	text := string(compile(t, format).Append(nil, r))
	if !strings.HasSuffix(text, "\n") {
		t.Fatalf("line %q does not end with a newline", text)
	}
	return strings.TrimSuffix(text, "\n")
}

func TestEachAtomPrintsItsPart(t *testing.T) {
	t.Parallel()
	empty := &accesslog.Record{Start: record().Start}
	for _, c := range []struct{ atom, want, wantEmpty string }{
		{"h", "192.0.2.7", "-"},
		{"l", "-", "-"},
		{"u", "ada", "-"},
		{"t", "[04/Mar/2026:05:06:07 +0100]", "[04/Mar/2026:05:06:07 +0100]"},
		{"r", "GET /caf%C3%A9?x=1&y=2 HTTP/1.1", "-"},
		{"m", "GET", "-"},
		{"U", "/caf%C3%A9", "-"},
		{"q", "x=1&y=2", ""},
		{"H", "HTTP/1.1", "-"},
		{"s", "200", "0"},
		{"B", "1234", "0"},
		{"b", "1234", "-"},
		{"f", "https://example.org/", "-"},
		{"a", "curl/8.5", "-"},
		{"T", "2", "0"},
		{"D", "2345678", "0"},
		{"M", "2345", "0"},
		{"L", "2.345678", "0.000000"},
		{"p", "<4711>", "-"},
		{"d", "2345.678", "0.000"},
		{"Q", "1.500", "0.000"},
		{"W", "web.1", "-"},
		{"x", "client", "-"},
		{"{Host}i", "example.org", "-"},
		{"{X-TRACE}i", "last", "-"},
		{"{missing}i", "-", "-"},
		{"{content-type}o", "text/html", "-"},
		{"{X-Cache}o", "hit", "-"},
		{"{REQUEST_METHOD}e", "GET", "-"},
		{"{PATH_INFO}e", "/caf%C3%A9", "-"},
		{"{QUERY_STRING}e", "x=1&y=2", ""},
		{"{SERVER_PROTOCOL}e", "HTTP/1.1", "-"},
		{"{REMOTE_ADDR}e", "192.0.2.7", "-"},
		{"{REMOTE_PORT}e", "51000", "-"},
		{"{RAW_URI}e", "/caf%C3%A9?x=1&y=2", "-"},
		{"{SCRIPT_NAME}e", "/shop", ""},
		{"{SERVER_NAME}e", "192.0.2.1", "-"},
		{"{SERVER_PORT}e", "8000", "-"},
		{"{wsgi.url_scheme}e", "https", "-"},
		{"{CONTENT_TYPE}e", "text/plain", "-"},
		{"{CONTENT_LENGTH}e", "-", "-"},
		{"{HTTP_USER_AGENT}e", "curl/8.5", "-"},
		{"{http_x_trace}e", "last", "-"},
	} {
		t.Run(c.atom, func(t *testing.T) {
			t.Parallel()
			if got := line(t, "<%("+c.atom+")s>", record()); got != "<"+c.want+">" {
				t.Errorf("got %s, want <%s>", got, c.want)
			}
			if got := line(t, "<%("+c.atom+")s>", empty); got != "<"+c.wantEmpty+">" {
				t.Errorf("of an empty record: got %s, want <%s>", got, c.wantEmpty)
			}
		})
	}
}

func TestDefaultFormat(t *testing.T) {
	t.Parallel()
	want := `192.0.2.7 - ada [04/Mar/2026:05:06:07 +0100] "GET /caf%C3%A9?x=1&y=2 HTTP/1.1" 200 1234 ` +
		`"https://example.org/" "curl/8.5" 2345.678 1.500 web.1`
	if got := line(t, "", record()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	unparsed := &accesslog.Record{
		Scope: &backline.Scope{Client: backline.Addr{Host: "::1", Port: 9}}, Status: 400, Start: record().Start,
	}
	want = `::1 - - [04/Mar/2026:05:06:07 +0100] "-" 400 - "-" "-" 0.000 0.000 -`
	if got := line(t, accesslog.DefaultFormat, unparsed); got != want {
		t.Errorf("of a request that could not be parsed: got  %s\nwant %s", got, want)
	}
}

func TestTextAroundAtomsIsKept(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"plain":              "plain",
		"100%% %(s)s":        "100% 200",
		"%(s)s\t%(m)s":       "200\tGET",
		"%(m)s%(s)s":         "GET200",
		"(%(m)s) é {x} %%(s": "(GET) é {x} %(s",
	} {
		if got := line(t, format, record()); got != want {
			t.Errorf("%q: got %q, want %q", format, got, want)
		}
	}
}

// What a client sends can neither end the line nor drive the terminal that shows it (CVE-2020-7694).
func TestWhatClientsSendIsEscaped(t *testing.T) {
	t.Parallel()
	hostile := "a\r\nb\x1b[2J\"\\\x00\x7f\x9bé"
	const escaped = `a\x0d\x0ab\x1b[2J\x22\x5c\x00\x7f\x9b\xc3\xa9`
	r := record()
	r.Scope.Method, r.Scope.Target, r.Scope.Path, r.Scope.Query = []byte(hostile), []byte(hostile), []byte(hostile), []byte(hostile)
	r.Scope.Client.Host, r.Scope.Server.Host, r.Scope.RootPath = hostile, hostile, hostile
	r.Scope.Fields = []backline.Field{field("Referer", hostile), field("User-Agent", hostile), field("X", hostile)}
	r.Answer = []backline.Field{field("X", hostile)}
	for _, atom := range []string{
		"h", "m", "U", "q", "f", "a", "{x}i", "{x}o", "{RAW_URI}e", "{SERVER_NAME}e", "{SCRIPT_NAME}e", "{HTTP_X}e",
	} {
		if got := line(t, "%("+atom+")s", r); got != escaped {
			t.Errorf("%s: got %s, want %s", atom, got, escaped)
		}
	}
	if got, want := line(t, "%(r)s", r), escaped+" "+escaped+" HTTP/1.1"; got != want {
		t.Errorf("r: got %s, want %s", got, want)
	}
}

func TestUserIsTheNameInBasicCredentials(t *testing.T) {
	t.Parallel()
	basic := func(plain string) string { return base64.StdEncoding.EncodeToString([]byte(plain)) }
	for name, c := range map[string]struct{ authorization, want string }{
		"a name":                 {"Basic " + basic("ada:secret"), "ada"},
		"any case, more spaces":  {"bAsIc   " + basic("ada:secret") + " ", "ada"},
		"colon in the password":  {"Basic " + basic("ada:a:b"), "ada"},
		"space and quote":        {"Basic " + basic("ada \"l\":x"), `ada\x20\x22l\x22`},
		"only spaces":            {"Basic " + basic(" :x"), `\x20`},
		"no password part":       {"Basic " + basic("ada"), "-"},
		"no name":                {"Basic " + basic(":secret"), "-"},
		"not base64":             {"Basic !!!!", "-"},
		"another scheme":         {"Bearer " + basic("ada:secret"), "-"},
		"no credentials":         {"Basic", "-"},
		"long password":          {"Basic " + basic("ada:"+strings.Repeat("p", 500)), "ada"},
		"long name is cut at 96": {"Basic " + basic(strings.Repeat("n", 500)+":p"), strings.Repeat("n", 96)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &accesslog.Record{Scope: &backline.Scope{Fields: []backline.Field{field("Authorization", c.authorization)}}}
			if got := line(t, "%(u)s", r); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestNegativeTimesAreNought(t *testing.T) {
	t.Parallel()
	r := &accesslog.Record{Duration: -time.Second, Queue: -time.Second}
	if got, want := line(t, "%(T)s %(D)s %(M)s %(L)s %(d)s %(Q)s", r), "0 0 0 0.000000 0.000 0.000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNeedsAnswer(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]bool{
		"": false, "json": false, "%({x}i)s": false, "%({x}o)s": true, "%(h)s %({Content-Type}o)s %(s)s": true,
	} {
		if got := compile(t, format).NeedsAnswer(); got != want {
			t.Errorf("%q: got %t, want %t", format, got, want)
		}
	}
}

func TestCompileSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"%(h)s %(z)s":              `unknown atom "%(z)s" at character 7`,
		"%()s":                     `unknown atom "%()s" at character 1`,
		"%(hh)s":                   `unknown atom "%(hh)s" at character 1`,
		"%({Host})s":               `unknown atom "%({Host})s" at character 1`,
		"%({}i)s":                  `unknown atom "%({}i)s" at character 1`,
		"%({x}z)s":                 `unknown atom "%({x}z)s" at character 1`,
		"%(x}i)s":                  `unknown atom "%(x}i)s" at character 1`,
		"%(i)s":                    `unknown atom "%(i)s" at character 1`,
		"a %h":                     `expected %(atom)s, got "%h" at character 3`,
		"a %(h)d":                  `expected %(atom)s, got "%(h)d" at character 3`,
		"%(h":                      `expected %(atom)s, got "%(h" at character 1`,
		"100%":                     `expected %(atom)s, got "%" at character 4`,
		"%(" + str("x", 99) + ")s": `unknown atom "%(` + str("x", 22) + `"... at character 1`,
		"a\nb":                     `control character '\n' in the format at character 2`,
		"%(h)s\x1b":                `control character '\x1b' in the format at character 6`,
		"%({django.user}e)s":       `unknown variable in %({django.user}e)s at character 1`,
		"%({HTTP_}e)s":             `unknown variable in %({http_}e)s at character 1`,
	} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			f, err := accesslog.Compile(format)
			found, ok := errors.AsType[*backline.Error](err)
			if !ok {
				t.Fatalf("got %v, %v, want a *backline.Error", f, err)
			}
			if found.Code != backline.CodeUsage || found.Hint == "" {
				t.Errorf("got code %q and hint %q, want usage and something to do", found.Code, found.Hint)
			}
			if got := err.Error(); got != "access log format: "+want {
				t.Errorf("got  %s\nwant access log format: %s", got, want)
			}
		})
	}
}

func TestUnknownAtomNamesTheKnownOnes(t *testing.T) {
	t.Parallel()
	_, err := accesslog.Compile("%(z)s")
	const want = "h l u t r m U q H s B b f a T D M L p d Q W x {request-field}i {answer-field}o {VARIABLE}e"
	if hint := backline.AsError(err).Hint; !strings.Contains(hint, want) {
		t.Errorf("hint %q does not name them", hint)
	}
}

func str(text string, times int) string { return strings.Repeat(text, times) }

// Not parallel: AllocsPerRun counts what every goroutine allocates.
//
//nolint:paralleltest // see above
func TestAppendDoesNotAllocate(t *testing.T) {
	for _, format := range []string{accesslog.DefaultFormat, accesslog.JSON, "%({x-trace}i)s %({HTTP_HOST}e)s %(L)s %(x)s"} {
		f, scope, buffer := compile(t, format), record().Scope, make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() {
			// A Record on the caller's stack, as the edge has it.
			r := accesslog.Record{Scope: scope, Status: 200, Start: time.Unix(1, 0), Duration: time.Millisecond, Worker: "web.1"}
			buffer = f.Append(buffer[:0], &r)
		}); n != 0 {
			t.Errorf("%q: %v allocations for a line, want none", format, n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, format := range []string{"default", "json"} {
		b.Run(format, func(b *testing.B) {
			text := format
			if text == "default" {
				text = accesslog.DefaultFormat
			}
			f, r, buffer := compile(b, text), record(), make([]byte, 0, 4096)
			r.Start = time.Now()
			b.ReportAllocs()
			for b.Loop() {
				buffer = f.Append(buffer[:0], r)
			}
		})
	}
}
