package accesslog_test

import (
	"encoding/json"
	"strings"
	"testing"

	"backline"
	"backline/accesslog"
)

func TestJSONKeysAndOrderAreStable(t *testing.T) {
	t.Parallel()
	want := `{"time":"2026-03-04T05:06:07.089+01:00","client":"192.0.2.7","method":"GET","path":"/caf%C3%A9",` +
		`"query":"x=1&y=2","protocol":"HTTP/1.1","status":200,"bytes":1234,"duration_ms":2345.678,"queue_ms":1.500,` +
		`"worker":"web.1","pid":4711,"referer":"https://example.org/","user_agent":"curl/8.5","aborted":"client"}`
	if got := line(t, accesslog.JSON, record()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = `{"time":"2026-03-04T05:06:07.089+01:00","client":"","method":"","path":"","query":"","protocol":"",` +
		`"status":0,"bytes":0,"duration_ms":0.000,"queue_ms":0.000,"worker":"","pid":0,"referer":"","user_agent":"",` +
		`"aborted":""}`
	if got := line(t, accesslog.JSON, &accesslog.Record{Start: record().Start}); got != want {
		t.Errorf("of an empty record: got  %s\nwant %s", got, want)
	}
}

// Whatever the bytes are, the object stays ASCII on one line, and text that is UTF-8 reads back as it was.
func TestJSONText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ value, written, read string }{
		"plain":                  {"a b~", `a b~`, "a b~"},
		"quote and backslash":    {`"\`, `\"\\`, `"\`},
		"line ends":              {"\r\n", `\u000d\u000a`, "\r\n"},
		"terminal controls":      {"\x1b\x7f\u009b", `\u001b\u007f\u009b`, "\x1b\x7f\u009b"},
		"beyond ASCII":           {"é\u2028", `\u00e9\u2028`, "é\u2028"},
		"beyond sixteen bits":    {"\U0001F600", `\ud83d\ude00`, "\U0001F600"},
		"no UTF-8":               {"a\xffb", `a\ufffdb`, "a\ufffdb"},
		"cut in the middle":      {"\xf0\x9f", `\ufffd\ufffd`, "\ufffd\ufffd"},
		"encoded surrogate half": {"\xed\xa0\x80", `\ufffd\ufffd\ufffd`, "\ufffd\ufffd\ufffd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &accesslog.Record{Scope: &backline.Scope{Fields: []backline.Field{field("User-Agent", c.value)}}}
			text := line(t, accesslog.JSON, r)
			if !strings.Contains(text, `"user_agent":"`+c.written+`"`) {
				t.Errorf("%s does not contain %s", text, c.written)
			}
			var object struct {
				UserAgent string `json:"user_agent"`
			}
			if err := json.Unmarshal([]byte(text), &object); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if object.UserAgent != c.read {
				t.Errorf("read back %q, want %q", object.UserAgent, c.read)
			}
		})
	}
}
