package edge

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"backline"
	"backline/channel"
	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/grip"
	"backline/wire"
)

// asked is one POST as an application sees it.
type asked struct {
	fields http.Header
	events []grip.Event
	reply  func(fields string, events ...grip.Event) // "Name: value" each, with line ends between
	fail   func(*dispatch.Failure)
	other  func(status int, body string, fields ...string)
}

func text(data string) grip.Event { return grip.Event{Type: "TEXT", Content: []byte(data)} }

var open = grip.Event{Type: "OPEN"}

// names gives events as text: "OPEN TEXT:hi".
func (a *asked) names() string {
	var all []string
	for _, e := range a.events {
		if e.Content == nil {
			all = append(all, e.Type)
		} else {
			all = append(all, e.Type+":"+string(e.Content))
		}
	}
	return strings.Join(all, " ")
}

// postee is an application that is asked by POST.
type postee struct {
	*bundle
	hub   *channel.Hub
	asked chan *asked
	now   atomic.Int32 // POSTs under way
}

// Submit implements Handler.
func (p *postee) Submit(ex *dispatch.Exchange) {
	if p.now.Add(1) > 1 {
		p.t.Error("two POSTs of one socket at once")
	}
	a := &asked{fields: http.Header{}}
	for _, f := range ex.Scope.Fields {
		a.fields.Add(string(f.Name), string(f.Value))
	}
	var err error
	if a.events, err = grip.ParseEvents(bytes.Clone(ex.Body), 1<<20); err != nil || string(ex.Scope.Method) != "POST" || ex.Scope.WebSocket {
		p.t.Errorf("%s %q: %v", ex.Scope.Method, ex.Body, err)
	}
	a.other = func(status int, body string, fields ...string) {
		p.now.Add(-1)
		say(ex, status, body, fields...)
	}
	a.reply = func(fields string, events ...grip.Event) {
		var body []byte
		for _, e := range events {
			body = grip.AppendEvent(body, e)
		}
		a.other(200, string(body), append(slices.DeleteFunc(strings.Split(fields, "\n"), func(s string) bool { return s == "" }),
			"Content-Type: application/websocket-events")...)
	}
	a.fail = func(why *dispatch.Failure) {
		p.now.Add(-1)
		ex.Client.Fail(ex, why)
	}
	p.asked <- a
}

// WSGI and WebSockets implement Handler.

func (*postee) WSGI() bool       { return true }
func (*postee) WebSockets() bool { return false }

func asking(t *testing.T, change func(*Options)) *postee {
	t.Helper()
	options, hub := holding()
	options.Layer = hub
	options.Posts.Wait = time.Millisecond
	if change != nil {
		change(&options)
	}
	p := &postee{hub: hub, asked: make(chan *asked, 100)}
	p.bundle = &bundle{t: t}
	route := &Route{Handler: p, Posts: true}
	options.Route = func(*backline.Scope, bool) *Route { return route }
	p.bundle = start(t, options, p)
	return p
}

// next is the next POST.
func (p *postee) next(want string) *asked {
	p.t.Helper()
	select {
	case a := <-p.asked:
		if got := a.names(); got != want {
			p.t.Fatalf("the application is asked with %q, expected %q", got, want)
		}
		return a
	case <-time.After(patience):
		p.t.Fatalf("the application is not asked with %q", want)
		return nil
	}
}

const gripField = "Sec-WebSocket-Extensions: grip"

// opened is a socket that has been accepted.
func (p *postee) opened(fields string, events ...grip.Event) *caller {
	p.t.Helper()
	c := p.dial()
	c.say(upgrade + "\r\n")
	p.next("OPEN").reply(fields, append([]grip.Event{open}, events...)...)
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		p.t.Fatal(answer, err)
	}
	return c
}

func (p *postee) ended() {
	p.t.Helper()
	eventually(p.t, "the application knows", func() bool { return p.Talks() == 0 })
}

// TestPosts: the exchange, its fields, what comes meanwhile, both directions.
func TestPosts(t *testing.T) {
	t.Parallel()
	p := asking(t, nil)
	c := p.dial()
	c.say(upgrade + "Cookie: a=b\r\nGrip-Sig: forged\r\nMeta-User: forged\r\nConnection-Id: forged\r\nSec-WebSocket-Protocol: x, y\r\n\r\n")
	first := p.next("OPEN")
	f := first.fields
	for name, want := range map[string]string{
		"Cookie": "a=b", "Content-Type": grip.EventsType, "Accept": grip.EventsType, "Grip-Sig": "", "Meta-User": "", "Upgrade": "",
		"Sec-WebSocket-Key": "", "Sec-WebSocket-Extensions": "grip", "Sec-WebSocket-Protocol": "x, y", "Content-Length": "6",
	} {
		if got := strings.Join(f.Values(name), "|"); got != want {
			t.Errorf("%s is %q, expected %q", name, got, want)
		}
	}
	id := f.Get("Connection-Id")
	if len(f.Values("Connection-Id")) != 1 || len(id) < 20 {
		t.Error(f)
	}
	first.reply(gripField+"\nX-App: yes\nSet-Meta-User: 7\nSec-WebSocket-Protocol: y", open, text("m:hello"), text("n:nobody"))
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("X-App") != "yes" || answer.Header.Get("Sec-WebSocket-Protocol") != "y" ||
		answer.Header.Get("Set-Meta-User") != "" || answer.Header.Get("Content-Type") != "" {
		t.Fatal(answer, err)
	}
	if got := c.expectFrame(1); got != "hello" {
		t.Fatal(got)
	}
	c.say(frame(1, "one"))
	second := p.next("TEXT:one")
	if second.fields.Get("Connection-Id") != id || second.fields.Get("Meta-User") != "7" || second.fields.Get("Sec-WebSocket-Extensions") != "" {
		t.Error(second.fields)
	}
	c.say(frame(1, "two") + frame(2, "\x00\r\n") + frame(9, "ping") + frame(10, "pong"))
	second.reply("Set-Meta-User: ", text("m:1"), grip.Event{Type: "BINARY", Content: []byte("m:\x00")}, grip.Event{Type: "PING", Content: []byte("p")})
	if a, b, ping := c.expectFrame(1), c.expectFrame(2), c.expectFrame(9); a != "1" || b != "\x00" || ping != "p" {
		t.Fatal(a, b, ping)
	}
	got := ""
	for got != " TEXT:two BINARY:\x00\r\n PING:ping PONG:pong" {
		a := <-p.asked
		if got += " " + a.names(); a.fields.Get("Meta-User") != "" || len(got) > 100 {
			t.Fatalf("%q %v", got, a.fields)
		}
		if strings.Contains(a.names(), "PING") {
			a.reply("", grip.Event{Type: "PONG", Content: []byte("ping")})
		} else {
			a.reply("")
		}
	}
	if got := c.expectFrame(10); got != "ping" { // the application's, and no other one: the close frame is next
		t.Fatal(got)
	}
	c.say(frame(8, "\x0f\xa0bye"))
	c.expectClose(4000)
	p.next("CLOSE:\x0f\xa0bye").reply("")
	p.ended()
}

// TestPostsEnd: by the client without a word, without a code, and by the application.
func TestPostsEnd(t *testing.T) {
	t.Parallel()
	p := asking(t, nil)
	c := p.opened("")
	_ = c.Close()
	p.next("DISCONNECT").reply("")
	p.ended()
	c = p.opened("")
	c.say(frame(8, ""))
	p.next("CLOSE").reply("")
	p.ended()
	c = p.opened("")
	c.say(frame(1, "x"))
	p.next("TEXT:x").reply("", text("last"), grip.Event{Type: "CLOSE", Content: []byte("\x0f\xa1")}, text("too late"))
	if got := c.expectFrame(1); got != "last" {
		t.Fatal(got)
	}
	c.expectClose(4001)
	c.say(frame(8, "\x0f\xa1"))
	c.expectEnd()
	p.ended() // and is not told what it has said itself
	c = p.opened("", grip.Event{Type: "CLOSE", Content: []byte{0, 0}})
	if got := c.expectFrame(8); got != "" {
		t.Fatalf("%q", got)
	}
	c.say(frame(8, ""))
	c.expectEnd()
	c = p.opened("", grip.Event{Type: "DISCONNECT"})
	c.expectEnd()
	p.ended()
	c = p.dial()
	c.say(upgrade + "\r\n")
	first := p.next("OPEN")
	_ = c.Close()
	eventually(t, "the client has gone", func() bool { return p.Connections() == 0 })
	first.reply("", open)
	p.next("DISCONNECT").reply("")
	p.ended()
	if len(p.asked) != 0 {
		t.Error("asked once more")
	}
}

// TestPostsAreRefused: with the application's own answer, and by none that opens.
func TestPostsAreRefused(t *testing.T) {
	t.Parallel()
	p := asking(t, nil)
	for _, each := range []struct {
		reply  func(*asked)
		status int
		body   string
	}{
		{func(a *asked) { a.other(401, "log in", "Grip-Hold: response", "X-App: yes") }, 401, "log in"},
		{func(a *asked) { a.other(200, "<html>") }, 404, ""},
		{func(a *asked) { a.reply("") }, 403, ""},
		{func(a *asked) { a.reply("", text("hi"), open) }, 403, ""},
		{func(a *asked) { a.other(200, "HELLO\r\n", "Content-Type: "+grip.EventsType) }, 500, ""},
		{func(a *asked) { a.other(200, strings.Repeat("x", 1<<20+1), "Content-Type: "+grip.EventsType) }, 500, ""},
		{func(a *asked) { a.fail(dispatch.FailWorker) }, 502, ""},
	} {
		c := p.dial()
		c.say(upgrade + "\r\n")
		each.reply(p.next("OPEN"))
		answer, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != each.status || !strings.Contains(string(body), each.body) || answer.Header.Get("Grip-Hold") != "" {
			t.Errorf("%d %s, expected %d", answer.StatusCode, body, each.status)
		}
	}
	p.ended()
}

// TestPostsAreMadeAgain: what no worker could take, in order; not what a worker has begun, if it carries a message.
func TestPostsAreMadeAgain(t *testing.T) {
	t.Parallel()
	p := asking(t, func(o *Options) { o.Posts.Retries = 2 })
	c := p.opened("")
	c.say(frame(1, "a"))
	p.next("TEXT:a").fail(dispatch.FailRestart)
	p.next("TEXT:a").fail(dispatch.FailRestart)
	p.next("TEXT:a").reply("")
	c.say(frame(1, "b"))
	p.next("TEXT:b").fail(dispatch.FailWorker)
	c.say(frame(1, "c"))
	p.next("TEXT:c").reply("", text("still here"))
	if got := c.expectFrame(1); got != "still here" || p.LostMessages() != 1 {
		t.Fatal(got, p.LostMessages())
	}
	_ = c.Close()
	p.next("DISCONNECT").fail(dispatch.FailWorker)
	p.next("DISCONNECT").reply("")
	p.ended()

	c = p.opened("")
	c.say(frame(1, "a"))
	for range 3 {
		p.next("TEXT:a").fail(dispatch.FailRestart)
	}
	c.expectClose(dispatch.FailRestart.Close)
	p.ended()
	c = p.opened("")
	c.say(frame(1, "a"))
	p.next("TEXT:a").other(500, "oh")
	c.expectClose(1011)
	p.next("DISCONNECT").reply("")
	p.ended()
}

// TestPostsAcceptedInPart: the rest comes again, and its fields say how much of it.
func TestPostsAcceptedInPart(t *testing.T) {
	t.Parallel()
	p := asking(t, func(o *Options) { o.Posts.Retries = 2 })
	c := p.opened("")
	c.say(frame(1, "first"))
	p.next("TEXT:first").reply("Content-Bytes-Accepted: 3")
	again := p.next("TEXT:st")
	if again.fields.Get("Content-Bytes-Replayed") != "2" {
		t.Error(again.fields)
	}
	again.reply("Content-Bytes-Accepted: 2")
	c.say(frame(1, "second"))
	for range 3 {
		p.next("TEXT:second").reply("Content-Bytes-Accepted: 0")
	}
	c.expectClose(1011)
	p.ended()
}

// TestPostsControl: subscriptions, filters, what is sent later, bounds.
func TestPostsControl(t *testing.T) {
	t.Parallel()
	p := asking(t, func(o *Options) { o.Holds.Channels = 2 })
	c := p.opened(`Sec-WebSocket-Extensions: grip; message-prefix=""`, text(`c:{"type": "subscribe", "channel": "a"}`),
		text(`c:{"type": "subscribe", "channel": "b", "filters": ["skip-self", "var-subst"]}`), text(`c:{"type": "set-meta", "name": "user", "value": "u"}`),
		text(`c:{"type": "session", "id": "s"}`), text("m:as it is"))
	if got := c.expectFrame(1); got != "m:as it is" {
		t.Fatal(got)
	}
	publish := func(to, data string, meta map[string]string) {
		p.hub.Publish(to, &channel.Publication{Socket: &channel.SocketMessage{Data: []byte(data), Text: true}, Meta: meta})
	}
	publish("a", "%(user)s", nil)
	publish("b", "not for who said it", map[string]string{"sender": "u"})
	publish("b", "to %(user)s", map[string]string{"sender": "v"})
	for _, want := range []string{"%(user)s", "to u"} {
		if got := c.expectFrame(1); got != want {
			t.Fatalf("%q, expected %q", got, want)
		}
	}
	c.say(frame(1, "x"))
	p.next("TEXT:x").reply("", text(`c:{"type": "unsubscribe", "channel": "a"}`), text(`c:{"type": "send-delayed", "content": "late", "timeout": 3600}`), text("now"),
		text(`c:{"type": "flush-delayed"}`), text(`c:{"type": "flush-delayed"}`), text(`c:{"type": "detach"}`))
	for _, want := range []string{"now", "late"} {
		if got := c.expectFrame(1); got != want {
			t.Fatalf("%q, expected %q", got, want)
		}
	}
	publish("a", "no more", nil)
	c.say(strings.Repeat(frame(1, strings.Repeat("y", 60<<10)), 20)) // more than may wait: a detached application takes no room
	c.say(frame(9, "ping"))
	if got := c.expectFrame(10); got != "ping" {
		t.Fatal(got)
	}
	for control, frame := range map[string]byte{"ping": 9, "pong": 10} {
		p.hub.Publish("b", &channel.Publication{Socket: &channel.SocketMessage{Data: []byte("q"), Control: control}})
		if got := c.expectFrame(frame); got != "q" {
			t.Fatal(control, got)
		}
	}
	publish("b", "still", nil)
	if got := c.expectFrame(1); got != "still" {
		t.Fatal(got)
	}
	p.hub.Publish("b", &channel.Publication{Close: true})
	c.expectClose(1000)
	_ = c.Close()
	p.ended()

	many := make([]grip.Event, 3)
	for i := range many {
		many[i] = text(fmt.Sprintf(`c:{"type": "subscribe", "channel": "%d"}`, i))
	}
	p.opened(gripField, many...).expectClose(1011)
	p.next("DISCONNECT").reply("")
	p.opened(gripField, text("c:{")).expectClose(1011)
	p.next("DISCONNECT").reply("")
	c = p.opened("", text("c:no control without grip"))
	if got := c.expectFrame(1); got != "c:no control without grip" {
		t.Fatal(got)
	}
	_ = c.Close()
	p.next("DISCONNECT").reply("")
	p.ended()
}

// TestPostsInTime: what is sent later, what keeps a socket alive, and Keep-Alive-Interval.
func TestPostsInTime(t *testing.T) {
	t.Parallel()
	p := asking(t, nil)
	c := p.opened(gripField+"\nKeep-Alive-Interval: 20", text(`c:{"type": "send-delayed", "content": "late", "timeout": 0}`),
		text(`c:{"type": "keep-alive", "content": "beat", "timeout": 1, "mode": "interval"}`))
	got := []string{c.expectFrame(1), c.expectFrame(1), c.expectFrame(1)}
	slices.Sort(got)
	if !slices.Equal(got, []string{"beat", "beat", "late"}) {
		t.Fatal(got)
	}
	// Twenty seconds are too long for a test: the clock is moved.
	p.each(func(c *conn) {
		c.mu.Lock()
		if c.ws != nil && c.ws.posts != nil {
			if c.ws.posts.interval != int64(20*time.Second) {
				t.Error(c.ws.posts.interval)
			}
			c.ws.posts.asked -= int64(time.Minute)
			c.watcher.hurry(c)
		}
		c.mu.Unlock()
	})
	p.next("").reply("")
	_ = c.Close()
	p.next("DISCONNECT").reply("")
	p.ended()
}

// TestPostsAreTheEdgesOwn: what a client sends in their form is not taken for one.
func TestPostsAreTheEdgesOwn(t *testing.T) {
	t.Parallel()
	p := asking(t, nil)
	c := p.dial()
	c.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/websocket-events; x\r\nContent-Length: 6\r\nMeta-User: 7\r\n\r\nOPEN\r\n")
	a := p.next("OPEN")
	if a.fields.Get("Content-Type") != "" {
		t.Error(a.fields)
	}
	a.other(200, "fine")
	c.expect(200)
}

// TestPostsByWorkers: over the worker protocol, with a message that is longer than what goes with a request.
func TestPostsByWorkers(t *testing.T) {
	t.Parallel()
	hub := channel.New(channel.Options{})
	long := strings.Repeat("long", 50<<10)
	var route atomic.Pointer[Route]
	options := Options{Layer: hub, Holds: Holds{Hub: hub}, Route: func(*backline.Scope, bool) *Route { return route.Load() }}
	b := withWorker(t, "wsgi", options, dispatch.Options{QueueSize: 8}, func(w *worker, m dispatchtest.Message) {
		body := append([]byte{}, m.Data...)
		if m.More != wire.BodyWhole {
			for each := range w.stream(m.Stream) {
				body = append(body, each.Data...)
				if each.More == 0 {
					break
				}
			}
		}
		events, err := grip.ParseEvents(body, 1<<20)
		if err != nil {
			t.Error(err)
		}
		var out []byte
		for _, e := range events {
			switch e.Type {
			case "OPEN":
				out = grip.AppendEvent(out, e)
			case "TEXT":
				out = grip.AppendEvent(out, text(fmt.Sprintf("%x", sha256.Sum256(e.Content))))
			}
		}
		w.Send(dispatchtest.Tuple{wire.KindAnswer, m.Stream, 200, []dispatchtest.Tuple{{"content-type", grip.EventsType}}, out})
	})
	route.Store(&Route{Handler: b.only.Handler, Posts: true})
	c := b.dial()
	c.open("")
	c.say(frame(1, long) + frame(1, "short"))
	for _, each := range []string{long, "short"} {
		if got := c.expectFrame(1); got != fmt.Sprintf("%x", sha256.Sum256([]byte(each))) {
			t.Error(got)
		}
	}
	_ = c.Close()
	eventually(t, "the application knows", func() bool { return b.Talks() == 0 })
}
