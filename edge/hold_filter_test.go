package edge

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"backline"
	"backline/channel"
	"backline/dispatch"
	"backline/grip"
	"backline/wire"
)

// filtered is one question of a filter, as an application sees it.
type filtered struct {
	target, body string
	fields       http.Header
	reply        func(status int, body string, fields ...string)
	ex           *dispatch.Exchange
}

// filtering is an application of which everything but filters is answered by other, and that is asked by them.
func filtering(t *testing.T, kind string, change func(*Options), other func(ex *dispatch.Exchange)) (*bundle, *channel.Hub, chan *filtered) {
	t.Helper()
	options, hub := holding()
	if change != nil {
		change(&options)
	}
	if kind != "h1" {
		options = over(kind, options)
	}
	questions := make(chan *filtered, 1000)
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		if string(ex.Scope.Method) != "POST" {
			other(ex)
			return
		}
		questions <- questionOf(ex)
	}})
	return b, hub, questions
}

func questionOf(ex *dispatch.Exchange) *filtered {
	q := &filtered{target: string(ex.Scope.Target), body: string(ex.Body), fields: http.Header{}, ex: ex}
	for _, f := range ex.Scope.Fields {
		q.fields.Add(string(f.Name), string(f.Value))
	}
	q.reply = func(status int, body string, fields ...string) { say(ex, status, body, fields...) }
	return q
}

func ask(t *testing.T, questions chan *filtered) *filtered {
	t.Helper()
	select {
	case q := <-questions:
		return q
	case <-time.After(patience):
		t.Fatal("the application is not asked")
		return nil
	}
}

func filteredStream(filters, url string) []string {
	return []string{
		"Content-Type: text/plain", "Grip-Hold: stream", "Grip-Channel: room; filter=" + filters + "; prev-id=1, other",
		"Grip-Link: </next>; rel=next", `Grip-Set-Meta: user="ü7", url="` + url + `"`,
	}
}

func news(text, id, before string) *channel.Publication {
	return &channel.Publication{Stream: []byte(text), ID: id, PrevID: before, Meta: map[string]string{"sender": "me"}}
}

// TestFilteredStream: what is asked and what the answers mean; the order is kept, for other channels too.
func TestFilteredStream(t *testing.T) {
	t.Parallel()
	for _, kind := range append([]string{"h1"}, everyMultiplexed()...) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b, hub, questions := filtering(t, kind, nil, func(ex *dispatch.Exchange) {
				say(ex, 200, "open\n", filteredStream("http-modify", "filter?a=1")...)
			})
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, urlOf(b, kind, "/deep/stream"), nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Cookie", "secret=1")
			answer, err := b.oneOf(kind).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			r := bufio.NewReader(answer.Body)
			readUntil(t, r, "open\n")
			b.joined(1)
			hub.Publish("room", news("one\n", "2", "1"))
			q := ask(t, questions)
			for name, want := range map[string]string{
				"Sub-Meta": `{"url":"filter?a=1","user":"\u00fc7"}`, "Pub-Meta": `{"sender":"me"}`, "Grip-Last": "room; last-id=1", "Content-Length": "4",
				"Cookie": "", "Content-Type": "",
			} {
				if got := strings.Join(q.fields.Values(name), "|"); got != want {
					t.Errorf("%s is %q, expected %q", name, got, want)
				}
			}
			if q.target != "/deep/filter?a=1" || q.body != "one\n" || q.fields.Get("Host") == "" {
				t.Errorf("%s %q %v", q.target, q.body, q.fields)
			}
			hub.Publish("other", &channel.Publication{Stream: []byte("other\n")})
			hub.Publish("room", news("two\n", "3", "2"))
			hub.Publish("room", news("three\n", "4", "3"))
			hub.Publish("room", news("four\n", "5", "4"))
			q.reply(200, "ONE\n")
			readUntil(t, r, "ONE\nother\n")
			ask(t, questions).reply(204, "ignored")
			readUntil(t, r, "two\n")
			ask(t, questions).reply(200, "ignored", "action: drop")
			ask(t, questions).reply(200, "4\n")
			readUntil(t, r, "4\n")
			hub.Publish("room", &channel.Publication{Close: channel.FormsAll})
			if q = ask(t, questions); q.body != "" || q.fields.Get("Grip-Last") != "room; last-id=5" {
				t.Errorf("%q %v", q.body, q.fields)
			}
			q.reply(200, "")
			b.held(0)
		})
	}
}

// TestFilteredPoll: a check has no body and changes none, and one that says no leaves the client waiting.
func TestFilteredPoll(t *testing.T) {
	t.Parallel()
	ownURL := "http://X:80/f"
	if overTLS {
		ownURL = "https://X:443/f"
	}
	var asked atomic.Int64
	b, hub, questions := filtering(t, "h1", nil, func(ex *dispatch.Exchange) {
		if asked.Add(1) == 4 {
			say(ex, 200, "looked again")
			return
		}
		filter := string(ex.Scope.Path[1:])
		say(ex, 200, `{"a":1}`, "Grip-Hold: response", "Grip-Channel: room; filter="+filter, `Grip-Set-Meta: url="`+ownURL+`"`)
	})
	c := b.dial()
	c.say("GET /http-check HTTP/1.1\r\nHost: x\r\n\r\n")
	b.joined(1)
	hub.Publish("room", answerWith("first"))
	hub.Publish("room", answerWith("second"))
	q := ask(t, questions)
	if q.body != "" || q.fields.Get("Content-Length") != "0" || q.fields.Get("Grip-Last") != "" || q.target != "/f" {
		t.Errorf("%q %v", q.body, q.fields)
	}
	q.reply(200, "", "Action: drop")
	ask(t, questions).reply(200, "not this")
	if body, _ := c.expect(200); body != "second" {
		t.Errorf("%q", body)
	}
	c.say("GET /http-modify HTTP/1.1\r\nHost: x\r\n\r\n")
	b.joined(2)
	hub.Publish("room", &channel.Publication{Response: &channel.Response{
		Status: 201, Header: [][2]string{{"Content-Length", "5"}}, Body: []byte(`[{"op":"add","path":"/b","value":2}]`), Patches: true,
	}})
	if q = ask(t, questions); q.body != `{"a":1,"b":2}` {
		t.Errorf("asked with %q", q.body)
	}
	q.reply(200, "something longer")
	if body, _ := c.expect(201); body != "something longer" {
		t.Errorf("%q", body)
	}
	c.say("GET /http-check HTTP/1.1\r\nHost: x\r\n\r\n")
	b.joined(3)
	hub.Publish("room", &channel.Publication{Refresh: channel.FormsAll})
	ask(t, questions).reply(204, "")
	if body, _ := c.expect(200); body != "looked again" {
		t.Errorf("%q", body)
	}
	b.held(0)
}

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

// TestFilteredSession: a session has seen what filters have let through or kept back, and not what nobody could say.
func TestFilteredSession(t *testing.T) {
	t.Parallel()
	b, hub, questions := filtering(t, "h1", nil, func(ex *dispatch.Exchange) {
		say(ex, 200, "open\n", "Grip-Hold: stream", "Grip-Channel: room; filter=http-check", "Grip-Session-Id: s-1", `Grip-Set-Meta: url="/f"`)
	})
	c := b.dial()
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	r := c.begin(200)
	readUntil(t, r, "open\n")
	b.joined(1)
	seen := func() string {
		known := &b.holds.known
		known.mu.Lock()
		defer known.mu.Unlock()
		var ids []string
		for _, l := range sessionAt(known.byID["s-1"]).last {
			ids = append(ids, l.ID)
		}
		return strings.Join(ids, " ")
	}
	hub.Publish("room", news("2 ", "2", "1"))
	hub.Publish("room", news("3 ", "3", "2"))
	hub.Publish("room", news("4 ", "4", "3"))
	ask(t, questions).reply(200, "")
	readUntil(t, r, "2 ")
	q := ask(t, questions)
	if got := seen(); got != "2" {
		t.Errorf("while one is asked about it has seen %q", got)
	}
	q.reply(200, "", "Action: drop")
	q = ask(t, questions)
	if got := seen(); got != "3" {
		t.Errorf("of what was kept back it has seen %q", got)
	}
	q.reply(500, "")
	hub.Publish("room", &channel.Publication{Stream: []byte("end ")})
	ask(t, questions).reply(200, "")
	readUntil(t, r, "end ")
	if got := seen(); got != "3" {
		t.Errorf("of what nobody could say it has seen %q", got)
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

// TestStreamIsKeptAliveWhileItIsAsked and ends with the server, which waits for no answer.
func TestStreamIsKeptAliveWhileItIsAsked(t *testing.T) {
	t.Parallel()
	b, hub, questions := filtering(t, "h1", nil, func(ex *dispatch.Exchange) {
		say(ex, 200, "open\n", append(filteredStream("http-check", "/f"), `Grip-Keep-Alive: .; timeout=1`)...)
	})
	c := b.dial()
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	r := c.begin(200)
	readUntil(t, r, "open\n")
	b.joined(1)
	hub.Publish("room", news("one\n", "2", "1"))
	q := ask(t, questions)
	readUntil(t, r, "..")
	b.stop()
	b.held(0)
	<-b.ended
	q.reply(200, "")
}

// TestFilteredPollTimesOut with what its view gave, whatever is asked.
func TestFilteredPollTimesOut(t *testing.T) {
	t.Parallel()
	b, hub, questions := filtering(t, "h1", nil, func(ex *dispatch.Exchange) {
		say(ex, 200, "nothing", "Grip-Hold: response", "Grip-Timeout: 5", "Grip-Channel: room; filter=http-check", `Grip-Set-Meta: url="/f"`)
	})
	c := b.dial()
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	b.joined(1)
	hub.Publish("room", answerWith("news"))
	q := ask(t, questions)
	if body, _ := c.expect(200); body != "nothing" {
		t.Errorf("%q", body)
	}
	q.reply(200, "")
	b.held(0)
}

// BenchmarkDelivery is what a publication costs each of many who wait for it, with no filter that asks.
func BenchmarkDelivery(b *testing.B) {
	options, _ := holding()
	s := New(options, handler{})
	in := instructOf(b)
	p := news("one\n", "", "")
	h := s.holds.newHold(in, 0, 0, func() {})
	h.joined = true
	b.ReportAllocs()
	for b.Loop() {
		h.Deliver("room", p)
		if what, _, data := h.next(0); what != verdictSend || len(data) != 4 {
			b.Fatal(what, fmt.Sprintf("%q", data))
		}
	}
}

func instructOf(tb testing.TB) *grip.Instruct {
	tb.Helper()
	in, err := grip.Read(200, nil, []backline.Field{
		{Name: []byte("Grip-Hold"), Value: []byte("stream")}, {Name: []byte("Grip-Channel"), Value: []byte("room; filter=skip-self")},
	}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return in
}
