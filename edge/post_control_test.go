package edge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"backline/channel"
	"backline/grip"
)

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
	p.hub.Publish("b", &channel.Publication{Close: channel.FormSocket})
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
