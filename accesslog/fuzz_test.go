package accesslog_test

import (
	"encoding/json"
	"testing"
	"time"

	"backline"
	"backline/accesslog"
)

// FuzzAppend fills every place of a request that a client chooses: one printable line comes out, and JSON is JSON.
func FuzzAppend(f *testing.F) {
	for _, seed := range []string{"", "GET", "/a?b", "Basic YWRhOnNlY3JldA==", "\r\n", "\x1b[31m", `"\`, "é\u2028", "\xff\x9b\x7f"} {
		f.Add([]byte(seed), int64(len(seed)))
	}
	const everyAtom = `%(h)s %(u)s %(r)s %(m)s %(U)s %(q)s %(f)s %(a)s %(L)s %(d)s %(b)s %({x}i)s %({x}o)s %({RAW_URI}e)s %(x)s`
	formats := []*accesslog.Format{compile(f, ""), compile(f, everyAtom), compile(f, accesslog.JSON)}
	f.Fuzz(func(t *testing.T, client []byte, number int64) {
		text := string(client)
		r := &accesslog.Record{
			Scope: &backline.Scope{
				Method: client, Target: client, Path: client, Query: client, Version: "1.1", RootPath: text,
				Client: backline.Addr{Host: text},
				Fields: []backline.Field{
					field("Referer", text), field("User-Agent", text), field("Authorization", text), field("X", text),
				},
			},
			Status: 200, Bytes: number, Start: time.UnixMilli(number % 4e12), Duration: time.Duration(number),
			Queue: time.Duration(number), Worker: text, Answer: []backline.Field{field("X", text)}, Aborted: text,
		}
		for _, format := range formats {
			out := format.Append(nil, r)
			for i, c := range out[:len(out)-1] {
				if c < ' ' || c >= 0x7f {
					t.Fatalf("byte %#x at %d of %q", c, i, out)
				}
			}
			if out[len(out)-1] != '\n' {
				t.Fatalf("%q does not end its line", out)
			}
		}
		if out := formats[2].Append(nil, r); !json.Valid(out) {
			t.Fatalf("not JSON: %q", out)
		}
	})
}

// FuzzCompile: a format either is refused with something to do, or gives one line.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{accesslog.DefaultFormat, "json", "%", "%%", "%(", "%(h", "%(h)", "%(h)s%({x}i)s", "%({", "%({}e)s", "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		format, err := accesslog.Compile(text)
		if err != nil {
			if found := backline.AsError(err); found.Code != backline.CodeUsage || found.Hint == "" {
				t.Fatalf("%q: %#v", text, found)
			}
			return
		}
		out := format.Append(nil, record())
		for _, c := range out[:len(out)-1] {
			if c < ' ' && c != '\t' || c == 0x7f {
				t.Fatalf("%q gives control byte %#x", text, c)
			}
		}
	})
}
