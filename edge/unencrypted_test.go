package edge

import (
	"net/http"
	"testing"

	"backline"
	"backline/dispatch"
)

// TestPlainAnswersInTheApplicationsStead: what comes with TLS, over a Unix socket or from a proxy that had it with TLS
// never gets there.
func TestPlainAnswersInTheApplicationsStead(t *testing.T) {
	t.Parallel()
	options := Options{Plain: func(scope *backline.Scope) *Page {
		switch string(scope.Path) {
		case "/served":
			return nil
		case "/proof":
			return &Page{Status: 200, Text: "token"}
		default:
			return &Page{Status: 308, Text: "Elsewhere.", Location: "https://a" + string(scope.Path)}
		}
	}}
	s := New(options, handler{answer: hello})
	here := backline.Addr{Host: "127.0.0.1", Port: 80}
	for name, c := range map[string]struct {
		scheme string
		server backline.Addr
		path   string
		status int
	}{
		"plain":          {"http", here, "/x", 308},
		"proof":          {"http", here, "/proof", 200},
		"left alone":     {"http", here, "/served", 0},
		"TLS":            {"https", here, "/x", 0},
		"behind a proxy": {"http", backline.Addr{Host: "/run/a.sock"}, "/x", 0},
		"TLS of a proxy": {"https", backline.Addr{}, "/x", 0},
	} {
		got := 0
		if no := s.unencrypted(&backline.Scope{Scheme: c.scheme, Server: c.server, Path: []byte(c.path)}); no != nil {
			got = no.status
		}
		if got != c.status {
			t.Errorf("%s: status %d, want %d", name, got, c.status)
		}
	}
	if no := New(Options{}, handler{}).unencrypted(&backline.Scope{Scheme: "http", Server: here}); no != nil {
		t.Errorf("without Plain: %+v", no)
	}
}

func TestRedirectOverAConnection(t *testing.T) {
	t.Parallel()
	if overTLS {
		t.Skip("what comes with TLS needs no redirect")
	}
	options := Options{Plain: func(scope *backline.Scope) *Page {
		return &Page{Status: 308, Text: "Elsewhere.", Location: "https://a" + string(scope.Target)}
	}}
	b := start(t, options, handler{answer: func(*dispatch.Exchange) { t.Error("the application was asked") }})
	c := b.dial()
	for range 2 {
		c.say("GET /x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n")
		answer, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.Header.Get("Location"); answer.StatusCode != http.StatusPermanentRedirect || got != "https://a/x?y=1" {
			t.Errorf("%s to %q", answer.Status, got)
		}
		_, _ = answer.Body.Read(make([]byte, 64))
		_ = answer.Body.Close()
	}
}
