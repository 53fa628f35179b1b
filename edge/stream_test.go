package edge

import (
	"fmt"
	"strings"
	"testing"

	"backline/dispatch"
)

// tell answers with what an application would see.
func tell(ex *dispatch.Exchange) {
	s := &ex.Scope
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s?%s HTTP/%s %s tls=%v", s.Method, s.Target, s.Path, s.Query, s.Version, s.Scheme, s.TLS != nil)
	for _, f := range s.Fields {
		fmt.Fprintf(&b, "\n%s: %s", f.Name, f.Value)
	}
	respond(ex, b.String())
}

func TestStreamScope(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		b := start(t, over(kind, Options{}), handler{answer: tell})
		first := map[string]string{"h2c": "HTTP/2 http tls=false", "h2": "HTTP/2 https tls=true"}[kind]
		for name, c := range map[string]struct{ lines, want string }{
			"plain":           {":method: GET|:path: /|:authority: x.y:80", "GET / /? @\nHost: x.y:80"},
			"query":           {":method: GET|:path: /a%20b%2f//../?x=%41&y=?|:authority: x", "GET /a%20b%2f//../?x=%41&y=? /a%20b%2f//../?x=%41&y=? @\nHost: x"},
			"star":            {":method: OPTIONS|:path: *|:authority: x", "OPTIONS * *? @\nHost: x"},
			"host instead":    {":method: GET|:path: /|host: x", "GET / /? @\nHost: x"},
			"host as well":    {":method: GET|:path: /|:authority: x|host: X", "GET / /? @\nHost: x"},
			"cookies":         {":method: GET|:path: /|:authority: x|cookie: a=1|z: 1|cookie: b=2|cookie: c", "GET / /? @\nHost: x\nCookie: a=1; b=2; c\nZ: 1"},
			"order":           {":method: GET|:path: /|:authority: x|b: 2|a: 1|b: 1|b: 2", "GET / /? @\nHost: x\nA: 1\nB: 2\nB: 1\nB: 2"},
			"underscores":     {":method: GET|:path: /|:authority: x|x_user: evil|x-user: good", "GET / /? @\nHost: x\nX-User: good"},
			"trailers wanted": {":method: GET|:path: /|:authority: x|te: trailers", "GET / /? @\nHost: x\nTe: trailers"},
			"own method":      {":method: Foo-bar|:path: /|:authority: x", "Foo-bar / /? @\nHost: x"},
			"obs-text":        {":method: GET|:path: /|:authority: x|a: \xc3\x85\xff", "GET / /? @\nHost: x\nA: \xc3\x85\xff"},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				f := b.frames(kind)
				f.open(true, append([]string{":scheme: http"}, strings.Split(c.lines, "|")...)...)
				if _, got, _ := f.whole(1); got != strings.Replace(c.want, "@", first, 1) {
					t.Errorf("got\n%s\nexpected\n%s", got, c.want)
				}
			})
		}
	}
}

// TestStreamHeads: what h1 refuses is refused here, by the same rules; net/http refuses some of it before, with a reset.
func TestStreamHeads(t *testing.T) {
	t.Parallel()
	b := start(t, over("h2", Options{}), handler{answer: tell})
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct{ lines, want string }{
		"fragment":            {":path: /#x|:authority: x", "400"},
		"space in path":       {":path: /a b|:authority: x", "400"},
		"not ascii":           {":path: /\xc3\xa9|:authority: x", "400"},
		"control in path":     {":path: /\x7f|:authority: x", "reset PROTOCOL_ERROR"},
		"absolute path":       {":path: http://x/|:authority: x", "reset PROTOCOL_ERROR"},
		"star without option": {":path: *|:authority: x", "400"},
		"no host":             {":path: /", "400"},
		"empty host":          {":path: /|:authority:", "400"},
		"two hosts":           {":path: /|:authority: y|host: y|a: b|host: Y", "400"},
		"other host":          {":path: /|:authority: x|host: y", "400"},
		"userinfo":            {":path: /|:authority: me@x", "reset PROTOCOL_ERROR"},
		"bad port":            {":path: /|:authority: x:99999", "400"},
		"path in host":        {":path: /|:authority: x/y", "400"},
		"percent in host":     {":path: /|:authority: %78", "400"},
		"connection":          {":path: /|:authority: x|connection: close", "400"},
		"keep-alive":          {":path: /|:authority: x|keep-alive: 1", "400"},
		"proxy-connection":    {":path: /|:authority: x|proxy-connection: close", "400"},
		"transfer-encoding":   {":path: /|:authority: x|transfer-encoding: chunked", "400"},
		"upgrade":             {":path: /|:authority: x|upgrade: websocket", "400"},
		"te":                  {":path: /|:authority: x|te: gzip", "400"},
		"te and trailers":     {":path: /|:authority: x|te: trailers, gzip", "400"},
		"two content types":   {":path: /|:authority: x|content-type: a/b|content-type: c/d", "400"},
		"expect":              {":path: /|:authority: x|expect: the worst", "417"},
		"length":              {":path: /|:authority: x|content-length: +0", "400"},
		"lone NEL":            {":path: /|:authority: x|a: b\x85", "400"},
		"NUL in value":        {":path: /|:authority: x|a: b\x00", "reset PROTOCOL_ERROR"},
		"LF in value":         {":path: /|:authority: x|a: b\nc: d", "reset PROTOCOL_ERROR"},
		"control in value":    {":path: /|:authority: x|a: b\x01", "reset PROTOCOL_ERROR"},
		"upper case":          {":path: /|:authority: x|A: b", "reset PROTOCOL_ERROR"},
		"unknown pseudo":      {":path: /|:authority: x|:foo: b", "reset PROTOCOL_ERROR"},
		"late pseudo":         {":path: /|a: b|:authority: x", "reset PROTOCOL_ERROR"},
		"two paths":           {":path: /|:path: /x|:authority: x", "reset PROTOCOL_ERROR"},
		"long line":           {":path: /" + long(8<<10) + "|:authority: x", "414"},
		"long field":          {":path: /|:authority: x|a: " + long(64<<10), "431"},
		"much too long":       {":path: /|:authority: x|a: " + long(70<<10), "431"},
		"many fields":         {":path: /|:authority: x" + strings.Repeat("|a: b", 100), "431"},
		"many cookies":        {":path: /|:authority: x" + strings.Repeat("|cookie: b", 150), "200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := b.frames("h2")
			f.openLong(append([]string{":method: GET", ":scheme: https"}, strings.Split(c.lines, "|")...)...)
			status, _, reset := f.whole(1)
			if reset != "" {
				reset = " reset " + reset
			}
			if got := strings.TrimPrefix(fmt.Sprint(status, reset), "0 "); got != c.want {
				t.Errorf("got %s, expected %s", got, c.want)
			}
		})
	}
	for _, method := range []string{"CONNECT", "G(ET", strings.Repeat("M", 33)} {
		f := b.frames("h2")
		f.openLong(":method: "+method, ":scheme: https", ":path: /", ":authority: x")
		if status, _, reset := f.whole(1); status != 400 && status != 501 && reset != "PROTOCOL_ERROR" {
			t.Errorf("%s: %d %s", method, status, reset)
		}
	}
}
