package edge

import (
	"net/http"
	"testing"
	"time"

	"backline/dispatch"
	"backline/ratelimit"
)

func hourly(requests int) *ratelimit.Requests {
	return ratelimit.NewRequests(ratelimit.Rate{Requests: requests, Per: time.Hour}, 0, 0)
}

// TestGateOfEveryHTTP: what one address may ask for, and under which names, is the same over every version.
func TestGateOfEveryHTTP(t *testing.T) {
	t.Parallel()
	hosts, err := ParseHosts([]string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range everyMultiplexed() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := start(t, over(kind, Options{Gate: Gate{Rate: hourly(3), Hosts: hosts}}), handler{answer: hello})
			client := b.client(kind)
			ask := func(host string) *http.Response {
				t.Helper()
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url(kind, "/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				request.Host = host
				answer, err := client.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
				return answer
			}
			if status := ask("evil.example").StatusCode; status != http.StatusMisdirectedRequest {
				t.Errorf("another host: status %d", status)
			}
			served := 0
			for range 5 {
				answer := ask("localhost")
				switch {
				case answer.StatusCode == http.StatusOK:
					served++
				case answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") == "":
					t.Errorf("too many: status %d, %v", answer.StatusCode, answer.Header)
				}
			}
			if served < 2 || served > 3 { // the request for another host may count or not
				t.Errorf("%d requests served, expected 3 at most", served)
			}
		})
	}
}

// TestRateLimitOfWhatNeedsNoRequest: handshakes of WebSockets and files count like requests for the application.
func TestRateLimitOfWhatNeedsNoRequest(t *testing.T) {
	t.Parallel()
	files, _ := published(t, map[string][]byte{"small": []byte("0123456789")})
	b := withWorker(t, "asgi", Options{Files: files, Gate: Gate{Rate: hourly(3)}}, dispatch.Options{}, accepting(echo))
	for _, status := range []int{101, 101, 101, 429} {
		c := b.dial()
		if answer := c.open(""); answer.StatusCode != status {
			t.Errorf("a handshake got %d, expected %d", answer.StatusCode, status)
		}
	}
	c := b.dial()
	c.say("GET /s/small HTTP/1.1\r\nHost: x\r\n\r\n")
	c.expect(429)
}

// TestRateLimitOfTunnels: WebSockets over streams count for the client of the connection that carries them.
func TestRateLimitOfTunnels(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		b := withWorker(t, "asgi", over(kind, Options{Gate: Gate{Rate: hourly(2)}}), dispatch.Options{}, accepting(echo))
		b.expectUp(t)
		f := b.frames(kind)
		for _, status := range []string{"200", "200", "429"} {
			if _, head := f.webSocket(); head[0] != ":status: "+status {
				t.Errorf("%s: %v, expected %s", kind, head, status)
			}
		}
	}
}
