package edge

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"backline/channel"
	"backline/dispatch"
	"backline/wire"
)

// TestFiltersFail: each in its own way; the publication is left out, and the next one shows a stream with a link that
// one is missing.
func TestFiltersFail(t *testing.T) {
	t.Parallel()
	otherScheme := "https://x/f"
	if overTLS {
		otherScheme = "http://x/f"
	}
	for name, each := range map[string]struct {
		url, why string
		reply    func(q *filtered)
	}{
		"status":   {"/f", "answered with 500", func(q *filtered) { q.reply(500, "") }},
		"redirect": {"/f", "answered with 302", func(q *filtered) { q.reply(302, "", "Location: /g") }},
		"no worker": {"/f", "not answered: " + dispatch.FailRestart.Name, func(q *filtered) {
			q.ex.Client.Fail(q.ex, dispatch.FailRestart)
		}},
		"too long": {"/f", "filter_reply", func(q *filtered) { q.reply(200, strings.Repeat("x", 101)) }},
		"too long in pieces": {"/f", "filter_reply", func(q *filtered) {
			c := q.ex.Client
			c.Answer(q.ex, &wire.Message{Kind: wire.KindStart, Status: 200, Data: bytes.Repeat([]byte("x"), 60)})
			c.Data(q.ex, bytes.Repeat([]byte("x"), 60))
			c.End(q.ex)
		}},
		"file":        {"/f", "a file", func(q *filtered) { q.ex.Client.Answer(q.ex, &wire.Message{Kind: wire.KindFile, Status: 200}) }},
		"late":        {"/f", "filter_timeout", func(*filtered) {}},
		"no URL":      {"", "has no URL", nil},
		"other host":  {"http://169.254.169.254/latest", "another server", nil},
		"other port":  {"http://x:81/f", "another server", nil},
		"scheme":      {otherScheme, "another server", nil},
		"name":        {"http://u@x/f", "another server", nil},
		"half a URL":  {"//elsewhere/f", "another server", nil},
		"no address":  {"file:/etc/passwd", "another server", nil},
		"opaque":      {"mailto:x", "another server", nil},
		"two lines":   {"/f\tg", "cannot be read", nil},
		"no request":  {"/f?a b", "makes no request", nil},
		"much of it":  {"/" + strings.Repeat("f", 60<<10), "makes no request", nil},
		"percentages": {"/%zz", "cannot be read", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &logged{}
			b, hub, questions := filtering(t, "h1", func(o *Options) {
				o.Log, o.Holds.Filters.Reply, o.Holds.Filters.Timeout = logTo(log), 100, time.Second
			}, func(ex *dispatch.Exchange) {
				if string(ex.Scope.Path) == "/next" {
					last := ""
					for _, f := range ex.Scope.Fields {
						if string(f.Name) == "Grip-Last" {
							last = string(f.Value)
						}
					}
					say(ex, 200, "caught up after "+last+"\n", "Grip-Hold: stream", "Grip-Channel: room; prev-id=3")
					return
				}
				say(ex, 200, "open\n", filteredStream("http-modify", each.url)...)
			})
			c := b.dial()
			c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			r := c.begin(200)
			readUntil(t, r, "open\n")
			b.joined(1)
			hub.Publish("room", news("one\n", "2", "1"))
			if each.reply != nil {
				each.reply(ask(t, questions))
			}
			eventually(t, "it is logged", func() bool { return strings.Contains(log.text(), each.why) })
			hub.Publish("other", &channel.Publication{Stream: []byte("other\n")})
			readUntil(t, r, "other\n")
			hub.Publish("room", news("two\n", "3", "2"))
			readUntil(t, r, "caught up after room; last-id=1\n")
			if len(questions) > 0 {
				t.Error("the application was asked")
			}
		})
	}
}

type logged struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// TestFiltersInTurn: no more are asked at a time than may be, nobody without a filter waits for them, and those who have
// gone are not asked about.
func TestFiltersInTurn(t *testing.T) {
	t.Parallel()
	b, hub, questions := filtering(t, "h1", func(o *Options) { o.Holds.Filters.Requests = 2 }, func(ex *dispatch.Exchange) {
		if string(ex.Scope.Path) == "/plain" {
			say(ex, 200, "nothing", holdFor("room")...)
			return
		}
		say(ex, 200, "nothing", "Grip-Hold: response", "Grip-Channel: room; filter=http-check", `Grip-Set-Meta: url="/f"`)
	})
	var callers []*caller
	for i := range 6 {
		path := "/filtered"
		if i == 5 {
			path = "/plain"
		}
		c := b.dial()
		c.say("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		b.joined(i + 1)
		callers = append(callers, c)
	}
	hub.Publish("room", answerWith("news"))
	if body, _ := callers[5].expect(200); body != "news" {
		t.Error(body)
	}
	first, second := ask(t, questions), ask(t, questions)
	b.held(5)
	waiting := func() int {
		f := &b.holds.filters
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.waiting.Len()
	}
	eventually(t, "three wait", func() bool { return waiting() == 3 })
	if len(questions) > 0 {
		t.Error("a third one is asked")
	}
	answered := make(chan int, 5)
	for i, c := range callers[:5] {
		go func() {
			if answer, err := http.ReadResponse(c.in, nil); err == nil && answer.StatusCode == http.StatusOK {
				answered <- i
			}
		}()
	}
	first.reply(200, "")
	<-answered
	third := ask(t, questions)
	second.reply(200, "")
	<-answered
	ask(t, questions).reply(200, "")
	<-answered
	third.reply(200, "")
	<-answered
	ask(t, questions).reply(200, "")
	<-answered
	b.held(0)

	for i := range 3 {
		c := b.dial()
		c.say("GET /filtered HTTP/1.1\r\nHost: x\r\n\r\n")
		b.joined(7 + i)
		callers[i] = c
	}
	hub.Publish("room", answerWith("news"))
	one, two := ask(t, questions), ask(t, questions)
	eventually(t, "one waits", func() bool { return waiting() == 1 })
	for _, c := range callers[:3] {
		_ = c.Close()
	}
	b.held(0)
	if n := waiting(); n != 0 {
		t.Errorf("%d wait for nobody", n)
	}
	one.reply(200, "")
	two.reply(200, "")
	if len(questions) > 0 {
		t.Error("asked for nobody")
	}
}
