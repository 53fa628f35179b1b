package channel_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"backline/channel"
)

// member notes what it is given.
type member struct {
	mu  sync.Mutex
	got []*channel.Publication
}

func (m *member) Deliver(_ string, p *channel.Publication) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = append(m.got, p)
	return true
}

func (m *member) texts() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return textsOf(m.got)
}

func textsOf(publications []*channel.Publication) []string {
	texts := []string{}
	for _, p := range publications {
		texts = append(texts, string(p.Stream))
	}
	return texts
}

func publish(h *channel.Hub, group, text string) *channel.Publication {
	p := &channel.Publication{Stream: []byte(text)}
	h.Publish(group, p)
	return p
}

func expect(t *testing.T, what string, got channel.Recall, complete bool, want ...string) {
	t.Helper()
	if texts := textsOf(got.Missed); got.Complete != complete || !slices.Equal(texts, want) && len(texts)+len(want) > 0 {
		t.Errorf("%s: %q, complete %v; want %q, %v", what, texts, got.Complete, want, complete)
	}
}

func rule(pattern string, size int, age time.Duration) channel.Options {
	return channel.Options{History: []channel.HistoryRule{{
		Pattern: pattern, Size: size, Age: age,
	}}}
}

func TestHistoryIsWhatAGroupIsToldToKeep(t *testing.T) {
	t.Parallel()
	h := channel.New(rule("chat.*", 3, time.Hour))
	for i := range 5 {
		p := publish(h, "chat.1", fmt.Sprint(i))
		if p.Position.Offset != uint64(i+1) || p.Position.Epoch == 0 {
			t.Errorf("publication %d has the position %+v", i, p.Position)
		}
		if p := publish(h, "other", "x"); p.Position.Offset != 0 || p.Position.Epoch != 0 {
			t.Errorf("a group that keeps nothing: position %+v", p.Position)
		}
	}
	all := h.Since("chat.1", channel.Streams, channel.Position{})
	expect(t, "all of it, of which the oldest has gone", all, false, "2", "3", "4")
	at := func(offset uint64) channel.Position { return channel.Position{Epoch: all.Now.Epoch, Offset: offset} }
	expect(t, "after the last", h.Since("chat.1", channel.Streams, at(5)), true)
	expect(t, "after the fourth", h.Since("chat.1", channel.Streams, at(4)), true, "4")
	expect(t, "after the second", h.Since("chat.1", channel.Streams, at(2)), true, "2", "3", "4")
	expect(t, "after the first", h.Since("chat.1", channel.Streams, at(1)), false)
	expect(t, "after one that has not been", h.Since("chat.1", channel.Streams, at(6)), false)
	expect(t, "of another epoch", h.Since("chat.1", channel.Streams, channel.Position{Epoch: all.Now.Epoch + 1, Offset: 5}), false)
	expect(t, "of a group that keeps nothing", h.Since("other", channel.Streams, at(1)), false)

	h.Keep("other", channel.Retention{Size: 2, Age: time.Hour})
	publish(h, "other", "1")
	kept := h.Since("other", channel.Streams, channel.Position{})
	expect(t, "of a group that was told later", kept, true, "1")
	h.Flush()
	publish(h, "other", "2")
	expect(t, "after a flush", h.Since("other", channel.Streams, kept.Now), false)
}

func TestHistoryEndsWithItsAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := running(t, rule("*", 10, time.Minute))
		publish(h, "a", "1")
		time.Sleep(30 * time.Second)
		publish(h, "a", "2")
		first := h.Since("a", channel.Streams, channel.Position{})
		expect(t, "both", first, true, "1", "2")
		time.Sleep(30 * time.Second)
		expect(t, "the one that is younger", h.Since("a", channel.Streams, channel.Position{}), false, "2")
		time.Sleep(30 * time.Minute)
		expect(t, "whoever had missed nothing knows it", h.Since("a", channel.Streams, first.Now), true)
		if s := h.Statistics(); s.HistoryBytes != 0 || s.Histories != 1 {
			t.Errorf("statistics: %+v", s)
		}
		time.Sleep(2 * time.Hour)
		if s := h.Statistics(); s.Histories != 0 || s.Groups != 0 {
			t.Errorf("statistics of a group that nobody asks for any more: %+v", s)
		}
		publish(h, "a", "3")
		expect(t, "its next life", h.Since("a", channel.Streams, first.Now), false)
	})
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	options := rule("*", 1000, time.Hour)
	options.HistoryGroups, options.HistoryGroupBytes, options.HistoryBytes = 2, 10_000, 15_000
	h := channel.New(options)
	for _, group := range []string{"a", "b", "c"} {
		for range 100 {
			publish(h, group, "text")
		}
	}
	s := h.Statistics()
	if s.HistoryBytes > 15_000 || s.HistoryBytes < 14_000 || s.Histories != 2 || s.Unremembered != 100 || s.Groups != 2 {
		t.Errorf("statistics: %+v", s)
	}
	if a, b := len(h.Since("a", channel.Streams, channel.Position{}).Missed), len(h.Since("b", channel.Streams, channel.Position{}).Missed); a < 30 || a > 40 || b < 10 || b > 20 {
		t.Errorf("a remembers %d, b %d", a, b)
	}
}

// TestCursor: what was published between a look and the wait that follows is delivered, whatever the group remembers.
func TestCursor(t *testing.T) {
	t.Parallel()
	h := channel.New(channel.Options{})
	publish(h, "room", "before")
	cursor := channel.Position{Sequence: h.Sequence()}
	var quiet, missed, again member
	expect(t, "nothing was published", h.JoinFrom("room", &quiet, channel.Streams, cursor), true)
	publish(h, "elsewhere", "1")
	expect(t, "it can not be told from nothing", h.JoinFrom("elsewhere", &missed, channel.Streams, cursor), false)
	cursor = channel.Position{Sequence: h.Sequence()}
	publish(h, "room", "2")
	publish(h, "elsewhere", "3")
	expect(t, "of a group for which somebody waited", h.JoinFrom("room", &again, channel.Streams, cursor), true, "2")
	all, complete := h.After([]string{"room", "elsewhere", "never"}, channel.Streams, cursor.Sequence)
	if got := textsOf(all); !slices.Equal(got, []string{"2", "3"}) || !complete {
		t.Errorf("After: %q, %v", got, complete)
	}
	publish(h, "room", "4")
	if got := again.texts(); !slices.Equal(got, []string{"2", "4"}) {
		t.Errorf("delivered: %q", got)
	}
	for range 64 {
		publish(h, "room", "more")
	}
	expect(t, "more than is remembered", h.Since("room", channel.Streams, cursor), false)
	expect(t, "a cursor of an earlier life", h.Since("never", channel.Streams, channel.Position{Sequence: 1}), false)
	expect(t, "a cursor of the future", h.Since("never", channel.Streams, channel.Position{Sequence: h.Sequence() + 1}), false)
}

func TestWaitsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := running(t, channel.Options{})
		m := &member{}
		h.JoinFrom("room", m, channel.Streams, channel.Position{Sequence: h.Sequence()})
		publish(h, "room", "1")
		h.Leave("room", m)
		if s := h.Statistics(); s.Groups != 1 || s.Waits != 1 {
			t.Errorf("at once: %+v", s)
		}
		time.Sleep(3 * time.Minute)
		if s := h.Statistics(); s.Groups != 0 || s.Waits != 0 || s.HistoryBytes != 0 {
			t.Errorf("three minutes later: %+v", s)
		}
	})
}

// TestWaitsTakeNobodysPlace: clients that wait in any number of groups leave room for those that are told to remember.
func TestWaitsTakeNobodysPlace(t *testing.T) {
	t.Parallel()
	h := channel.New(channel.Options{HistoryGroups: 2})
	cursor := channel.Position{Sequence: h.Sequence()}
	m := &member{}
	for i := range 3 {
		expect(t, "nothing was published", h.JoinFrom(fmt.Sprint("wait", i), m, channel.Streams, cursor), true)
	}
	for _, group := range []string{"a", "b", "wait0"} {
		h.Keep(group, channel.Retention{Size: 1, Age: time.Hour})
	}
	if s := h.Statistics(); s.Histories != 2 || s.Waits != 2 || s.Unremembered != 2 {
		t.Errorf("statistics: %+v", s)
	}
	h.Flush()
	h.JoinFrom("wait0", m, channel.Streams, cursor)
	h.Keep("wait0", channel.Retention{Size: 1, Age: time.Hour})
	if s := h.Statistics(); s.Histories != 1 || s.Waits != 0 {
		t.Errorf("one that becomes the other: %+v", s)
	}
}

// TestJoinFromHasNoGap: whoever joins while others publish gets each publication once and in its order, from the position
// on that he says, be it of the group or of the node.
func TestJoinFromHasNoGap(t *testing.T) {
	t.Parallel()
	const senders, each, joiners = 4, 500, 50
	h := channel.New(rule("*", senders*each+1, time.Hour))
	begin := channel.Position{Sequence: h.Sequence()}
	first := publish(h, "room", "first").Position
	var sending, joining sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for range each {
				publish(h, "room", "x")
			}
		})
	}
	members := make([]*member, joiners)
	for i := range members {
		members[i] = &member{}
		joining.Go(func() {
			from := first
			if i%2 == 0 {
				from = begin
			}
			if !h.JoinFrom("room", members[i], channel.Streams, from).Complete {
				t.Error("not complete")
			}
		})
	}
	joining.Wait()
	sending.Wait()
	for i, m := range members {
		want := uint64(1 + i%2)
		for _, p := range m.got {
			if p.Position.Offset != want {
				t.Fatalf("member %d got %d; want %d", i, p.Position.Offset, want)
			}
			want++
		}
		if want != senders*each+2 {
			t.Errorf("member %d got everything up to %d", i, want-1)
		}
	}
}

// TestCursorHasNoGap is the same for groups that are told nothing: a member either gets what came after its cursor, or
// hears that it may have missed something.
func TestCursorHasNoGap(t *testing.T) {
	t.Parallel()
	const rounds = 2000
	h := channel.New(channel.Options{})
	complete := 0
	for round := range rounds {
		name := fmt.Sprint("room", round%50)
		cursor := channel.Position{Sequence: h.Sequence()}
		var sending sync.WaitGroup
		sending.Go(func() { publish(h, name, "x") })
		m := &member{}
		recall := h.JoinFrom(name, m, channel.Streams, cursor)
		sending.Wait()
		if recall.Complete {
			complete++
			if len(m.got) != 1 {
				t.Fatalf("round %d: complete, and %d publications", round, len(m.got))
			}
		}
		h.Leave(name, m)
	}
	if complete < rounds*9/10 {
		t.Errorf("only %d of %d could be told", complete, rounds)
	}
}
