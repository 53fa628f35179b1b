package channeltest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"backline/channel"
	"backline/wire"
)

func owners(t *testing.T, c *cluster) {
	a, b := c.process(0), c.process(1)
	for place := range c.n {
		for _, p := range []*Process{a, b} {
			text := fmt.Sprintf("%s from %d", p.id, place)
			// Where the owner's place has yet to become known, a message may be lost: at most once.
			want := p.owned() + ":" + text
			await(t, p, "a message for the owner", func() bool {
				if slices.Contains(p.all(), want) {
					return true
				}
				if err := send(t, c.on(place), p.owned(), message(text)); err != nil {
					t.Error(err)
				}
				return slices.Contains(p.all(), want)
			})
		}
	}
	for _, each := range a.all() {
		if !strings.HasPrefix(each, "specific."+a.id+"!x:") {
			t.Errorf("a got %q", each)
		}
	}
	if err := send(t, c.on(0), "specific.nobody!x", message("lost")); err != nil {
		t.Errorf("a channel whose owner has gone: %v; messages are lost without an error", err)
	}
}

func ids(t *testing.T, c *cluster) {
	a := c.process(0)
	if err := c.on(0).Attach(a.id, &Process{}); !errors.Is(err, channel.ErrTaken) {
		t.Errorf("an id that is taken: %v", err)
	}
	if err := c.on(0).Attach("another", a); !errors.Is(err, channel.ErrTaken) {
		t.Errorf("a process that has an id: %v", err)
	}
	c.on(0).Detach(a.id)
	c.on(0).Detach(a.id)
	if err := c.on(0).Attach(a.id, a); err != nil {
		t.Errorf("an id that is free again: %v", err)
	}
}

func oneReader(t *testing.T, c *cluster) {
	a, b := c.process(0), c.process(1)
	a.layer.Read("thumbs", a, 100)
	b.layer.Read("thumbs", b, 100)
	for i := range 20 {
		if err := send(t, c.on(i), "thumbs", message(strconv.Itoa(i))); err != nil {
			t.Error(err)
		}
	}
	await(t, a, "every message at one reader", func() bool { return a.count()+b.count() >= 20 })
	all := append(a.all(), b.all()...)
	slices.Sort(all)
	if got := slices.Compact(slices.Clone(all)); len(got) != 20 || len(all) != 20 {
		t.Errorf("the readers got %q", all)
	}
}

func messagesWait(t *testing.T, c *cluster) {
	a := c.process(0)
	for _, text := range []string{"1", "2", "3"} {
		if err := send(t, a.layer, "thumbs", message(text)); err != nil {
			t.Error(err)
		}
	}
	a.layer.Read("thumbs", a, 2)
	await(t, a, "what waited", a.has("thumbs:1", "thumbs:2"))
	a.layer.Read("thumbs", a, 1)
	await(t, a, "what waited behind it", a.has("thumbs:1", "thumbs:2", "thumbs:3"))
}

func messagesExpire(t *testing.T, c *cluster) {
	c.with(channel.Options{Expiry: time.Hour})
	a := c.process(0)
	for _, m := range []*channel.Message{
		messageOn(channel.Terms{Expiry: time.Nanosecond}, wire.Marshal, "early"), message("late"),
		messageOn(channel.Terms{Expiry: time.Nanosecond}, wire.Marshal, "early"),
	} {
		if err := send(t, a.layer, "thumbs", m); err != nil {
			t.Error(err)
		}
	}
	a.layer.Read("thumbs", a, 3)
	if err := send(t, a.layer, "thumbs", message("new")); err != nil {
		t.Error(err)
	}
	await(t, a, "what has not expired", a.has("thumbs:late", "thumbs:new"))
}

func givenBack(t *testing.T, c *cluster) {
	a, b := c.process(0), c.process(0)
	a.layer.Read("thumbs", a, 1)
	for _, text := range []string{"1", "2"} {
		if err := send(t, a.layer, "thumbs", message(text)); err != nil {
			t.Error(err)
		}
	}
	await(t, a, "a message", a.has("thumbs:1"))
	a.layer.GiveBack("thumbs", a.last())
	a.layer.Detach(a.id)
	b.layer.Read("thumbs", b, 2)
	await(t, b, "what was given back, before all else", b.has("thumbs:1", "thumbs:2"))
}

func turns(t *testing.T, c *cluster) {
	readers := []*Process{c.process(0), c.process(0), c.process(0)}
	for _, p := range readers {
		p.layer.Read("thumbs", p, 100)
	}
	for i := range 30 {
		if err := send(t, c.on(0), "thumbs", message(strconv.Itoa(i))); err != nil {
			t.Error(err)
		}
	}
	for _, p := range readers {
		await(t, p, "a third of the messages", func() bool { return p.count() == 10 })
	}
}

func roomBack(t *testing.T, c *cluster) {
	a, b := c.process(0), c.process(0)
	a.layer.Read("thumbs", a, 2)
	a.layer.Read("thumbs", a, -1)
	for _, text := range []string{"1", "2"} {
		if err := send(t, a.layer, "thumbs", message(text)); err != nil {
			t.Error(err)
		}
	}
	b.layer.Read("thumbs", b, 1)
	await(t, b, "what the other had no room for", b.has("thumbs:2"))
	await(t, a, "what it had room for", a.has("thumbs:1"))
}

func capacity(t *testing.T, c *cluster) {
	c.with(channel.Options{Capacity: 3})
	for i := range 4 {
		err := send(t, c.on(0), "thumbs", message("1"))
		full, isFull := errors.AsType[*channel.FullError](err)
		if isFull != (i == 3) || isFull && full.Capacity != 3 {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if err := send(t, c.on(0), "other", message("1")); err != nil {
		t.Errorf("another channel: %v", err)
	}
}

func capacityOfSender(t *testing.T, c *cluster) {
	for i := range 3 {
		err := send(t, c.on(0), "one", messageOn(channel.Terms{Capacity: 1}, wire.Marshal, "1"))
		if _, full := errors.AsType[*channel.FullError](err); full != (i > 0) {
			t.Errorf("message %d of one whose capacity is 1: %v", i, err)
		}
	}
	if err := send(t, c.on(0), "one", message("1")); err != nil {
		t.Errorf("a sender with room: %v", err)
	}
}

func quiet(t *testing.T, c *cluster) {
	a := c.process(0)
	a.layer.Read("busy", a, 1000)
	a.layer.Read("quiet", a, 1)
	for i := range 200 {
		if err := send(t, a.layer, "busy", message(strconv.Itoa(i))); err != nil {
			t.Error(err)
		}
		if i == 100 {
			if err := send(t, a.layer, "quiet", message("!")); err != nil {
				t.Error(err)
			}
		}
	}
	await(t, a, "all messages", func() bool { return a.count() == 201 })
	if at := slices.Index(a.all(), "quiet:!"); at < 0 || at > 150 {
		t.Errorf("the quiet channel's message came as number %d", at)
	}
}

// sendOrder: a channel's owner, and one reader of a channel that nobody owns, get what each sender sent in its order.
func sendOrder(t *testing.T, c *cluster) {
	const senders, each = 4, 50
	a := c.process(0)
	c.with1(a)
	for s := range senders {
		go func() {
			for i := range each {
				text := fmt.Sprintf("%d %d", s, i)
				a.layer.Send(a.owned(), message(text), func(error) {})
				a.layer.Send("thumbs", messageOn(channel.Terms{Capacity: 1000}, wire.Marshal, text), func(error) {})
			}
		}()
	}
	for range senders * each {
		a.layer.Read("thumbs", a, 1) // while they are sent
	}
	await(t, a, "all messages", func() bool { return a.count() == 2*senders*each })
	inRow(t, a, senders, each)
}

// with1 is for tests in which everybody is on one node: they are about order, which only a node can promise at once.
func (c *cluster) with1(p *Process) { c.nodes = []channel.Layer{p.layer} }

// inRow checks that what came by one name from one sender, "name:sender number", is in the order of its numbers.
func inRow(t *testing.T, p *Process, senders, each int) {
	t.Helper()
	next := map[string]int{}
	for _, got := range p.all() {
		at := strings.LastIndexByte(got, ' ')
		if want := strconv.Itoa(next[got[:at]]); got[at+1:] != want {
			t.Fatalf("%s: %q came; want number %s", p.id, got, want)
		}
		next[got[:at]]++
	}
	for row, n := range next {
		if n != each {
			t.Errorf("%s: %d of %q; want %d", p.id, n, row, each)
		}
	}
	if len(next)%senders != 0 {
		t.Errorf("%s: rows of %d senders: %v", p.id, senders, next)
	}
}

// patterns: on one node, since what waits elsewhere is not announced.
func patterns(t *testing.T, c *cluster) {
	a, b := c.process(0), c.process(0)
	for i, name := range []string{"thumbs.x", "thumbs.x", "thumbs.y", "other.x", "thumbs"} {
		if err := send(t, a.layer, name, message(strconv.Itoa(i))); err != nil {
			t.Error(err)
		}
	}
	a.layer.Read("thumbs.*", a, 2)
	await(t, a, "one of each channel that waits", func() bool { return a.count() == 2 })
	if got := a.all(); !slices.Contains(got, "thumbs.x:0") || !slices.Contains(got, "thumbs.y:2") {
		t.Errorf("the pattern's reader got %q", got)
	}
	b.layer.Read("th*", b, 100)
	await(t, b, "what waits for the other pattern", func() bool { return b.count() == 2 })
	if err := send(t, a.layer, "thumbs.z", message("5")); err != nil {
		t.Error(err)
	}
	a.layer.Read("thumbs.z", b, 1)
	await(t, b, "what its reader by name gets first", func() bool { return slices.Contains(b.all(), "thumbs.z:5") })
	a.layer.GiveBack("thumbs.x", b.last())
	await(t, b, "what was given back", func() bool { return b.count() == 4 })
	a.layer.Detach(b.id)
	if err := send(t, a.layer, "thumbs.x", message("6")); err != nil {
		t.Error(err)
	}
	a.layer.Read("thumbs.*", a, 1)
	await(t, a, "what nobody else reads any more", func() bool { return slices.Contains(a.all(), "thumbs.x:6") })
}

func patternsTakeTurns(t *testing.T, c *cluster) {
	a, b := c.process(0), c.process(0)
	a.layer.Read("thumbs.*", a, 100)
	b.layer.Read("thumbs.*", b, 100)
	for i := range 20 {
		if err := send(t, a.layer, "thumbs."+strconv.Itoa(i), message("x")); err != nil {
			t.Error(err)
		}
	}
	await(t, a, "half of the messages", func() bool { return a.count() == 10 })
	await(t, b, "the other half", func() bool { return b.count() == 10 })
	a.layer.Read("thumbs.*", a, -1000)
	for i := range 5 {
		if err := send(t, a.layer, "thumbs."+strconv.Itoa(i), message("y")); err != nil {
			t.Error(err)
		}
	}
	await(t, b, "what the other one has no room for", func() bool { return b.count() == 15 })
}
