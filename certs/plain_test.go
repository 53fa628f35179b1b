package certs_test

import (
	"strings"
	"testing"

	"backline"
	"backline/certs"
)

// request makes a scope; an empty host means none.
func request(method, host, target string) *backline.Scope {
	path, query, _ := strings.Cut(target, "?")
	scope := &backline.Scope{
		Method: []byte(method), Target: []byte(target), Path: []byte(path), Query: []byte(query), Scheme: "http",
		Fields: []backline.Field{{Name: []byte("Accept"), Value: []byte("*/*")}},
	}
	if host != "" {
		scope.Fields = append(scope.Fields, backline.Field{Name: []byte("HOST"), Value: []byte(host)})
	}
	return scope
}

func TestRedirectToHTTPS(t *testing.T) {
	t.Parallel()
	pair := newRoot(t, "test").issue(t, "example.com", "*.example.com", "192.0.2.1", "::1").pair(t, t.TempDir(), "site")
	s := start(t, certs.Options{Pairs: []certs.Pair{pair}})
	for _, c := range []struct {
		host, target string
		port, status int
		location     string
	}{
		{"example.com", "/", 443, 308, "https://example.com/"},
		{"example.com", "/a%20b/?q=1&r=%2F", 443, 308, "https://example.com/a%20b/?q=1&r=%2F"},
		{"Example.COM.", "/", 443, 308, "https://example.com/"},
		{"example.com:80", "/", 8443, 308, "https://example.com/"},
		{"example.com", "/", 8443, 308, "https://example.com/"}, // it came to port 80, which somebody forwards
		{"example.com:8080", "/", 8443, 308, "https://example.com:8443/"},
		{"example.com:8080", "/", 443, 308, "https://example.com/"},
		{"example.com:", "/", 443, 308, "https://example.com/"},
		{"shop.example.com", "/", 443, 308, "https://shop.example.com/"},
		{"192.0.2.1", "/x", 443, 308, "https://192.0.2.1/x"},
		{"[::1]:8080", "/", 8443, 308, "https://[::1]:8443/"},
		{"[::1]", "/", 443, 308, "https://[::1]/"},
		{"example.com", "//evil.example/", 443, 308, "https://example.com//evil.example/"},
		{"example.com", "*", 443, 308, "https://example.com/"},
		{"evil.example", "/", 443, 421, ""},
		{"example.com.evil.example", "/", 443, 421, ""},
		{"a.b.example.com", "/", 443, 421, ""},
		{"192.0.2.2", "/", 443, 421, ""},
		{"", "/", 443, 400, ""},
	} {
		answer := s.Plain(request("POST", c.host, c.target), true, c.port)
		if answer == nil {
			t.Errorf("%q %q: the application would answer", c.host, c.target)
			continue
		}
		if answer.Status != c.status || answer.Location != c.location || !strings.HasSuffix(answer.Body, ".") {
			t.Errorf("%q %q: %+v, want %d %q", c.host, c.target, answer, c.status, c.location)
		}
	}
	if answer := s.Plain(request("GET", "example.com", "/"), false, 443); answer != nil {
		t.Errorf("without redirects the answer is %+v, not the application's", answer)
	}
}

// TestChallengePathWithoutChallenge: what looks like an authority's check and is none is treated like everything else, so
// that another program's challenges still reach the application.
func TestChallengePathWithoutChallenge(t *testing.T) {
	t.Parallel()
	s := start(t, certs.Options{ACME: &certs.ACME{Names: []string{"example.com"}, Folder: t.TempDir(), HTTP: ":80"}})
	run(t, s.Store)
	<-s.Loaded()
	const path = "/.well-known/acme-challenge/abc"
	if answer := s.Plain(request("GET", "example.com", path), false, 443); answer != nil {
		t.Errorf("the answer is %+v", answer)
	}
	if answer := s.Plain(request("GET", "example.com", path), true, 443); answer == nil || answer.Status != 308 {
		t.Errorf("the answer is %+v, want a redirect", answer)
	}
}
