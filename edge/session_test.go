package edge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"backline"
	"backline/channel"
	"backline/dispatch"
	"backline/grip"
)

// visits is an application whose clients have sessions: a POST waits for the channel "room", and what each request says
// of its session is in told.
type visits struct {
	*bundle
	hub  *channel.Hub
	told chan string
}

func visited(t *testing.T, kind string, wsgi bool, change func(*Options)) *visits {
	t.Helper()
	options, hub := holding()
	if change != nil {
		change(&options)
	}
	v := &visits{hub: hub, told: make(chan string, 10)}
	v.bundle = start(t, over(kind, options), handler{wsgi: wsgi, answer: func(ex *dispatch.Exchange) {
		var last []string
		for _, f := range ex.Scope.Fields {
			if string(f.Name) == "Grip-Last" {
				last = append(last, string(f.Value))
			}
		}
		v.told <- string(ex.Body) + " " + strings.Join(last, ", ")
		switch string(ex.Scope.Path) {
		case "/open":
			say(ex, 200, "", "Grip-Session-Id: s-1", "Grip-Session-Detect: path-prefix=/poll; sid-ptr=/session",
				"Grip-Last: room; last-id=3")
		case "/poll/stream":
			say(ex, 200, "open\n", "Grip-Hold: stream", "Grip-Channel: room", "Grip-Channel: other", "Grip-Session-Id: s-1")
		case "/poll":
			say(ex, 200, "nothing", append(holdFor("room"), "Grip-Session-Id: s-1")...)
		default:
			say(ex, 200, "")
		}
	}})
	return v
}

// post sends one and gives what the application was told with it.
func (v *visits) post(c *caller, path, body string) string {
	v.t.Helper()
	c.say(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: X:80\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))
	return v.heard()
}

func (v *visits) heard() string {
	v.t.Helper()
	select {
	case told := <-v.told:
		return told
	case <-time.After(patience):
		v.t.Fatal("the application was not asked")
		return ""
	}
}

const inSession = `{"session": "s-1"}`

// What a session has seen last is told with the requests that say in their body that they belong to it, and moves on
// with what it is sent: by a long poll, and by a stream.
func TestSessions(t *testing.T) {
	t.Parallel()
	for _, wsgi := range []bool{true, false} {
		t.Run(fmt.Sprint("wsgi ", wsgi), func(t *testing.T) {
			t.Parallel()
			v := visited(t, "plain", wsgi, nil)
			c := v.dial()
			if told := v.post(c, "/poll/none", inSession); told != inSession+" " {
				t.Errorf("before there is a session: %q", told)
			}
			c.expect(200)
			v.post(c, "/open", "x")
			c.expect(200)
			if told := v.post(c, "/poll", inSession); told != inSession+" room; last-id=3" {
				t.Errorf("as the application has said: %q", told)
			}
			v.joined(1)
			p := answerWith("news")
			p.ID, p.PrevID = "4", "3"
			v.hub.Publish("room", p)
			c.expect(200)
			if told := v.post(c, "/poll/stream", inSession); told != inSession+" room; last-id=4" {
				t.Errorf("behind a long poll: %q", told)
			}
			r := c.begin(200)
			readUntil(t, r, "open\n")
			v.joined(2)
			v.hub.Publish("room", &channel.Publication{Stream: []byte("five\n"), ID: "5"})
			v.hub.Publish("other", &channel.Publication{Stream: []byte("one\n"), ID: "o1"})
			readUntil(t, r, "five\none\n")
			d := v.dial()
			for path, want := range map[string]string{"/poll/x": " room; last-id=5, other; last-id=o1", "/elsewhere": " "} {
				if told := v.post(d, path, inSession); told != inSession+want {
					t.Errorf("%s: %q", path, told)
				}
				d.expect(200)
			}
			if told := v.post(d, "/poll/x", `{"session": "s-2"}`); told != `{"session": "s-2"} ` {
				t.Errorf("another session: %q", told)
			}
		})
	}
}

// The body may come late and in pieces, be asked for first, be in chunks for WSGI, and be too long to be looked at.
func TestSessionsOfBodiesThatComeLate(t *testing.T) {
	t.Parallel()
	for _, wsgi := range []bool{true, false} {
		t.Run(fmt.Sprint("wsgi ", wsgi), func(t *testing.T) {
			t.Parallel()
			v := visited(t, "plain", wsgi, func(o *Options) { o.Holds.Body = 100 })
			c := v.dial()
			v.post(c, "/open", "x")
			c.expect(200)
			c.say("POST /poll/late HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\n" + inSession[:7])
			c.say(inSession[7:])
			if told := v.heard(); told != inSession+" room; last-id=3" {
				t.Errorf("in two pieces: %q", told)
			}
			c.expect(200)
			c.say("POST /poll/ask HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\nExpect: 100-continue\r\n\r\n")
			c.expect(100)
			c.say(inSession)
			if told := v.heard(); told != inSession+" room; last-id=3" {
				t.Errorf("asked for: %q", told)
			}
			c.expect(200)
			if wsgi {
				c.say("POST /poll/chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n" + inSession + "\r\n0\r\n\r\n")
				if told := v.heard(); told != inSession+" room; last-id=3" {
					t.Errorf("in chunks: %q", told)
				}
				c.expect(200)
			}
			long := inSession + strings.Repeat(" ", 100)
			if told := v.post(c, "/poll/long", long); told != long+" " {
				t.Errorf("too long: %q", told)
			}
		})
	}
}

func TestSessionsOverHTTP2(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			v := visited(t, kind, false, nil)
			client := v.client(kind)
			fetch(t, client, http.MethodPost, v.url(kind, "/open"), strings.NewReader("x"))
			v.heard()
			fetch(t, client, http.MethodPost, v.url(kind, "/poll/x"), strings.NewReader(inSession))
			if told := v.heard(); told != inSession+" room; last-id=3" {
				t.Errorf("%q", told)
			}
		})
	}
}

// A WebSocket's application says by a control message which session it is in.
func TestSessionsOfPostedSockets(t *testing.T) {
	t.Parallel()
	p := asking(t, nil)
	c := p.opened("Sec-WebSocket-Extensions: grip", text(`c:{"type": "session", "id": "s-1"}`),
		text(`c:{"type": "subscribe", "channel": "a"}`), text("m:ready"))
	c.expectFrame(1)
	p.hub.Publish("a", &channel.Publication{Socket: &channel.SocketMessage{Data: []byte("m"), Text: true}, ID: "9"})
	c.expectFrame(1)
	if last := p.holds.known.last("s-1", p.clock.Load()); !slices.Equal(last, []grip.Last{{Channel: "a", ID: "9"}}) {
		t.Errorf("%v", last)
	}
	_ = c.Close()
	p.next("DISCONNECT").reply("")
	p.ended()
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	s := sessions{Most: 2, Life: time.Second, Rules: 2, channels: 2, body: 100}
	scope := &backline.Scope{Path: []byte("/p/1"), Fields: []backline.Field{{Name: []byte("host"), Value: []byte("[::1]:80")}}}
	name := func(id string, now int64, last ...grip.Last) { s.learn(scope, &grip.Session{ID: id, Last: last}, now) }
	second := int64(time.Second)
	name("a", 0, grip.Last{Channel: "1", ID: "1"}, grip.Last{Channel: "2", ID: "1"}, grip.Last{Channel: "1", ID: "2"}, grip.Last{Channel: "3", ID: "1"})
	if last := s.last("a", 1); !slices.Equal(last, []grip.Last{{Channel: "1", ID: "2"}, {Channel: "3", ID: "1"}}) {
		t.Errorf("channels: %v", last)
	}
	name("b", 2)
	s.last("a", 3)
	name("c", 4)
	if len(s.byID) != 2 || s.recent.Len() != 2 || s.byID["b"] != nil {
		t.Errorf("too many: %v", s.byID)
	}
	s.saw("c", "1", "5", second)
	if s.last("a", second+3) != nil || s.last("c", second+3) == nil {
		t.Error("the one in which nothing has happened for a second lives, or the other one does not")
	}
	if s.saw("gone", "1", "5", second); s.byID["gone"] != nil {
		t.Error("a publication makes a session")
	}
	for _, prefix := range []string{"/p", "/p", "/q", "/r"} {
		s.learn(scope, &grip.Session{Detects: []grip.Detect{{Prefix: prefix, Pointer: "/s"}}}, 0)
	}
	if rules := *s.rules.Load(); len(rules) != 2 || rules[0].Prefix != "/q" || rules[1].Prefix != "/r" || rules[0].host != "[::1]" {
		t.Errorf("rules: %v", rules)
	}
	scope.Path = []byte("/r/1")
	if !s.concern(scope, 100) || s.concern(scope, 101) || s.concern(scope, 0) || s.concern(scope, -1) {
		t.Error("what length of a body matters")
	}
	if fields := appendLast(appendLast(nil, "a; last-id=1\r\nX-A: 1"), "a; last-id=\u00e9"); len(fields) != 1 {
		t.Errorf("%q", fields)
	}
	scope.Fields = nil
	if s.concern(scope, 100) {
		t.Error("a rule of another host")
	}
}
