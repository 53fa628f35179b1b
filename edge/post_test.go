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

	questions chan *filtered // what filters ask
}

// Submit implements Handler.
func (p *postee) Submit(ex *dispatch.Exchange) {
	if string(ex.Scope.Path) == "/filter" {
		p.questions <- questionOf(ex)
		return
	}
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
	p := &postee{hub: hub, asked: make(chan *asked, 100), questions: make(chan *filtered, 1000)}
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
