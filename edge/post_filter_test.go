package edge

import (
	"strings"
	"testing"

	"backline/channel"
)

// filteredSocket gives an opened socket whose channel "room" has filters, and which is in "other" too.
func filteredSocket(t *testing.T, filters string, change func(*Options)) (*postee, *caller) {
	t.Helper()
	p := asking(t, change)
	c := p.opened(gripField, text(`c:{"type":"set-meta","name":"url","value":"/filter"}`), text(`c:{"type":"set-meta","name":"user","value":"7"}`),
		text(`c:{"type":"subscribe","channel":"room","filters":`+filters+`}`), text(`c:{"type":"subscribe","channel":"other"}`), text("m:ready"))
	if got := c.expectFrame(1); got != "ready" {
		t.Fatal(got)
	}
	return p, c
}

func toSockets(data string) *channel.Publication {
	return &channel.Publication{
		Socket: &channel.SocketMessage{Data: []byte(data), Text: true}, Meta: map[string]string{"from": data[:min(len(data), 10)]},
	}
}

// TestFilteredSocket: what is asked, what the answers mean, in order, with a filter in front and one behind.
func TestFilteredSocket(t *testing.T) {
	t.Parallel()
	p, c := filteredSocket(t, `["skip-self","http-modify","var-subst"]`, nil)
	p.hub.Publish("other", toSockets("at once"))
	if got := c.expectFrame(1); got != "at once" {
		t.Fatal(got)
	}
	mine := toSockets("mine")
	mine.Meta["sender"] = "7"
	p.hub.Publish("room", mine)
	p.hub.Publish("room", toSockets("one"))
	p.hub.Publish("other", toSockets("other"))
	p.hub.Publish("room", toSockets("two"))
	p.hub.Publish("room", toSockets("three"))
	p.hub.Publish("room", toSockets("four"))
	p.hub.Publish("room", &channel.Publication{Socket: &channel.SocketMessage{Data: []byte("p"), Control: "ping"}})
	q := ask(t, p.questions)
	if q.target != "/filter" || q.body != "one" || q.fields.Get("Host") == "" || q.fields.Get("Content-Type") != "" ||
		q.fields.Get("Sub-Meta") != `{"url":"/filter","user":"7"}` || q.fields.Get("Pub-Meta") != `{"from":"one"}` {
		t.Errorf("%s %q %v", q.target, q.body, q.fields)
	}
	q.reply(200, "1 for %(user)s")
	if a, b := c.expectFrame(1), c.expectFrame(1); a != "1 for 7" || b != "other" {
		t.Fatal(a, b)
	}
	ask(t, p.questions).reply(200, "", "Action: drop")
	ask(t, p.questions).reply(200, "\xff")
	ask(t, p.questions).reply(204, "")
	if got := c.expectFrame(1); got != "four" {
		t.Fatal(got)
	}
	ask(t, p.questions).reply(200, "pinged")
	if got := c.expectFrame(9); got != "pinged" {
		t.Fatal(got)
	}
	p.hub.Publish("room", &channel.Publication{Close: channel.FormSocket})
	p.hub.Publish("room", toSockets("too late"))
	ask(t, p.questions).reply(500, "")
	if got := ask(t, p.questions); got.body != "too late" {
		t.Fatal(got.body)
	} else {
		got.reply(200, "is not closed")
	}
	if got := c.expectFrame(1); got != "is not closed" {
		t.Fatal(got)
	}
	p.hub.Publish("room", &channel.Publication{Close: channel.FormSocket})
	ask(t, p.questions).reply(200, "")
	c.expectClose(1000)
	if len(p.questions) > 0 {
		t.Error("asked once more")
	}
	_ = c.Close()
	p.next("DISCONNECT").reply("")
	p.ended()
}

// TestFilteredSocketThatIsSlow: what has come through filters waits until its client takes it, and what waits for filters
// is bounded; what is lost then is counted.
func TestFilteredSocketThatIsSlow(t *testing.T) {
	t.Parallel()
	const backlog = 3
	p, c := filteredSocket(t, `["http-check"]`, func(o *Options) { o.Holds.Backlog = backlog })
	// sifting tells whether something is asked about, or waits for that, or for the client.
	sifting := func() (busy, full bool) {
		p.each(func(c *conn) {
			c.mu.Lock()
			defer c.mu.Unlock()
			s := c.ws.posts.sieve
			busy, full = s.passage != nil || len(s.waiting) > 0, s.full
		})
		return busy, full
	}
	big, sent, full := strings.Repeat("y", 1<<16), 0, false
	for !full && sent < 1000 { // more than the socket's buffers take, and what may wait for them
		p.hub.Publish("room", toSockets(big))
		sent++
		ask(t, p.questions).reply(200, "")
		eventually(t, "it is through", func() (done bool) {
			busy, is := sifting()
			full = is
			return !busy || full
		})
	}
	for range backlog + 2 {
		p.hub.Publish("room", toSockets("last"))
	}
	if drops := p.hub.Drops(); len(drops) != 1 || drops[0].Count != 2 {
		t.Errorf("full after %d: %v", sent, drops)
	}
	for range sent {
		if got := c.expectFrame(1); got != big {
			t.Fatalf("%.40q", got)
		}
	}
	for range backlog {
		ask(t, p.questions).reply(200, "")
		if got := c.expectFrame(1); got != "last" {
			t.Fatalf("%.40q", got)
		}
	}
	if busy, full := sifting(); busy || full || len(p.questions) > 0 {
		t.Error(busy, full)
	}
	_ = c.Close()
	p.next("DISCONNECT").reply("")
	p.ended()
}

// TestFilteredSocketThatLeaves: nobody is asked for it any more, and what is answered goes nowhere.
func TestFilteredSocketThatLeaves(t *testing.T) {
	t.Parallel()
	p, c := filteredSocket(t, `["http-check"]`, nil)
	p.hub.Publish("room", toSockets("one"))
	p.hub.Publish("room", toSockets("two"))
	q := ask(t, p.questions)
	_ = c.Close()
	p.next("DISCONNECT").reply("")
	p.ended()
	q.reply(200, "")
	again := p.opened(gripField, text(`c:{"type":"subscribe","channel":"room"}`), text("m:ready"))
	if got := again.expectFrame(1); got != "ready" {
		t.Fatal(got)
	}
	p.hub.Publish("room", toSockets("three"))
	if got := again.expectFrame(1); got != "three" || len(p.questions) > 0 {
		t.Error(got, len(p.questions))
	}
	_ = again.Close()
	p.next("DISCONNECT").reply("")
	p.ended()
}
