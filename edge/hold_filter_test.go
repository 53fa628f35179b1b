package edge

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"backline"
	"backline/channel"
	"backline/dispatch"
	"backline/grip"
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
