package static

import (
	"strings"
	"testing"
	"time"
)

// TestConditions: the order of RFC 9110 13.2.2 and the two comparisons of 8.8.3.2. TAG is the file's entity tag.
func TestConditions(t *testing.T) {
	t.Parallel()
	f := filesOf(t, map[string]string{"a.css": "body {}"}, Options{}, nil)
	tag := see(t, f.Serve(request("GET /s/a.css"))).fields["ETag"]
	before, after := "Fri, 02 Jan 2026 03:04:04 GMT", "Fri, 02 Jan 2026 03:04:06 GMT"
	for _, c := range []struct {
		fields string // lines separated by "|"
		want   int
	}{
		{"If-None-Match: TAG", 304},
		{"if-none-match: TAG", 304},
		{"If-None-Match: W/TAG", 304},
		{`If-None-Match: "x", TAG`, 304},
		{`If-None-Match: "x",,  W/"y" ,TAG`, 304},
		{`If-None-Match: "x"|If-None-Match: TAG`, 304},
		{"If-None-Match: *", 304},
		{`If-None-Match: "x"`, 200},
		{`If-None-Match: `, 200},
		{`If-None-Match: x, TAG`, 200}, // no tag: what follows cannot be told apart
		{`If-None-Match: "x`, 200},
		{`If-None-Match: w/TAG`, 200},
		{"If-Match: TAG", 200},
		{"If-Match: *", 200},
		{`If-Match: "x", TAG`, 200},
		{`If-Match: "x"`, 412},
		{"If-Match: W/TAG", 412},
		{"If-Modified-Since: " + longAgoText, 304},
		{"If-Modified-Since: " + after, 304},
		{"If-Modified-Since: " + before, 200},
		{"If-Modified-Since: Friday, 02-Jan-26 03:04:05 GMT", 304},
		{"If-Modified-Since: Fri Jan  2 03:04:05 2026", 304},
		{"If-Modified-Since: yesterday", 200},
		{"If-Unmodified-Since: " + longAgoText, 200},
		{"If-Unmodified-Since: " + after, 200},
		{"If-Unmodified-Since: " + before, 412},
		{"If-Unmodified-Since: 0", 200},
		{`If-None-Match: "x"|If-Modified-Since: ` + after, 200},       // the tag decides alone
		{"If-None-Match: TAG|If-Modified-Since: " + before, 304},      // here too
		{"If-Match: TAG|If-Unmodified-Since: " + before, 200},         // and here
		{`If-Match: "x"|If-None-Match: TAG`, 412},                     // in this order
		{"If-Match: TAG|If-None-Match: TAG", 304},                     // both are looked at
		{"If-Unmodified-Since: " + before + "|If-None-Match: *", 412}, // in this order
		{"If-None-Match: TAG|Range: bytes=0-1", 304},
		{`If-Match: "x"|Range: bytes=0-1`, 412},
		{"If-Match: TAG|Range: bytes=0-1", 206},
		{"Range: bytes=0-1|If-Range: TAG", 206},
		{"Range: bytes=0-1|If-Range: W/TAG", 200},
		{`Range: bytes=0-1|If-Range: "x"`, 200},
		{"Range: bytes=0-1|If-Range: " + longAgoText, 206},
		{"Range: bytes=0-1|If-Range: " + after, 200},
		{"Range: bytes=99-|If-Range: " + after, 200},
		{"If-Range: TAG", 200},
	} {
		lines := strings.Split(strings.ReplaceAll(c.fields, "TAG", tag), "|")
		for _, method := range []string{"GET", "HEAD"} {
			want := c.want
			if method == "HEAD" && want == 206 {
				want = 200
			}
			got := see(t, f.Serve(request(method+" /s/a.css", lines...)))
			if got.status != want {
				t.Errorf("%s %s: %v, want %d", method, c.fields, got, want)
			}
			if got.status == 304 && (got.body != "" || got.length != -1 || len(got.fields) != 2 || got.fields["ETag"] != tag ||
				got.fields["Cache-Control"] != "no-cache") {
				t.Errorf("%s %s: %v", method, c.fields, got)
			}
		}
	}
}

// TestWithoutValidators: files of reproducible builds all have the same time, which says nothing.
func TestWithoutValidators(t *testing.T) {
	t.Parallel()
	f := filesOf(t, map[string]string{"a.css": "body {}"}, Options{}, func(folder string) { touch(t, folder+"/a.css", time.Unix(1, 0)) })
	got := see(t, f.Serve(request("GET /s/a.css", `If-None-Match: ""`, "If-Modified-Since: "+longAgoText)))
	if got.status != 200 || got.fields["ETag"]+got.fields["Last-Modified"] != "" {
		t.Errorf("%v", got)
	}
	for fields, want := range map[string]int{
		"If-Range: ": 200, "If-Range: Thu, 01 Jan 1970 00:00:01 GMT": 200, "If-Match: *": 206, `If-Match: ""`: 412, "If-None-Match: *": 304,
	} {
		if got := see(t, f.Serve(request("GET /s/a.css", "Range: bytes=0-0", fields))); got.status != want {
			t.Errorf("%s: %v, want %d", fields, got, want)
		}
	}
}

// TestTagsDiffer: another version, another coding, another tag.
func TestTagsDiffer(t *testing.T) {
	t.Parallel()
	folder := tree(t, map[string]string{"a.css": "body {}", "a.css.br": "body {}", "a.css.gz": "body {}", "a.css.zst": "body {}"})
	f := New(Options{Mounts: []*Mount{mount(t, "/s/", folder)}})
	tags := map[string]string{}
	note := func(what string, fields ...string) {
		tag := see(t, f.Serve(request("GET /s/a.css", fields...))).fields["ETag"]
		if tags[tag] != "" || len(tag) < 4 || tag[0] != '"' {
			t.Errorf("%s has the tag %s, as %s has", what, tag, tags[tag])
		}
		tags[tag] = what
	}
	note("the file")
	note("br", "Accept-Encoding: br")
	note("gzip", "Accept-Encoding: gzip")
	note("zstd", "Accept-Encoding: zstd")
	touch(t, folder+"/a.css", longAgo.Add(time.Nanosecond))
	note("a nanosecond later")
	put(t, folder, "a.css", "body{}")
	note("a byte less")
}
