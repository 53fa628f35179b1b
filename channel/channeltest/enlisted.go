package channeltest

import (
	"fmt"
	"slices"
	"testing"

	"backline/channel"
)

// enlistedEverywhere: a channel that nobody owns is in a group once, however many nodes it was put there on, and any of
// them takes it out for all.
func enlistedEverywhere(t *testing.T, c *cluster) {
	a := c.process(0)
	a.layer.Read("thumbs", a, 1000)
	members := make([]*Process, c.n)
	for place := range members {
		members[place] = c.process(place)
		c.join("room", members[place], c.everywhere()...)
		enlist(t, c.on(place), true)
	}
	for _, place := range c.everywhere() {
		c.settled("room", a, place)
	}
	rounds := []string{"1", "last"}
	want := make([]string, 0, len(rounds)*c.n)
	for _, round := range rounds {
		for _, place := range c.everywhere() {
			text := fmt.Sprint(round, " of ", place)
			publish(c.on(place), "room", text)
			want = append(want, "room:"+text)
		}
		// Each node has given all of them to its members, and so to its channels but the last one, and that channel's
		// messages stay in their row: what any node has of the first round comes before its own of the second.
		for _, m := range members {
			await(t, m, "all that was published", func() bool { return len(m.all()) == len(want) })
		}
	}
	for i := range want {
		want[i] = "thumbs:" + want[i][len("room:"):]
	}
	slices.Sort(want)
	await(t, a, "each message", func() bool {
		got := a.all()
		return !slices.ContainsFunc(want, func(each string) bool { return !slices.Contains(got, each) })
	})
	got := slices.Sorted(slices.Values(a.all()))
	if !slices.Equal(got, want) {
		t.Fatalf("got %q; want each once: %q", got, want)
	}

	enlist(t, c.on(c.n-1), false)
	clock := c.process(0) // which gets nothing, so that it is not asked again and again meanwhile
	for _, place := range c.everywhere() {
		await(t, clock, "that it is not in the group any more", func() bool {
			c.made++
			member, end := fmt.Sprint("probe", c.made, "member"), fmt.Sprint("probe", c.made, "end")
			c.on(place).Publish("room", &channel.Publication{Message: message(member)})
			if err := send(t, c.on(place), "thumbs", message(end)); err != nil {
				t.Fatal(err)
			}
			await(t, a, "what was sent behind it", func() bool { return a.hasProbe(end) })
			return !a.hasProbe(member)
		})
	}
}

func enlist(t *testing.T, l channel.Layer, in bool) {
	t.Helper()
	if err := outcome(t, func(done func(error)) { l.Enlist("room", "thumbs", in, done) }); err != nil {
		t.Fatal(err)
	}
}
