package channel_test

import (
	"fmt"
	"testing"
	"time"

	"backline/channel"
	"backline/wire"
)

// forms makes a publication with a text in each of some forms.
func forms(text string, kinds ...channel.Kind) *channel.Publication {
	p := &channel.Publication{}
	for _, kind := range kinds {
		switch kind {
		case channel.Messages:
			p.Message = channel.NewMessage(wire.Marshal, []byte("{0"))
		case channel.Sockets:
			p.Socket = &channel.SocketMessage{Data: []byte(text)}
		case channel.Responses:
			p.Response = &channel.Response{Status: 200, Body: []byte(text)}
		case channel.Streams:
			p.Stream = []byte(text)
		}
	}
	return p
}

// What one reader may see is not displaced by what it never gets, and what it missed is known as long as that of its
// own kind is.
func TestKindsAreRememberedApart(t *testing.T) {
	t.Parallel()
	h := channel.New(rule("room", 3, time.Hour))
	count := func(what string, kind channel.Kind, from channel.Position, complete bool, want int) {
		t.Helper()
		found := h.Since("room", kind, from)
		for _, p := range found.Missed {
			if !p.Is(kind) {
				t.Errorf("%s: %+v is of another kind", what, p)
			}
		}
		if found.Complete != complete || len(found.Missed) != want {
			t.Errorf("%s: %d, complete %v; want %d, %v", what, len(found.Missed), found.Complete, want, complete)
		}
	}
	begin := channel.Position{}
	for n := range 2 {
		p := forms(fmt.Sprint(n), channel.Messages)
		h.Publish("room", p)
		if n == 0 {
			begin = p.Position
		}
	}
	for n := range 4 {
		h.Publish("room", forms(fmt.Sprint(n), channel.Responses))
	}
	h.Publish("room", forms("both", channel.Responses, channel.Streams))
	h.Publish("room", forms("ws", channel.Sockets))
	count("messages", channel.Messages, channel.Position{}, true, 2)
	count("messages after the first", channel.Messages, begin, true, 1)
	count("answers", channel.Responses, channel.Position{}, false, 3)
	count("answers after the first message", channel.Responses, begin, false, 0)
	count("events after the first message", channel.Streams, begin, true, 1)
	count("for sockets after the first message", channel.Sockets, begin, true, 1)
	h.Publish("room", &channel.Publication{Close: channel.FormsAll})
	count("what ends streams", channel.Streams, channel.Position{}, true, 2)
	count("what ends sockets is for those that are there", channel.Sockets, channel.Position{}, true, 1)
	for n := range 3 {
		h.Publish("room", forms(fmt.Sprint(n), channel.Messages))
	}
	count("messages of which two are gone", channel.Messages, begin, false, 0)
	count("events are not gone", channel.Streams, begin, true, 2)
	last := h.Since("room", channel.Messages, channel.Position{}).Now
	h.Publish("room", forms("x", channel.Streams))
	count("nothing of its kind was missed", channel.Messages, last, true, 0)
}

// Where there is no room for all, the kind that takes the most forgets first.
func TestTheLargestKindForgetsFirst(t *testing.T) {
	t.Parallel()
	options := rule("room", 1000, time.Hour)
	options.HistoryGroupBytes = 20_000
	h := channel.New(options)
	h.Publish("room", forms("first", channel.Messages))
	for range 100 {
		h.Publish("room", forms(string(make([]byte, 1000)), channel.Streams))
	}
	if found := h.Since("room", channel.Messages, channel.Position{}); !found.Complete || len(found.Missed) != 1 {
		t.Errorf("the message is gone: %+v", found)
	}
	found := h.Since("room", channel.Streams, channel.Position{})
	if n := len(found.Missed); found.Complete || n < 10 || n > 15 {
		t.Errorf("%d of 100 events of 1,300 bytes in 20,000", n)
	}
	if used := h.Statistics().HistoryBytes; used > 20_000 || used < 10_000 {
		t.Errorf("%d bytes", used)
	}
	h.Flush()
	if used := h.Statistics().HistoryBytes; used != 0 {
		t.Errorf("%d bytes after all was forgotten", used)
	}
}

// Another node takes over each kind as far as it lacks it, and each publication once.
func TestKindsAreAdoptedApart(t *testing.T) {
	t.Parallel()
	const theirs, ours = 7, 8
	options := rule("room", 3, time.Hour)
	options.Remembers = func(string) {}
	first, second := channel.New(options), channel.New(options)
	number := uint64(0)
	publish := func(to *channel.Hub, text string, kinds ...channel.Kind) channel.Position {
		p := forms(text, kinds...)
		number++
		to.PublishNumbered("room", p, func() channel.Stamp {
			return channel.Stamp{Origin: theirs, Number: number, Previous: number - 1}
		})
		return p.Position
	}
	first.Keep("room", channel.Retention{Size: 3, Age: time.Hour})
	first.Settle("room", theirs, 0, 0)
	first.Settle("room", ours, 0, 0)
	if !first.Settled("room", []uint64{theirs, ours}) {
		t.Fatal("a mark is missing")
	}
	begin := publish(first, "1", channel.Streams)
	publish(first, "2", channel.Streams, channel.Responses)
	for n := range 4 {
		publish(first, fmt.Sprint(3+n), channel.Responses)
	}
	publish(first, "7", channel.Streams, channel.Sockets)

	second.Keep("room", channel.Retention{Size: 3, Age: time.Hour})
	second.Settle("room", ours, 0, 0)
	second.Settle("room", theirs, number, number)
	all, _ := first.Remembrance("room")
	if len(all.Items) != 6 { // 1, 2, 4 to 7: 3 was for polls alone, of which there were more
		t.Errorf("%d publications; each should be there once", len(all.Items))
	}
	second.Adopt("room", all, func(uint64) bool { return true })
	if !second.Settled("room", []uint64{theirs, ours}) {
		t.Fatal("a mark is missing")
	}
	expect(t, "events", second.Since("room", channel.Streams, begin), true, "2", "7")
	if found := second.Since("room", channel.Sockets, begin); !found.Complete || len(found.Missed) != 1 {
		t.Errorf("for sockets: %+v", found)
	}
	if found := second.Since("room", channel.Responses, begin); found.Complete {
		t.Errorf("answers, of which two are gone: %+v", found)
	}
	used := second.Statistics().HistoryBytes
	second.Adopt("room", all, func(uint64) bool { return true })
	expect(t, "events, adopted twice", second.Since("room", channel.Streams, begin), true, "2", "7")
	if again := second.Statistics().HistoryBytes; again != used {
		t.Errorf("%d bytes, and %d before", again, used)
	}
}
