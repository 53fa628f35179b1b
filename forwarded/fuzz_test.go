package forwarded

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"backline"
)

// FuzzApply holds whatever is sent against what must be true of it.
func FuzzApply(f *testing.F) {
	for _, seed := range []string{
		"X-Forwarded-For: 1.1.1.1, 203.0.113.7:80, [2001:db8::1]:80", `Forwarded: for="[2001:db8::1]";proto=https;host="a.example:81", for=_x`,
		"X-Forwarded-Proto: https, ws\nX-Forwarded-Host: a.example, [::1]:80\nX-Forwarded-Port: 81", `Forwarded: for="x\", ;;=`,
	} {
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, head string, inside bool) {
		peer := "203.0.113.9"
		if inside {
			peer = proxy
		}
		scope := request(peer, strings.Split("Host: example.com\n"+head, "\n")...)
		before := *scope
		outcome := rules(t, private).Apply(scope)
		switch {
		case !inside && Carried(scope.Fields):
			t.Errorf("a stranger's fields are left: %s", text(scope))
		case !inside && (scope.Client != before.Client || scope.Scheme != before.Scheme || scope.Server != before.Server):
			t.Errorf("a stranger was believed: %s", text(scope))
		case outcome == Silent && scope.Client != before.Client:
			t.Errorf("nothing was said, and the client is %v", scope.Client)
		}
		if a, err := netip.ParseAddr(scope.Client.Host); err != nil || a.String() != scope.Client.Host {
			t.Errorf("client %q is no address in its usual form", scope.Client.Host)
		}
		if scope.Scheme != "http" && scope.Scheme != "https" {
			t.Errorf("scheme %q", scope.Scheme)
		}
		if p := scope.Server.Port; p < 1 || p > 65535 || scope.Client.Port < 0 || scope.Client.Port > 65535 {
			t.Errorf("ports %d and %d", p, scope.Client.Port)
		}
	})
}

// FuzzLeft puts anything to the left of what a proxy appends, in the same field or in one before: it must not matter.
func FuzzLeft(f *testing.F) {
	for _, left := range []string{"1.1.1.1", `for="`, `for="x\`, "for=1.1.1.1;by=", `"`, `\`, ",", ";", "for=10.0.0.3"} {
		f.Add(left, true)
		f.Add(left, false)
	}
	f.Fuzz(func(t *testing.T, left string, same bool) {
		if !backline.ValidFieldValue([]byte(left)) || len(left) > 4096 {
			t.Skip("no field has this value")
		}
		for _, c := range []struct{ name, appended string }{
			{"X-Forwarded-For", "203.0.113.7"},
			{"X-Forwarded-For", "203.0.113.7, 10.0.0.2"},
			{"Forwarded", "for=203.0.113.7"},
			{"Forwarded", `for="203.0.113.7:80";proto=https, for="[fd00::2]"`},
		} {
			lines := []string{c.name + ": " + left, c.name + ": " + c.appended}
			if same {
				lines = []string{c.name + ": " + left + ", " + c.appended}
			}
			scope := request(proxy, lines...)
			rules(t, private).Apply(scope)
			if scope.Client.Host != "203.0.113.7" {
				t.Errorf("%q made the client %s", lines, scope.Client.Host)
			}
		}
	})
}

// FuzzElement compares parseElement with a reader that follows the grammar from left to right, on what both take.
func FuzzElement(f *testing.F) {
	for _, seed := range []string{`for="[::1]:80";proto=https;host=a`, `;;by=_x ; for=unknown`, `for="a;b";ext="x,y"`, "host=a;host=b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, ok := parseElement(b)
		want, whole := pairs(b)
		if !ok || !whole {
			return
		}
		for _, c := range []struct {
			name string
			got  []byte
		}{{"for", e.node}, {"proto", e.proto}, {"host", e.host}} {
			if !bytes.Equal(c.got, want[c.name]) {
				t.Errorf("%q: %s is %q, expected %q", b, c.name, c.got, want[c.name])
			}
		}
	})
}

// pairs reads forwarded-element letter by letter; whole is false for what RFC 7239 has no rule for.
func pairs(b []byte) (found map[string][]byte, whole bool) {
	found = map[string][]byte{}
	for len(b) > 0 {
		if b[0] == ';' {
			b = b[1:]
			continue
		}
		equals := bytes.IndexByte(b, '=')
		if equals < 0 || !backline.ValidFieldName(b[:equals]) {
			return nil, false
		}
		key := strings.ToLower(string(b[:equals]))
		value := []byte{}
		if b = b[equals+1:]; len(b) > 0 && b[0] == '"' {
			end := 1
			for end < len(b) && b[end] != '"' {
				value = append(value, b[end])
				end++
			}
			if end == len(b) {
				return nil, false
			}
			b = b[end+1:]
		} else {
			for len(b) > 0 && backline.ValidFieldName(b[:1]) {
				value, b = append(value, b[0]), b[1:]
			}
		}
		if len(b) > 0 && b[0] != ';' {
			return nil, false
		}
		found[key] = value
	}
	return found, true
}
