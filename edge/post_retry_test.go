package edge

import (
	"testing"

	"backline/dispatch"
)

// TestRetries: a POST is made again when its time has come, once.
func TestRetries(t *testing.T) {
	t.Parallel()
	var r retries
	first, second, third := &posts{}, &posts{}, &posts{}
	r.add(first, 20)
	r.add(second, 10)
	r.add(third, 20)
	steps := []struct {
		now  int64
		want []*posts
	}{{9, nil}, {10, []*posts{second}}, {19, nil}, {21, []*posts{first, third}}, {100, nil}}
	for _, step := range steps {
		got := r.take(step.now)
		if len(got) != len(step.want) {
			t.Fatalf("at %d %d are due, expected %d", step.now, len(got), len(step.want))
		}
		for i := range got {
			if got[i].posts != step.want[i] {
				t.Errorf("at %d another one is due in place %d", step.now, i)
			}
		}
	}
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
