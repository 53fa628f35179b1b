package grip_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"backline/channel"
	"backline/grip"
)

func TestParsePublish(t *testing.T) {
	t.Parallel()
	items, err := grip.ParsePublish([]byte(`{"items": [
		{"channel": "a", "id": "2", "prev-id": "1", "meta": {"sender": "u"}, "formats": {
			"http-response": {"headers": {"Content-Type": "text/plain"}, "body": "hi"},
			"http-stream": {"content-bin": "aGk=", "content-filters": ["build-id"]},
			"ws-message": {"content": "hi"}}},
		{"channel": "b", "http-stream": {"action": "close"}, "no-seq": true, "size": 3},
		{"channel": "c", "http-response": {"action": "hint"}},
		{"channel": "e", "http-response": {"body-patch": [{"op": "remove", "path": "/a"}]}},
		{"channel": "d", "http-stream": {"content": ""}, "ws-message": {"type": "binary", "content-bin": "AA=="}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(items) > 0 && items[0].Digest == 0 || len(items) > 1 && items[1].Digest != 0 {
		t.Error("what has an id has a digest, and nothing else")
	}
	items[0].Digest = 0
	want := []grip.Item{
		{Channel: "a", Publication: &channel.Publication{
			ID: "2", PrevID: "1", Meta: map[string]string{"sender": "u"}, Stream: []byte("hi"), Filters: &channel.Filters{Stream: []string{"build-id"}},
			Response: &channel.Response{Status: 200, Header: [][2]string{{"Content-Type", "text/plain"}}, Body: []byte("hi")},
			Socket:   &channel.SocketMessage{Data: []byte("hi"), Text: true},
		}},
		{Channel: "b", Publication: &channel.Publication{Close: channel.FormStream}, Unordered: true},
		{Channel: "c", Publication: &channel.Publication{Refresh: channel.FormResponse}},
		{Channel: "e", Publication: &channel.Publication{Response: &channel.Response{
			Status: 200, Body: []byte(`[{"op": "remove", "path": "/a"}]`), Patches: true,
		}}},
		{Channel: "d", Publication: &channel.Publication{Stream: []byte{}, Socket: &channel.SocketMessage{Data: []byte{0}}}},
	}
	if !reflect.DeepEqual(items, want) {
		for i := range items {
			t.Errorf("%s %+v", items[i].Channel, items[i].Publication)
		}
	}
}

// What one form says of itself is nothing to the others: neither its filters nor what is done in place of sending.
func TestFormsHaveTheirOwnFiltersAndActions(t *testing.T) {
	t.Parallel()
	items, err := grip.ParsePublish([]byte(`{"items": [{"channel": "a", "formats": {
		"http-response": {"body": "100%", "content-filters": ["var-subst"]},
		"http-stream": {"content": "%I", "content-filters": ["build-id"]},
		"ws-message": {"content": "100%"}}},
		{"channel": "a", "http-response": {"action": "hint"}, "http-stream": {"action": "close"}, "ws-message": {"content": "x"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	p := items[0].Publication
	want := channel.Filters{Response: []string{"var-subst"}, Stream: []string{"build-id"}}
	if !reflect.DeepEqual(*p.Filters, want) {
		t.Errorf("filters: %+v", p.Filters)
	}
	l := grip.Listener{
		Meta:     map[string]string{"id_format": "%(a)s"},
		Channels: []grip.Channel{{Name: "a", PrevID: "3"}},
	}
	if l.Filters("a", p, channel.FormSocket) || !l.Filters("a", p, channel.FormStream) {
		t.Error("the filters of one form count for another one")
	}
	for form, text := range map[channel.Forms]string{channel.FormStream: "3", channel.FormSocket: "%I"} {
		if got, err := l.Render("a", p, form, []byte("%I")); string(got) != text || err != nil {
			t.Errorf("form %d: %q %v, expected %q", form, got, err, text)
		}
	}
	closing, err := grip.ParsePublish([]byte(`{"items": [{"channel": "a", "ws-message": {"action": "close", "code": 4001, "reason": "over"}}]}`))
	if err != nil || *closing[0].Publication.Farewell != (channel.Farewell{Code: 4001, Reason: "over"}) {
		t.Errorf("a close with a code: %+v %v", closing, err)
	}
	p = items[1].Publication
	if p.Refresh != channel.FormResponse || p.Close != channel.FormStream || p.Socket == nil || p.Filters != nil {
		t.Errorf("actions: %+v", p)
	}
}

func TestWhatCannotBePublished(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                            "cannot be read",
		`{"items": []}`:               "nothing to publish",
		`[]`:                          "it is of the type array; expected object",
		`{"items": {}}`:               "items is of the type object; expected array",
		`{"items": [{"channel": 1}]}`: "channel is of the type number; expected string",
		`{"items": [{"channel": "a", "formats": {"http-response": {"code": "no"}}}]}`:                                  "http-response.code is of the type string; expected number",
		`{"items": [{"channel": "a", "no-seq": "x"}]}`:                                                                 "no-seq is of the type string; expected bool",
		`{"items": [{"http-stream": {"content": "x"}}]}`:                                                               "no channel",
		`{"items": [{"channel": "a"}]}`:                                                                                "none of the formats",
		`{"items": [{"channel": "a", "http-stream": {}}]}`:                                                             "neither content",
		`{"items": [{"channel": "a", "http-stream": {"action": "jump"}}]}`:                                             "expected send, close",
		`{"items": [{"channel": "a", "http-stream": {"content": "", "content-filters": ["x"]}}]}`:                      "no filter",
		`{"items": [{"channel": "a", "http-response": {"code": 100}}]}`:                                                "from 200 on",
		`{"items": [{"channel": "a", "http-response": {"headers": {"a b": "c"}}}]}`:                                    "not valid",
		`{"items": [{"channel": "a", "http-response": {"body-patch": {}}}]}`:                                           "no JSON Patch",
		`{"items": [{"channel": "a", "http-response": {"body-patch": [{"op": "fly", "path": "/"}]}}]}`:                 "no JSON Patch",
		`{"items": [{"channel": "a", "ws-message": {"action": "close", "code": 999}}]}`:                                "from 1000 to 4999",
		`{"items": [{"channel": "a", "ws-message": {"type": "close"}}]}`:                                               "expected text, binary, ping or pong",
		`{"items": [{"channel": "a", "ws-message": {"type": "pong", "content": "` + strings.Repeat("x", 126) + `"}}]}`: "at most 125",
	} {
		if _, err := grip.ParsePublish([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", body, err, want)
		}
	}
}

func TestPublishedControls(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"ping", "pong"} {
		items, err := grip.ParsePublish([]byte(`{"items": [{"channel": "a", "ws-message": {"type": "` + kind + `", "content": "x"}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if m := items[0].Publication.Socket; m.Control != kind || m.Text || string(m.Data) != "x" {
			t.Errorf("%s: %+v", kind, items[0].Publication)
		}
	}
}

func FuzzParsePublish(f *testing.F) {
	f.Add([]byte(`{"items": [{"channel": "a", "formats": {"http-response": {"headers": [["a", "b"]], "body": "x"}}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := grip.ParsePublish(body)
		for _, each := range items {
			if r := each.Publication.Response; err == nil && r != nil && grip.CheckResponse(r) != nil {
				t.Errorf("an answer that cannot be sent: %+v", r)
			}
		}
	})
}

func TestFilters(t *testing.T) {
	t.Parallel()
	l := grip.Listener{
		Meta: map[string]string{"user": "7", "id_format": "a:%(events-a)s,b%%:%(b)s", "color": "red"},
		Channels: []grip.Channel{
			{Name: "events-a", PrevID: "12", Filters: []string{"build-id", "skip-users"}}, {Name: "b", PrevID: "3", Filters: []string{"skip-self", "require-sub", "var-subst"}},
		},
	}
	for _, c := range []struct {
		name string
		meta map[string]string
		want bool
	}{
		{"events-a", nil, true},
		{"events-a", map[string]string{"skip_users": "5, 7"}, false},
		{"events-a", map[string]string{"skip_users": "57", "sender": "7"}, true},
		{"b", map[string]string{"sender": "7"}, false},
		{"b", map[string]string{"require_sub": "events-a"}, true},
		{"b", map[string]string{"require_sub": "events-c"}, false},
		{"elsewhere", nil, false},
	} {
		if got := l.Wants(c.name, &channel.Publication{Meta: c.meta}); got != c.want {
			t.Errorf("%s %v: %v", c.name, c.meta, got)
		}
	}
	for _, c := range []struct {
		name, text, want string
		filters          []string
	}{
		{"events-a", "id: %I 5%%", "id: a:12,b%:3 5%", nil},
		{"events-a", "id: %(x)I", "id: x", []string{"build-id"}},
		{"b", "%(color)s %%", "red %", nil},
		{"b", "%I", "a:12,b%:3", []string{"build-id"}},
	} {
		got, err := l.Render(c.name, &channel.Publication{Filters: &channel.Filters{Stream: c.filters}}, channel.FormStream, []byte(c.text))
		if err != nil || string(got) != c.want {
			t.Errorf("%s %q: %q %v, expected %q", c.name, c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"%", "%(x", "%q", "%(color)s"} {
		if got, err := l.Render("events-a", &channel.Publication{}, channel.FormStream, []byte(text)); err == nil {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if got, err := l.RenderBody([]byte("100%%")); err != nil || string(got) != "100%" {
		t.Errorf("an answer's body: %q %v", got, err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	key := grip.Key{Issuer: "backline", Secret: []byte("changeme")}
	token := key.Sign(now)
	other := grip.Key{Issuer: "backline", Secret: []byte("another")}
	anybody := grip.Key{Secret: key.Secret}
	stranger := grip.Key{Issuer: "somebody", Secret: key.Secret}
	for name, c := range map[string]struct{ got, want bool }{
		"its own":         {key.Verify(token, now), true},
		"after an hour":   {key.Verify(token, now.Add(time.Hour)), false},
		"another secret":  {other.Verify(token, now), false},
		"any issuer":      {anybody.Verify(token, now), true},
		"another issuer":  {stranger.Verify(token, now), false},
		"a changed token": {key.Verify(token[:len(token)-8]+"AAAAAAAA", now), false},
		"none":            {key.Verify("", now), false},
		// {"alg":"none"}, with a valid sum all the same
		"cut": {key.Verify(token[:len(token)/2], now), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v", name, c.got)
		}
	}
}
