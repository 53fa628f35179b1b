package channeltest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"backline/channel"
	"backline/wire"
)

func publish(l channel.Layer, group, text string) {
	l.Publish(group, &channel.Publication{Message: message(text)})
}

func groups(t *testing.T, c *cluster) {
	a, b, gone := c.process(0), c.process(1), c.process(2)
	for _, p := range []*Process{a, b, gone} {
		c.join("room", p, c.everywhere()...)
	}
	gone.layer.Leave("room", gone)
	gone.layer.Leave("room", gone)
	gone.layer.Leave("never", gone)
	for place := range c.n {
		text := fmt.Sprint("hello from ", place)
		publish(c.on(place), "room", text)
		for _, p := range []*Process{a, b} {
			await(t, p, "the publication", func() bool { return slices.Contains(p.all(), "room:"+text) })
		}
	}
	if a.count() != c.n || b.count() != c.n {
		t.Errorf("the members got %q and %q", a.all(), b.all())
	}
	// It left before what a has by now was published; where leaving travels, a moment later.
	before := gone.count()
	publish(c.on(2), "room", "last")
	await(t, a, "the last one", func() bool { return slices.Contains(a.all(), "room:last") })
	if gone.count() != before {
		t.Errorf("the one that left got %q", gone.all())
	}
}

// groupOrder: members get one sender's publications in order, and on one node all members all of them in one order.
func groupOrder(t *testing.T, c *cluster) {
	const senders, each = 4, 50
	a, b := c.process(0), c.process(1)
	c.join("room", a, c.everywhere()...)
	c.join("room", b, c.everywhere()...)
	for s := range senders {
		go func() {
			for i := range each {
				publish(c.nodes[s%len(c.nodes)], "room", fmt.Sprintf("%d %d", s, i))
			}
		}()
	}
	for _, p := range []*Process{a, b} {
		await(t, p, "all publications", func() bool { return p.count() == senders*each })
		inRow(t, p, senders, each)
	}
	if c.n == 1 && !slices.Equal(a.all(), b.all()) {
		t.Errorf("two members of one node got different orders:\n%q\n%q", a.all(), b.all())
	}
}

func groupsApart(t *testing.T, c *cluster) {
	a, b := c.process(0), c.process(1)
	c.join("room", a, c.everywhere()...)
	c.join("room2", b, c.everywhere()...)
	publish(c.on(0), "room", "1")
	publish(c.on(1), "room2", "2")
	publish(c.on(0), "nobody", "3")
	await(t, a, "its group's", a.has("room:1"))
	await(t, b, "its group's", b.has("room2:2"))
}

func twice(t *testing.T, c *cluster) {
	a := c.process(0)
	c.join("room", a, c.everywhere()...)
	c.join("room", a, c.everywhere()...)
	publish(c.on(1), "room", "1")
	await(t, a, "the publication, once", a.has("room:1"))
	a.layer.Leave("room", a)
	c.join("other", a, c.everywhere()...)
	publish(a.layer, "room", "2")
	publish(a.layer, "other", "3")
	await(t, a, "nothing of the group it left once", a.has("room:1", "other:3"))
}

func except(t *testing.T, c *cluster) {
	a, b := c.process(0), c.process(0)
	c.join("room", a, 0)
	c.join("room", b, 0)
	a.layer.Publish("room", &channel.Publication{Message: message("1"), Except: a})
	publish(a.layer, "room", "2")
	await(t, a, "what is not its own", a.has("room:2"))
	await(t, b, "both", b.has("room:1", "room:2"))
}

// slow: a member without room loses what it has no room for, and the others nothing.
func slow(t *testing.T, c *cluster) {
	a, b := c.process(0), c.process(0)
	c.join("room", a, c.everywhere()...)
	c.join("room", b, c.everywhere()...)
	a.full.Store(true)
	for i := range 10 {
		publish(c.on(0), "room", strconv.Itoa(i))
	}
	await(t, b, "everything", func() bool { return b.count() == 10 })
	a.full.Store(false)
	publish(c.on(0), "room", "10")
	await(t, a, "what it has room for again", a.has("room:10"))
}

func many(t *testing.T, c *cluster) {
	const n = 1000
	members := make([]*Process, n)
	for i := range members {
		members[i] = c.process(i)
		members[i].layer.Join("room", members[i])
	}
	for place := range c.n {
		c.settled("room", members[place], 0)
	}
	publish(c.on(0), "room", "1")
	for _, p := range members {
		await(t, p, "the publication", p.has("room:1"))
	}
	for _, p := range members[:n/2] {
		p.layer.Leave("room", p)
	}
	for _, p := range members[n/2 : 3*n/4] {
		p.layer.Detach(p.id)
	}
	publish(c.on(0), "room", "2")
	for i, p := range members[3*n/4:] {
		await(t, p, fmt.Sprint("the second publication at ", i), p.has("room:1", "room:2"))
	}
}

func enlisted(t *testing.T, c *cluster) {
	a := c.process(0)
	if err := outcome(t, func(done func(error)) { a.layer.Enlist("room", "thumbs", true, done) }); err != nil {
		t.Fatal(err)
	}
	a.layer.Read("thumbs", a, 1000)
	c.settled("room", a, 1)
	publish(c.on(1), "room", "1")
	await(t, a, "the group's message by its channel", a.has("thumbs:1"))
	for range 2 {
		if err := outcome(t, func(done func(error)) { a.layer.Enlist("room", "thumbs", false, done) }); err != nil {
			t.Fatal(err)
		}
	}
	publish(a.layer, "room", "2")
	if err := send(t, a.layer, "thumbs", message("3")); err != nil {
		t.Error(err)
	}
	await(t, a, "nothing of the group it left", a.has("thumbs:1", "thumbs:3"))
}

func enlistedExpire(t *testing.T, c *cluster) {
	c.with(channel.Options{GroupExpiry: time.Nanosecond})
	a := c.process(0)
	if err := outcome(t, func(done func(error)) { a.layer.Enlist("room", "thumbs", true, done) }); err != nil {
		t.Fatal(err)
	}
	a.layer.Read("thumbs", a, 2)
	publish(a.layer, "room", "1")
	if err := send(t, a.layer, "thumbs", message("2")); err != nil {
		t.Error(err)
	}
	await(t, a, "nothing of the group whose membership has expired", a.has("thumbs:2"))
}

func enlistedOwned(t *testing.T, c *cluster) {
	a := c.process(0)
	want := []string{a.owned() + " joins room", a.owned() + " leaves room"}
	for i := range want {
		await(t, a, want[i], func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			if slices.Contains(a.enlisted, want[i]) {
				return true
			}
			a.mu.Unlock()
			err := outcome(t, func(done func(error)) { c.on(1).Enlist("room", a.owned(), i == 0, done) })
			a.mu.Lock()
			if err != nil {
				t.Error(err)
			}
			return slices.Contains(a.enlisted, want[i])
		})
	}
	if err := outcome(t, func(done func(error)) { c.on(1).Enlist("room", "specific.nobody!x", true, done) }); err != nil {
		t.Errorf("a channel whose owner has gone: %v", err)
	}
}

func detach(t *testing.T, c *cluster) {
	a, b := c.process(0), c.process(0)
	c.join("room", a, 0)
	c.join("room", b, 0)
	a.layer.Read("thumbs", a, 10)
	a.layer.Detach(a.id)
	b.layer.Read("thumbs", b, 10)
	publish(b.layer, "room", "1")
	for _, name := range []string{"thumbs", a.owned()} {
		if err := send(t, b.layer, name, message("1")); err != nil {
			t.Error(err)
		}
	}
	await(t, b, "what the other one would have got", b.has("room:1", "thumbs:1"))
	if a.count() > 0 {
		t.Errorf("the one that has gone got %q", a.all())
	}
}

func detached(t *testing.T, c *cluster) {
	a, b := c.process(0), c.process(0)
	a.layer.Detach(a.id)
	a.layer.Join("room", a)
	a.layer.Read("thumbs", a, 1)
	c.join("room", b, 0)
	publish(b.layer, "room", "1")
	if err := send(t, b.layer, "thumbs", message("1")); err != nil {
		t.Error(err)
	}
	b.layer.Read("thumbs", b, 1)
	await(t, b, "everything", b.has("room:1", "thumbs:1"))
	if a.count() > 0 {
		t.Errorf("the one that had gone got %q", a.all())
	}
}

func codecs(t *testing.T, c *cluster) {
	a := c.process(0)
	c.join("room", a, c.everywhere()...)
	for i, codec := range []wire.Codec{wire.Marshal, wire.Msgpack} {
		text := fmt.Sprint("caf\u00e9 \U0001f600 \x00 ", i)
		m := messageOn(channel.Terms{}, codec, text)
		c.on(1).Publish("room", &channel.Publication{Message: m})
		await(t, a, "a message in "+codec.String(), func() bool { return slices.Contains(a.all(), "room:"+text) })
	}
}

func large(t *testing.T, c *cluster) {
	a := c.process(0)
	text := strings.Repeat("0123456789abcdef", 1<<16)
	c.join("room", a, c.everywhere()...)
	publish(c.on(1), "room", text)
	await(t, a, "a message of 1 MiB", func() bool { return a.count() == 1 })
	if got := a.all()[0]; got != "room:"+text {
		t.Errorf("a message of %d bytes arrived as %d", len(text), len(got))
	}
}

// names: a layer takes them as they are, whatever characters have a meaning for what it stands upon.
func names(t *testing.T, c *cluster) {
	a := c.process(0)
	for i, name := range []string{"a.b", "a.*", "a.>", "a b", "caf\u00e9", "a%20b", "*", strings.Repeat("x", 99)} {
		c.join(name, a, c.everywhere()...)
		publish(c.on(1), name, strconv.Itoa(i))
		want := fmt.Sprintf("%s:%d", name, i)
		await(t, a, "a publication to "+name, func() bool { return slices.Contains(a.all(), want) })
		if a.count() != i+1 {
			t.Fatalf("after %q it has %q", name, a.all())
		}
	}
}

func flush(t *testing.T, c *cluster) {
	a := c.process(0)
	c.join("room", a, 0)
	if err := send(t, a.layer, "thumbs", message("1")); err != nil {
		t.Error(err)
	}
	a.layer.Flush()
	await(t, a, "being told", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.flushed > 0
	})
	publish(a.layer, "room", "1")
	a.layer.Read("thumbs", a, 1)
	if err := send(t, a.layer, "thumbs", message("2")); err != nil {
		t.Error(err)
	}
	await(t, a, "nothing of before", a.has("thumbs:2"))
}
