package grip_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"backline"
	"backline/grip"
)

const most = 1 << 20

// everyEvent is one of each kind, and how they are written.
func everyEvent() (all []grip.Event, encoded string) {
	all = []grip.Event{
		{Type: "OPEN"}, {Type: "TEXT", Content: []byte("hello")}, {Type: "TEXT", Content: []byte{}},
		{Type: "BINARY", Content: []byte("\r\n\x00TEXT 1\r\nx")}, {Type: "PING"}, {Type: "PONG", Content: []byte("p")},
		{Type: "TEXT", Content: bytes.Repeat([]byte("y"), 300)},
		{Type: "CLOSE", Content: []byte("\x03\xe8bye")}, {Type: "DISCONNECT"},
	}
	encoded = "OPEN\r\nTEXT 5\r\nhello\r\nTEXT 0\r\n\r\nBINARY c\r\n\r\n\x00TEXT 1\r\nx\r\nPING\r\nPONG 1\r\np\r\n"
	encoded += "TEXT 12c\r\n" + strings.Repeat("y", 300) + "\r\nCLOSE 5\r\n\x03\xe8bye\r\nDISCONNECT\r\n"
	return all, encoded
}

func TestEventsAreWrittenAndRead(t *testing.T) {
	t.Parallel()
	events, want := everyEvent()
	var got []byte
	for _, e := range events {
		got = grip.AppendEvent(got, e)
	}
	if string(got) != want {
		t.Fatalf("%q", got)
	}
	read, err := grip.ParseEvents(got, most)
	if err != nil || !reflect.DeepEqual(read, events) {
		t.Fatalf("%v %v", read, err)
	}
	if e, used, err := grip.NextEvent([]byte("TEXT 0A\r\n0123456789\r\n"), most); err != nil || used != 21 || string(e.Content) != "0123456789" {
		t.Error("a length in capitals, with a zero before it", e, used, err)
	}
}

// TestEventsByteByByte: nothing is seen before it is whole, and what stands behind it changes nothing.
func TestEventsByteByByte(t *testing.T) {
	t.Parallel()
	events, _ := everyEvent()
	for _, want := range events {
		whole := grip.AppendEvent(nil, want)
		for n := range whole {
			if e, used, err := grip.NextEvent(whole[:n:n], most); used != 0 || err != nil || e.Type != "" && e.Content != nil {
				t.Fatalf("%q: %v %d %v", whole[:n], e, used, err)
			}
			if _, err := grip.ParseEvents(whole[:n:n], most); (err == nil) != (n == 0) {
				t.Fatalf("a body that ends within an event: %q: %v", whole[:n], err)
			}
		}
		for _, behind := range []string{"", "\r\n", "x", "TEXT", "OPEN\r\n", "\x00"} {
			e, used, err := grip.NextEvent(append(bytes.Clone(whole), behind...), most)
			if err != nil || used != len(whole) || !reflect.DeepEqual(e, want) {
				t.Fatalf("%q and %q: %v %d %v", whole, behind, e, used, err)
			}
		}
	}
}

func TestWhatAreNoEvents(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"\r\n", "HELLO\r\n", "open\r\n", "TEXT \r\n\r\n"[:5] + "-1\r\n\r\n", "TEXT +1\r\nx\r\n", "TEXT 1_0\r\nx\r\n", "TEXT 0x1\r\nx\r\n", "TEXT  1\r\nx\r\n",
		"TEXT 1\r\nxx\r\n", "TEXT 1\r\nx\rx", "TEXT 1\r\nxx", "TEXT 100001\r\n", "TEXT ffffffffffffffff\r\n", "TEXT 1ffffffffffffffff\r\n",
		" TEXT 1\r\nx\r\n", "<html><body>this is no event</body></html>", strings.Repeat("TEXT", 10), "TEXT 1 1\r\nx\r\n", "TEXT g\r\n",
	} {
		if _, used, err := grip.NextEvent([]byte(body), most); !errors.Is(err, grip.ErrEvents) || used != 0 {
			t.Errorf("%q: %d %v", body, used, err)
		}
	}
}

func FuzzEvents(f *testing.F) {
	_, seed := everyEvent()
	f.Add([]byte(seed))
	f.Add([]byte("TEXT 10\r\n"))
	f.Add([]byte("TEXT 2\r\nxx\rOPEN"))
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := grip.ParseEvents(body, 1<<10)
		if err != nil {
			return
		}
		var again []byte
		for _, e := range all {
			if len(e.Content) > 1<<10 {
				t.Fatal("longer than it may be")
			}
			again = grip.AppendEvent(again, e)
		}
		if len(again) > len(body) { // only a length may have been written with more digits
			t.Fatalf("%q became %q", body, again)
		}
		if twice, err := grip.ParseEvents(again, 1<<10); err != nil || !reflect.DeepEqual(twice, all) {
			t.Fatalf("%q became %q: %v", body, again, err)
		}
	})
}

func FuzzControl(f *testing.F) {
	f.Add([]byte(`{"type": "subscribe", "channel": "a", "filters": ["skip-self"]}`))
	f.Add([]byte(`{"type": "keep-alive", "content": "x", "timeout": 1e308}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := grip.ParseControl(data); err == nil && (c.Type == "" || c.Timeout < 0 || c.Timeout > 24*time.Hour) {
			t.Fatalf("%+v", c)
		}
	})
}

func TestReadEventsHead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fields []string
		want   grip.EventsHead
	}{
		{nil, grip.EventsHead{Accepted: -1}},
		{[]string{"sec-websocket-extensions: grip"}, grip.EventsHead{Grip: true, Prefix: "m:", Accepted: -1}},
		{[]string{`Sec-WebSocket-Extensions: x, grip; message-prefix=""`}, grip.EventsHead{Grip: true, Accepted: -1}},
		{[]string{`Sec-WebSocket-Extensions: grip; message-prefix="a;b"`}, grip.EventsHead{Grip: true, Prefix: "a;b", Accepted: -1}},
		{[]string{"Keep-Alive-Interval: 3"}, grip.EventsHead{KeepAlive: 20 * time.Second, Accepted: -1}},
		{[]string{"keep-alive-interval: 30", "Content-Bytes-Accepted: 0"}, grip.EventsHead{KeepAlive: 30 * time.Second}},
		{[]string{"Set-Meta-User: 7", "set-meta-x:  "}, grip.EventsHead{Accepted: -1, SetMeta: [][2]string{{"user", "7"}, {"x", " "}}}},
	} {
		if got, err := grip.ReadEventsHead(fields(c.fields...)); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v %v", c.fields, got, err)
		}
	}
	for _, wrong := range []string{"Keep-Alive-Interval: soon", "Keep-Alive-Interval: -1", "Content-Bytes-Accepted: -1", "Content-Bytes-Accepted: all"} {
		if _, err := grip.ReadEventsHead(fields(wrong)); err == nil {
			t.Error(wrong)
		}
	}
}

func TestControls(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]grip.Control{
		`{"type": "subscribe", "channel": "a", "prev-id": "1", "filters": ["skip-self"]}`: {
			Type: "subscribe", Channel: grip.Channel{Name: "a", PrevID: "1", Filters: []string{"skip-self"}},
		},
		`{"type": "unsubscribe", "channel": "a"}`:                                         {Type: "unsubscribe", Channel: grip.Channel{Name: "a"}},
		`{"type": "detach"}`:                                                              {Type: "detach"},
		`{"type": "session", "id": "s"}`:                                                  {Type: "session", Session: "s"},
		`{"type": "set-meta", "name": "user", "value": 7}`:                                {Type: "set-meta", Name: "user", Value: "7"},
		`{"type": "keep-alive", "message-type": "ping", "timeout": 30}`:                   {Type: "keep-alive", Kind: "ping", Timeout: 30 * time.Second},
		`{"type": "keep-alive", "content": "k", "mode": "interval"}`:                      {Type: "keep-alive", Kind: "text", Data: []byte("k"), Mode: "interval", Timeout: grip.DefaultTimeout},
		`{"type": "send-delayed", "content-bin": "AA==", "timeout": 0.5}`:                 {Type: "send-delayed", Kind: "binary", Data: []byte{0}, Timeout: time.Second / 2},
		`{"type": "send-delayed", "content": "", "message-type": "binary", "timeout": 1}`: {Type: "send-delayed", Kind: "binary", Data: []byte{}, Timeout: time.Second},
		`{"type": "flush-delayed"}`:                                                       {Type: "flush-delayed"},
	} {
		if got, err := grip.ParseControl([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		``: "cannot be read", `{"type": "jump"}`: "no control message", `{"type": "subscribe"}`: "no name", `{"type": "set-meta"}`: "no name",
		`{"type": "subscribe", "channel": "a", "filters": ["x"]}`: "has the filter",
		`{"type": "send-delayed"}`:                                "neither content",
		`{"type": "keep-alive", "timeout": -1}`:                   "number of seconds",
		`{"type": "keep-alive", "mode": "often"}`:                 "expected idle",
		`{"type": "keep-alive", "message-type": "close"}`:         "expected text",
		`{"type": "send-delayed", "content-bin": "%"}`:            "no base64",
	} {
		if _, err := grip.ParseControl([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestIsEvents(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"content-type: Application/WebSocket-Events; a=b": true, "Content-Type: application/websocket-events": true,
		"Content-Type: application/websocket-event": false, "Accept: application/websocket-events": false, "Content-Type: ": false,
	} {
		if f := fields(line); grip.IsEvents(f[0]) != want {
			t.Error(line)
		}
	}
	if grip.IsEvents(backline.Field{}) {
		t.Error("nothing")
	}
}
