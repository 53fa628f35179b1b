package grip_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"backline"
	"backline/channel"
	"backline/grip"
)

func fields(lines ...string) (all []backline.Field) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		all = append(all, backline.Field{Name: []byte(name), Value: []byte(value)})
	}
	return all
}

func TestRead(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		fields []string
		body   string
		want   grip.Instruct
	}{
		{
			"a long poll", []string{"Content-Type: text/plain", "Grip-Hold: response", "grip-channel: room-42, user-7", "Grip-Timeout: 25"}, "nothing",
			grip.Instruct{
				Mode: grip.Response, Timeout: 25 * time.Second, Channels: []grip.Channel{{Name: "room-42"}, {Name: "user-7"}},
				Answer: channel.Response{Status: 200, Header: [][2]string{{"Content-Type", "text/plain"}}, Body: []byte("nothing")},
			},
		},
		{
			"what django-eventstream says", []string{
				"Grip-Hold: stream", "Grip-Channel: events-a%2Fb; prev-id=7; filter=build-id; filter=skip-users, user-3; filter=require-sub",
				`Grip-Keep-Alive: event: keep-alive\ndata:\n\n; format=cstring; timeout=20`,
				`Grip-Set-Meta: id_format="a%%2Fb:%(events-a%2Fb)s,x:%(y)s", user="3"`,
				"Grip-Link: </events/?link=next&a=1,2;3>; rel=next",
			}, "",
			grip.Instruct{
				Mode: grip.Stream, Timeout: grip.DefaultTimeout,
				Channels: []grip.Channel{
					{Name: "events-a%2Fb", PrevID: "7", Filters: []string{"build-id", "skip-users"}}, {Name: "user-3", Filters: []string{"require-sub"}},
				},
				KeepAlive: grip.KeepAlive{Data: []byte("event: keep-alive\ndata:\n\n"), Timeout: 20 * time.Second},
				Meta:      map[string]string{"id_format": "a%%2Fb:%(events-a%2Fb)s,x:%(y)s", "user": "3"},
				Next:      grip.Link{URI: "/events/?link=next&a=1,2;3", Timeout: 2 * time.Minute},
				Answer:    channel.Response{Status: 200},
			},
		},
		{
			"a status, and fields that may be seen", []string{
				"X-A: 1", "X-B: 2", "Grip-Status: 304 Not Modified", "Grip-Hold: response", "Grip-Channel: a", "Grip-Expose-Headers: x-b", "Backline-Cursor: 77",
			}, "",
			grip.Instruct{
				Mode: grip.Response, Timeout: grip.DefaultTimeout, Channels: []grip.Channel{{Name: "a"}}, Cursor: 77,
				Answer: channel.Response{Status: 304, Reason: "Not Modified", Header: [][2]string{{"X-B", "2"}}},
			},
		},
		{
			"an interval, a link to say that a client has gone", []string{
				"Grip-Hold: stream", "Grip-Channel: a", "Grip-Keep-Alive: Cgo=; format=base64; mode=interval", "Grip-Link: </gone>; rel=gone",
			}, "",
			grip.Instruct{
				Mode: grip.Stream, Timeout: grip.DefaultTimeout, Channels: []grip.Channel{{Name: "a"}}, Gone: "/gone",
				KeepAlive: grip.KeepAlive{Data: []byte("\n\n"), Timeout: 55 * time.Second, Interval: true}, Answer: channel.Response{Status: 200},
			},
		},
		{
			"an instruction as the body", []string{"Content-Type: application/grip-instruct; charset=utf-8", "X-A: 1"},
			`{"hold": {"channels": [{"name": "a", "prev-id": "1", "filters": ["skip-self"]}], "timeout": 3, "meta": {"user": 4}},
			  "response": {"code": 201, "headers": {"X-C": "3"}, "body-bin": "aGk="}}`,
			grip.Instruct{
				Mode: grip.Response, Timeout: grip.LeastTimeout, Channels: []grip.Channel{{"a", "1", []string{"skip-self"}}}, Meta: map[string]string{"user": "4"},
				Answer: channel.Response{Status: 201, Header: [][2]string{{"X-C", "3"}}, Body: []byte("hi")},
			},
		},
	}
	for _, c := range cases {
		f := fields(c.fields...)
		if !grip.Present(f) {
			t.Errorf("%s: not seen", c.name)
		}
		got, err := grip.Read(200, nil, f, []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, *got, c.want)
		}
	}
}

// TestFeatures: what is claimed, and that no field of that kind goes further than the edge, known or not.
func TestFeatures(t *testing.T) {
	t.Parallel()
	if want := "status, session, link:next, link:gone, filter:skip-self, filter:skip-users, filter:require-sub, filter:build-id, filter:var-subst, filter:http-check, filter:http-modify"; grip.Features != want {
		t.Errorf("%q is claimed", grip.Features)
	}
	got, err := grip.Read(200, nil, fields("Grip-Session-Id: 1", "grip-session-detect: path-prefix=/; sid-ptr=/a", "Grip-Last: a; last-id=1", "GRIP-Nonsense: 1", "X-A: 1"), nil)
	if err != nil || got.Mode != grip.Pass || !reflect.DeepEqual(got.Answer.Header, [][2]string{{"X-A", "1"}}) {
		t.Errorf("%+v %v", got, err)
	}
}

// TestRepeatedChannels: the field may come again, each with a list.
func TestRepeatedChannels(t *testing.T) {
	t.Parallel()
	got, err := grip.Read(200, nil, fields("Grip-Hold: response", "Grip-Channel: a; prev-id=1, b", "Grip-Channel: c", "Grip-Timeout: 1"), nil)
	if err != nil || strings.Join(got.Names(), " ") != "a b c" || !got.Resumes() || got.Timeout != 5*time.Second {
		t.Errorf("%+v %v", got, err)
	}
}

// TestInstructionsNeed200: where the body is the instruction.
func TestInstructionsNeed200(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{200: true, 201: false, 404: false} {
		if _, err := grip.Read(status, nil, fields("Content-Type: "+grip.ContentType), []byte("{}")); (err == nil) != want {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestPresent(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"Content-Type: text/html", "Gripe-Hold: response", "Grip: x", "G: x", "Content-Typo: application/grip-instruct"} {
		if grip.Present(fields(line)) {
			t.Errorf("%q is taken for an instruction", line)
		}
	}
}

func TestWhatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	cases := []struct{ field, body, want string }{
		{"Grip-Hold: forever", "", "expected response or stream"},
		{"Grip-Hold: response", "", "no Grip-Channel"},
		{"Grip-Timeout: soon", "", "number of seconds"},
		{"Grip-Channel: a; filter=nonsense", "", "known are skip-self"},
		{"Grip-Channel: ; prev-id=1", "", "has no name"},
		{"Grip-Channel: a; filter=skip-self; filter=skip-users; filter=build-id; filter=var-subst; filter=require-sub; filter=x", "", "at most 5"},
		{`Grip-Keep-Alive: a\q; format=cstring`, "", `\q in a cstring`},
		{`Grip-Keep-Alive: a\x4; format=cstring`, "", "without two digits"},
		{`Grip-Keep-Alive: a\; format=cstring`, "", "ends with a backslash"},
		{"Grip-Keep-Alive: a; format=morse", "", "expected raw, cstring or base64"},
		{"Grip-Keep-Alive: a; mode=often", "", "expected idle or interval"},
		{"Grip-Keep-Alive: ; timeout=3", "", "nothing to send"},
		{"Grip-Link: /next; rel=next", "", "expected </path>"},
		{"Grip-Status: fine", "", "expected a status code"},
		{"Grip-Status: 101", "", "from 200 on"},
		{"Grip-Set-Meta: user", "", "expected name"},
		{"Backline-Cursor: -4", "", "expected the number"},
		{"Content-Type: application/grip-instruct", "{", "cannot be read"},
		{"Content-Type: application/grip-instruct", `{"hold": {"timeout": -1, "channels": [{"name": "a"}]}}`, "number of seconds"},
		{"Content-Type: application/grip-instruct", `{"response": {"headers": [["a"]]}}`, "a name and a value"},
		{"Content-Type: application/grip-instruct", `{"response": {"headers": [["a", "b\r\nc"]]}}`, "is not valid"},
		{"Content-Type: application/grip-instruct", `{"response": {"reason": "a\nb"}}`, "control character"},
		{"Content-Type: application/grip-instruct", `{"response": {"body-bin": "%"}}`, "no base64"},
	}
	for _, c := range cases {
		if _, err := grip.Read(200, nil, fields(c.field), []byte(c.body)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, expected %q", c.field, c.body, err, c.want)
		}
	}
	if _, err := grip.Read(201, nil, fields("Content-Type: application/grip-instruct"), []byte("{}")); err == nil {
		t.Error("an instruction with another status than 200 is followed")
	}
}

func FuzzRead(f *testing.F) {
	f.Add("Grip-Channel", `a; prev-id="x\"y"; filter=build-id, b`, `{"hold": {"channels": [{"name": "a"}]}}`)
	f.Add("Grip-Link", "<a,b;c>; rel=next; timeout=5", "")
	f.Add("Grip-Keep-Alive", `\x41\r\n; format=cstring`, "")
	f.Add("Content-Type", "application/grip-instruct", `{"response": {"headers": {"a": 1}, "body": "x"}}`)
	f.Fuzz(func(t *testing.T, name, value, body string) {
		in, err := grip.Read(200, nil, []backline.Field{{Name: []byte(name), Value: []byte(value)}}, []byte(body))
		if err != nil {
			return
		}
		for _, each := range in.Answer.Header {
			if !strings.EqualFold(each[0], name) && !backline.ValidFieldValue([]byte(each[1])) {
				t.Errorf("a field goes to the client that breaks it: %q", each)
			}
		}
		if in.Mode != grip.Pass && (in.Timeout < grip.LeastTimeout || len(in.Channels) == 0) {
			t.Errorf("a hold of %v for %v", in.Timeout, in.Channels)
		}
	})
}
