package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"backline/admin"
	"backline/edge"
)

const patience = 30 * time.Second

// serve runs an edge with a handler as the command does, and gives its address.
func serve(t *testing.T, health func() admin.Health) string {
	t.Helper()
	listener, err := edge.Listen(t.Context(), "127.0.0.1:0", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	server := edge.New(edge.Options{}, admin.New(health, func() ([]byte, error) { return []byte("backline_x 1\n"), nil }, nil))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, time.Second, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Name
}

// ask gives an answer, taken apart.
func ask(t *testing.T, method, url string, body io.Reader) (status int, fields http.Header, said string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var now atomic.Pointer[admin.Health]
	url := serve(t, func() admin.Health { return *now.Load() })
	cases := []struct {
		live, ready          bool
		both, alive, serving int
	}{
		{true, true, 200, 200, 200},
		{true, false, 503, 200, 503},
		{false, true, 503, 503, 200},
		{false, false, 503, 503, 503},
	}
	for _, c := range cases {
		now.Store(&admin.Health{Live: c.live, Ready: c.ready, Reason: "because", Workers: admin.Workers{Serving: 3}})
		for path, want := range map[string]int{
			"/-/health": c.both, "/-/health?verbose": c.both, "/-/health/live": c.alive, "/-/health/ready": c.serving,
		} {
			status, fields, body := ask(t, http.MethodGet, url+path, nil)
			var said admin.Health
			if err := json.Unmarshal([]byte(body), &said); err != nil {
				t.Fatalf("%s: %v in %q", path, err, body)
			}
			if status != want || !reflect.DeepEqual(said, *now.Load()) {
				t.Errorf("%s with %+v: %d %s, expected %d", path, c, status, body, want)
			}
			if fields.Get("Content-Type") != "application/json" || fields.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: fields %v", path, fields)
			}
		}
	}
}

func TestWhatElseIsAsked(t *testing.T) {
	t.Parallel()
	url := serve(t, func() admin.Health { return admin.Health{Live: true, Ready: true} })
	cases := []struct {
		method, path string
		body         string
		status       int
		want         string
	}{
		{http.MethodHead, "/-/health", "", 200, ""},
		{http.MethodGet, "/-/metrics", "", 200, "backline_x 1\n"},
		{http.MethodPost, "/-/metrics", "", 405, "This can be asked for with GET and HEAD"},
		{http.MethodGet, "/", "", 404, "There is /-/health"},
		{http.MethodGet, "/-/healthy", "", 404, "There is /-/health"},
		{http.MethodGet, "/-/%68ealth", "", 404, "There is /-/health"},
		{http.MethodPost, "/-/health", "some body", 405, "This can be asked for with GET and HEAD"},
		{http.MethodDelete, "/-/health/live", "", 405, "This can be asked for with GET and HEAD"},
	}
	for _, c := range cases {
		status, fields, body := ask(t, c.method, url+c.path, strings.NewReader(c.body))
		if status != c.status || !strings.HasPrefix(body, c.want) {
			t.Errorf("%s %s: %d %q, expected %d %q", c.method, c.path, status, body, c.status, c.want)
		}
		if allow := fields.Get("Allow"); (allow != "") != (c.status == 405) {
			t.Errorf("%s %s: Allow %q", c.method, c.path, allow)
		}
	}
}
