package edge

import (
	"io"
	"net/http"
	"testing"

	"backline/channel"
	"backline/dispatch"
)

// TestPatch: each held answer is changed in its own body, and keeps what the publication does not name.
func TestPatch(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		say(ex, 200, `{"path":"`+string(ex.Scope.Path)+`","news":[]}`, holdFor("room")...)
	}, wsgi: true})
	patch := func(text string) *channel.Publication {
		return &channel.Publication{Response: &channel.Response{Status: 201, Body: []byte(text), Patches: true}}
	}
	for i, each := range []struct {
		name   string
		patch  string
		status int
		want   [2]string
	}{
		{
			"applies", `[{"op":"add","path":"/news/-","value":"<b>"}]`, 201,
			[2]string{`{"path":"/a","news":["<b>"]}`, `{"path":"/b","news":["<b>"]}`},
		},
		{
			"is for another body", `[{"op":"remove","path":"/olds"}]`, 200,
			[2]string{`{"path":"/a","news":[]}`, `{"path":"/b","news":[]}`},
		},
	} {
		callers := [2]*caller{b.dial(), b.dial()}
		for k, c := range callers {
			c.say("GET /" + string("ab"[k]) + " HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		b.joined(2 * (i + 1))
		hub.Publish("room", patch(each.patch))
		for k, c := range callers {
			answer, err := http.ReadResponse(c.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			if string(body) != each.want[k] || answer.StatusCode != each.status || answer.Header.Get("Content-Type") != "text/plain" {
				t.Errorf("%s: %d %q %v", each.name, answer.StatusCode, body, answer.Header)
			}
		}
	}
}
