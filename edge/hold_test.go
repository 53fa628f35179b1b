package edge

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"backline"
	"backline/channel"
	"backline/dispatch"
	"backline/grip"
	"backline/wire"
)

// holding gives options of a server that holds answers, and its hub.
func holding() (Options, *channel.Hub) {
	hub := channel.New(channel.Options{})
	return Options{Holds: Holds{Hub: hub}}, hub
}

// say answers an exchange with these fields, "Name: value" each.
func say(ex *dispatch.Exchange, status int, body string, fields ...string) {
	m := &wire.Message{Kind: wire.KindAnswer, Status: status, Data: []byte(body)}
	for _, each := range fields {
		name, value, _ := strings.Cut(each, ": ")
		m.Fields = append(m.Fields, backline.Field{Name: []byte(name), Value: []byte(value)})
	}
	ex.Client.Answer(ex, m)
}

func holdFor(channel string) []string {
	return []string{"Content-Type: text/plain", "Grip-Hold: response", "Grip-Channel: " + channel}
}

// held waits until n answers are held.
func (b *bundle) held(n int) {
	b.t.Helper()
	eventually(b.t, fmt.Sprint(n, " answers are held"), func() bool { return b.holds.held.Load() == int64(n) })
}

// joined waits until so many have become members of their groups.
func (b *bundle) joined(n int) {
	b.t.Helper()
	eventually(b.t, fmt.Sprint(n, " have joined"), func() bool { return b.holds.joins.Load() >= int64(n) })
}

func answerWith(body string) *channel.Publication {
	return &channel.Publication{Response: &channel.Response{Status: 200, Header: [][2]string{{"X-From", "publish"}}, Body: []byte(body)}}
}

func TestLongPoll(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) { say(ex, 200, "nothing", holdFor("room")...) }, wsgi: true})
	c := b.dial()
	for round := range 3 {
		c.say("GET /poll HTTP/1.1\r\nHost: x\r\n\r\n")
		b.joined(round + 1)
		hub.Publish("elsewhere", answerWith("not this"))
		hub.Publish("room", &channel.Publication{Stream: []byte("nor this")})
		hub.Publish("room", answerWith(fmt.Sprint("news ", round)))
		answer, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		if string(body) != fmt.Sprint("news ", round) || answer.Header.Get("X-From") != "publish" || answer.Header.Get("Grip-Hold") != "" {
			t.Fatalf("%q %v", body, answer.Header)
		}
		b.held(0)
	}
	b.access.expect(t, "GET /poll 200 6 ", "GET /poll 200 6 ", "GET /poll 200 6 ")
}

func TestLongPollOverHTTP2And3(t *testing.T) {
	t.Parallel()
	for _, kind := range everyMultiplexed() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			options, hub := holding()
			b := start(t, over(kind, options), handler{answer: func(ex *dispatch.Exchange) { say(ex, 200, "nothing", holdFor("room")...) }})
			client := b.client(kind)
			const many = 50
			var group sync.WaitGroup
			for range many {
				group.Go(func() {
					answer, body := fetch(t, client, http.MethodGet, b.url(kind, "/poll"), nil)
					if body != "news" || answer.ProtoMajor < 2 {
						t.Errorf("%q by %s", body, answer.Proto)
					}
				})
			}
			b.joined(many)
			hub.Publish("room", answerWith("news"))
			group.Wait()
			b.held(0)
		})
	}
}

// A publication between the moment at which the application looks and that at which its answer is held is not missed.
func TestNothingIsMissedBetweenLookingAndWaiting(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		hub.Publish("room", answerWith("while it looked"))
		say(ex, 200, "nothing", holdFor("room")...)
	}, wsgi: true})
	c := b.dial()
	for range 3 {
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		// The first time the hub may not remember: then the client is told to ask again, and not let wait.
		if body, _ := c.expect(200); body != "while it looked" && body != "nothing" {
			t.Fatalf("%q", body)
		}
	}
	if body := c.get("/"); body != "while it looked" {
		t.Errorf("%q", body)
	}
}

func TestTheClientThatLeavesIsForgotten(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) { say(ex, 200, "nothing", holdFor("room")...) }, wsgi: true})
	c := b.dial()
	c.say("GET /gone HTTP/1.1\r\nHost: x\r\n\r\n")
	b.held(1)
	_ = c.Close()
	b.held(0)
	hub.Publish("room", answerWith("to nobody"))
	b.access.expect(t, "GET /gone 0 0 client")
}

func TestWhatIsNotHeld(t *testing.T) {
	t.Parallel()
	options, _ := holding()
	options.Holds.Channels, options.Holds.Body, options.Holds.Most = 2, 10, 1
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		switch string(ex.Scope.Path) {
		case "/wrong":
			say(ex, 200, "", "Grip-Hold: for ever")
		case "/unlinked":
			say(ex, 200, "", "Grip-Hold: stream", "Grip-Channel: a; prev-id=1")
		case "/channels":
			say(ex, 200, "", holdFor("a, b, c")...)
		case "/body":
			say(ex, 200, "much too long", holdFor("a")...)
		case "/status":
			say(ex, 200, "x", "Grip-Status: 404 Not here", "Backline-Cursor: 5")
		default:
			say(ex, 200, "held", holdFor("a")...)
		}
	}, wsgi: true})
	c := b.dial()
	for path, status := range map[string]int{"/wrong": 500, "/unlinked": 500, "/channels": 500, "/body": 500, "/status": 404} {
		c.say("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		if body, _ := c.expect(status); strings.Contains(body, "Grip") {
			t.Errorf("%s: %q", path, body)
		}
	}
	waits := b.dial()
	waits.say("GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
	b.held(1)
	c.say("GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
	c.expect(503)
	c.say("HEAD /held HTTP/1.1\r\nHost: x\r\n\r\n")
	if answer, err := http.ReadResponse(c.in, &http.Request{Method: http.MethodHead}); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %v %v", answer, err)
	}
	b.stop() // who waits is answered when the server stops
	if body, _ := waits.expect(200); body != "held" {
		t.Errorf("at the end %q", body)
	}
}

// What a client says in the server's place is not passed on, and the server says it itself where it is asked to.
func TestClientsCannotSayIt(t *testing.T) {
	t.Parallel()
	options, _ := holding()
	key := grip.Key{Issuer: "backline", Secret: []byte("secret")}
	seen := make(chan []string, 1)
	h := handler{answer: func(ex *dispatch.Exchange) {
		var all []string
		for _, f := range ex.Scope.Fields {
			all = append(all, string(f.Name)+": "+string(f.Value))
		}
		seen <- all
		say(ex, 200, "")
	}, wsgi: true}
	request := "GET / HTTP/1.1\r\nHost: x\r\ngrip-sig: forged\r\nGrape: 1\r\nGrip-Last: a; last-id=1\r\n\r\n"
	c := start(t, options, h).dial()
	c.say(request)
	c.expect(200)
	if got := strings.Join(<-seen, ", "); got != "Host: x, Grape: 1" {
		t.Errorf("without a key: %s", got)
	}
	options.Holds.Sign = key.Sign
	c = start(t, options, h).dial()
	c.say(request)
	c.expect(200)
	got := <-seen
	if len(got) != 4 || !key.Verify(strings.TrimPrefix(got[2], "Grip-Sig: "), time.Now()) || !strings.HasPrefix(got[3], "Grip-Feature: status, ") {
		t.Errorf("with a key: %q", got)
	}
}

// events reads a chunked answer piece by piece.
func (c *caller) begin(status int) *bufio.Reader {
	c.t.Helper()
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil || answer.StatusCode != status {
		c.t.Fatalf("%v %v", answer, err)
	}
	return bufio.NewReader(answer.Body)
}

func readUntil(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("%q %v, expected %q", got, err, want)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		say(ex, 200, "open\n", "Content-Type: text/event-stream", "Content-Length: 5", "Grip-Hold: stream",
			"Grip-Channel: room; filter=skip-self; prev-id=3, other", "Grip-Link: </next>; rel=next", `Grip-Set-Meta: user="7"`)
	}, wsgi: true})
	c := b.dial()
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	r := c.begin(200)
	readUntil(t, r, "open\n")
	b.joined(1)
	hub.Publish("room", &channel.Publication{Stream: []byte("seen\n"), ID: "3"})
	hub.Publish("room", &channel.Publication{Stream: []byte("one\n"), ID: "4", PrevID: "3"})
	hub.Publish("room", &channel.Publication{Stream: []byte("one\n"), ID: "4", PrevID: "3"})
	hub.Publish("room", &channel.Publication{Stream: []byte("mine\n"), Meta: map[string]string{"sender": "7"}})
	hub.Publish("other", &channel.Publication{Stream: []byte("two\n")})
	readUntil(t, r, "one\ntwo\n")
	hub.Publish("room", &channel.Publication{Close: channel.FormsAll})
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("at the end %q %v", rest, err)
	}
	b.held(0)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n") // the connection is as before
	readUntil(t, c.begin(200), "open\n")
}

// The edge asks for what has been missed, and for the next page, by itself.
func TestLinks(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	gone := make(chan string, 1)
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		var last []string
		for _, f := range ex.Scope.Fields {
			if string(f.Name) == "Grip-Last" {
				last = append(last, string(f.Value))
			}
		}
		switch string(ex.Scope.Target) {
		case "/a/first":
			say(ex, 200, "1 ", "Grip-Link: <second?x=1>; rel=next")
		case "/a/second?x=1":
			say(ex, 200, "2 ", "Grip-Hold: stream", "Grip-Channel: room; prev-id=7", "Grip-Link: </recover>; rel=next, </gone>; rel=gone")
		case "/recover":
			say(ex, 200, "recovered("+strings.Join(last, ",")+") ", "Grip-Hold: stream", "Grip-Channel: room; prev-id=10")
		default:
			gone <- string(ex.Scope.Target)
			say(ex, 200, "")
		}
	}, wsgi: true})
	c := b.dial()
	c.say("GET /a/first HTTP/1.1\r\nHost: x\r\n\r\n")
	r := c.begin(200)
	readUntil(t, r, "1 2 ")
	b.joined(1)
	hub.Publish("room", &channel.Publication{Stream: []byte("8 "), ID: "8", PrevID: "7"})
	hub.Publish("room", &channel.Publication{Stream: []byte("10 "), ID: "10", PrevID: "9"})
	readUntil(t, r, "8 recovered(room; last-id=8) ")
	hub.Publish("room", &channel.Publication{Stream: []byte("11 "), ID: "11", PrevID: "10"})
	readUntil(t, r, "11 ")
	_ = c.Close()
	if got := <-gone; got != "/gone" {
		t.Errorf("asked for %s", got)
	}
}

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	options, _ := holding()
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		say(ex, 200, "", "Grip-Hold: stream", "Grip-Channel: room", `Grip-Keep-Alive: .\n; format=cstring; timeout=1`)
	}, wsgi: true})
	c := b.dial()
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	readUntil(t, c.begin(200), ".\n.\n")
}

// A client that takes nothing loses its stream, and costs neither the publisher nor others anything.
func TestStreamThatNobodyTakes(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	options.Holds.Backlog = 4
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		say(ex, 200, "", "Grip-Hold: stream", "Grip-Channel: room")
	}, wsgi: true})
	slow, quick := b.dial(), b.dial()
	for _, c := range []*caller{slow, quick} {
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	r := quick.begin(200)
	b.joined(2)
	piece := strings.Repeat("x", 1<<16)
	for range 200 { // more than the socket's buffers, and the server's for it, take
		hub.Publish("room", &channel.Publication{Stream: []byte(piece)})
		readUntil(t, r, piece)
	}
	// It ends, so that its client comes back, and has not got everything.
	if n, err := io.Copy(io.Discard, slow.begin(200)); err != nil || n >= 200<<16 {
		t.Errorf("the slow one got %d bytes, %v", n, err)
	}
	b.held(1)
}

// What every request and its answer cost where nothing is held.
func BenchmarkNothingIsHeld(b *testing.B) {
	options, _ := holding()
	s := New(options, handler{})
	ex := s.exchanges.New()
	for _, name := range []string{
		"Host", "User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Cookie", "Referer", "Connection", "Sec-Fetch-Mode", "Cache-Control",
	} {
		ex.Scope.Fields = append(ex.Scope.Fields, backline.Field{Name: []byte(name), Value: []byte("value")})
	}
	m := &wire.Message{Fields: []backline.Field{
		{Name: []byte("Content-Type"), Value: []byte("text/html; charset=utf-8")}, {Name: []byte("Content-Length"), Value: []byte("5")},
		{Name: []byte("Vary"), Value: []byte("Cookie")}, {Name: []byte("X-Frame-Options"), Value: []byte("DENY")},
	}}
	a := &outgoing{}
	b.ReportAllocs()
	for b.Loop() {
		s.mark(ex, a)
		if s.instructs(a, m) {
			b.Fatal("it is")
		}
	}
}

func TestStreamOverHTTP2And3(t *testing.T) {
	t.Parallel()
	for _, kind := range everyMultiplexed() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			options, hub := holding()
			b := start(t, over(kind, options), handler{answer: func(ex *dispatch.Exchange) {
				if string(ex.Scope.Path) == "/next" {
					say(ex, 200, "next\n", "Grip-Hold: stream", "Grip-Channel: room")
					return
				}
				say(ex, 200, "open\n", "Grip-Link: </next>; rel=next")
			}})
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url(kind, "/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := b.client(kind).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			r := bufio.NewReader(answer.Body)
			readUntil(t, r, "open\nnext\n")
			b.joined(1)
			hub.Publish("room", &channel.Publication{Stream: []byte("news\n")})
			readUntil(t, r, "news\n")
			hub.Publish("room", &channel.Publication{Close: channel.FormsAll})
			if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
				t.Errorf("at the end %q %v", rest, err)
			}
			b.held(0)
		})
	}
}
