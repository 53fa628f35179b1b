package cluster_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"backline/bus"
	"backline/bus/bustest"
	"backline/channel"
)

var remembering = channel.Options{History: []channel.HistoryRule{{Pattern: "room", Size: 10_000, Age: time.Hour}}}

// reader is a client that notes what it gets with its positions.
type reader struct {
	mu  sync.Mutex
	got []*channel.Publication
}

// Deliver implements channel.Member.
func (r *reader) Deliver(_ string, p *channel.Publication) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, p)
	return true
}

func (r *reader) take() []*channel.Publication {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func texts(publications []*channel.Publication) []string {
	all := []string{}
	for _, p := range publications {
		all = append(all, string(p.Socket.Data))
	}
	return all
}

// through sends a position as clients do.
func through(t *testing.T, p channel.Position) channel.Position {
	t.Helper()
	parsed, ok := channel.ParsePosition(p.String())
	if !ok {
		t.Fatalf("%q cannot be read", p)
	}
	return parsed
}

func recall(t *testing.T, n running, group string, from channel.Position) channel.Recall {
	t.Helper()
	answered := make(chan channel.Recall, 1)
	n.Recall(group, channel.Sockets, through(t, from), func(found channel.Recall) { answered <- found })
	select {
	case found := <-answered:
		return found
	case <-time.After(patience):
		t.Fatal("no answer")
		return channel.Recall{}
	}
}

// settled waits until positions of a node are understood by the others.
func settled(t *testing.T, group string, nodes ...running) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, n.Name()+" has asked the others", func() bool {
			return n.Since(group, channel.Sockets, channel.Position{}).Now.Origins != ""
		})
	}
}

func expect(t *testing.T, what string, found channel.Recall, want ...string) {
	t.Helper()
	if got := texts(found.Missed); !found.Complete || !slices.Equal(got, want) {
		t.Errorf("%s: %q, complete %v; want %q", what, got, found.Complete, want)
	}
}

func inMemory(t *testing.T, n int, options channel.Options) []running {
	t.Helper()
	buses, prefix := memory(t, n)
	return run(t, buses, prefix, options)
}

// A client comes to another server than before, which has the group already, and to one that starts only then, when the
// server that it came from, and another one whose messages it missed, are gone.
func TestRecallOnAnotherNode(t *testing.T) {
	t.Parallel()
	var network bustest.Network
	cables, prefix := []*bustest.Bus{network.Open(), network.Open(), network.Open()}, newPrefix()
	nodes := run(t, []bus.Bus{cables[0], cables[1], cables[2]}, prefix, remembering)
	sockets := joined(t, nodes)
	settled(t, "room", nodes...)
	before := nodes[0].Since("room", channel.Sockets, channel.Position{}).Now
	for i, word := range []string{"1", "2", "3"} {
		say(nodes[i], word)
		for _, s := range sockets {
			eventually(t, word, s.last(word))
		}
	}
	for _, n := range nodes {
		expect(t, n.Name(), recall(t, n, "room", before), "1", "2", "3")
	}
	now := nodes[0].Since("room", channel.Sockets, channel.Position{}).Now
	for _, n := range nodes {
		expect(t, "nothing was missed", recall(t, n, "room", now))
	}
	for i := range 2 {
		cables[i].Cut()
		nodes[i].stop()
	}
	late := begin(t, network.Open(), prefix, "late", remembering)
	late.Join("room", &socket{})
	expect(t, "of a server that is gone", recall(t, late, "room", before), "1", "2", "3")
	say(late, "4")
	eventually(t, "the message of the late one", sockets[2].last("4"))
	for _, n := range []running{late, nodes[2]} {
		expect(t, n.Name(), recall(t, n, "room", now), "4")
	}
	all := recall(t, late, "room", channel.Position{})
	if got := texts(all.Missed); !slices.Equal(got[len(got)-4:], []string{"1", "2", "3", "4"}) {
		t.Errorf("all: %q", got)
	}
}

// What cannot be known is said, and never guessed.
func TestRecallThatCannotBe(t *testing.T) {
	t.Parallel()
	few := channel.Options{History: []channel.HistoryRule{{Pattern: "room", Size: 2, Age: time.Hour}}}
	nodes := inMemory(t, 2, few)
	sockets := joined(t, nodes)
	settled(t, "room", nodes...)
	before := nodes[0].Since("room", channel.Sockets, channel.Position{}).Now
	for _, word := range []string{"1", "2", "3"} {
		say(nodes[0], word)
	}
	eventually(t, "all of it", sockets[1].has("1", "2", "3"))
	local := before
	local.Origins = ""
	other := before
	other.Epoch, other.Origins = 1, other.Origins+".zzz-1"
	none := before
	none.Origins = ".1-1"
	for name, from := range map[string]channel.Position{
		"more than is remembered": before, "a position for one server alone": local,
		"of a server that nobody knows": other, "of others alone": none,
	} {
		if found := recall(t, nodes[1], "room", from); found.Complete || len(found.Missed) > 0 {
			t.Errorf("%s: %q, complete %v", name, texts(found.Missed), found.Complete)
		}
	}
	for _, text := range []string{"1-1.", "1-1.x", "1-1.x-", "1-1.-1", "1-1.zz-1.é-2", "1-1" + strings.Repeat(".1-1", 33), ".1-1"} {
		if _, ok := channel.ParsePosition(text); ok {
			t.Errorf("%q is taken for a position", text)
		}
	}
}

// A group that one server was told to keep is remembered by one that a client of it comes to.
func TestRecallOfAKeptGroup(t *testing.T) {
	t.Parallel()
	nodes := inMemory(t, 2, channel.Options{})
	nodes[0].Keep("kept", channel.Retention{Size: 10, Age: time.Hour})
	settled(t, "kept", nodes[0])
	before := nodes[0].Since("kept", channel.Sockets, channel.Position{}).Now
	publish := func(n running, text string) {
		n.Publish("kept", &channel.Publication{Socket: &channel.SocketMessage{Data: []byte(text)}})
	}
	publish(nodes[1], "0") // has no history there
	publish(nodes[0], "1")
	eventually(t, "both", func() bool { return len(nodes[0].Since("kept", channel.Sockets, before).Missed) == 2 })
	found := recall(t, nodes[1], "kept", before)
	slices.SortFunc(found.Missed, func(a, b *channel.Publication) int {
		return bytes.Compare(a.Socket.Data, b.Socket.Data)
	})
	expect(t, "there", found, "0", "1")
	publish(nodes[1], "2")
	publish(nodes[0], "3")
	eventually(t, "both remember", func() bool { return len(nodes[1].Since("kept", channel.Sockets, found.Now).Missed) == 2 })
}

// Clients that go from server to server while everybody publishes get each message once, and those of each publisher in
// their order.
func TestRecallFromNodeToNode(t *testing.T) {
	t.Parallel()
	const each, hops = 400, 12
	nodes := inMemory(t, 3, remembering)
	joined(t, nodes)
	settled(t, "room", nodes...)
	position := nodes[0].Since("room", channel.Sockets, channel.Position{}).Now
	var publishing sync.WaitGroup
	var clients sync.WaitGroup
	for i, n := range nodes {
		publishing.Go(func() {
			for k := range each {
				say(n, fmt.Sprintf("%d %d", i, k))
				if k%20 == 0 {
					time.Sleep(time.Millisecond) // so that there is something left for the last of the servers
				}
			}
		})
	}
	for c := range 4 {
		clients.Go(func() { travel(t, nodes, c, hops, position, 3*each) })
	}
	clients.Wait()
	publishing.Wait()
}

// travel is one of these clients: it goes on when something has come, and stays at the last server.
func travel(t *testing.T, nodes []running, c, hops int, last channel.Position, total int) {
	var got []string
	for hop := range hops {
		n := nodes[(c+hop)%len(nodes)]
		r := &reader{}
		n.Join("room", r)
		answered := make(chan channel.Recall, 1)
		n.Recall("room", channel.Sockets, through(t, last), func(found channel.Recall) { answered <- found })
		found := <-answered
		if !found.Complete {
			t.Errorf("client %d on %s: %q is not known; it is at %q", c, n.Name(), last, found.Now)
			return
		}
		got = append(got, texts(found.Missed)...)
		last = found.Now
		for wait := true; wait; time.Sleep(time.Millisecond) {
			for _, p := range r.take() {
				if p.Position.Epoch != found.Now.Epoch || p.Position.Offset > found.Now.Offset {
					got, last, wait = append(got, string(p.Socket.Data)), p.Position, hop == hops-1
				}
			}
			wait = wait && len(got) < total
		}
		n.Leave("room", r)
	}
	next := map[string]int{}
	for _, text := range got {
		from, number, _ := strings.Cut(text, " ")
		if number != fmt.Sprint(next[from]) {
			t.Errorf("client %d: %q came where number %d was to come", c, text, next[from])
			return
		}
		next[from]++
	}
	if len(got) != total {
		t.Errorf("client %d has %d of %d", c, len(got), total)
	}
}

// What a node publishes to other groups says nothing of a quiet one: it is known on a server that begins to remember it
// after it has published elsewhere, and of one that goes on publishing elsewhere.
func TestRecallOfAQuietGroup(t *testing.T) {
	t.Parallel()
	options := channel.Options{History: []channel.HistoryRule{{Pattern: "*", Size: 100, Age: time.Hour}}}
	var network bustest.Network
	prefix := newPrefix()
	nodes := run(t, []bus.Bus{network.Open(), network.Open()}, prefix, options)
	publish := func(n running, group, text string) {
		n.Publish(group, &channel.Publication{Socket: &channel.SocketMessage{Data: []byte(text)}})
	}
	nodes[0].Join("quiet", &socket{})
	settled(t, "quiet", nodes[0])
	before := nodes[0].Since("quiet", channel.Sockets, channel.Position{}).Now
	publish(nodes[1], "lively", "a")
	publish(nodes[0], "quiet", "1")
	expect(t, "on one that has published elsewhere", recall(t, nodes[1], "quiet", before), "1")
	publish(nodes[0], "lively", "b")
	publish(nodes[0], "lively", "c")
	late := begin(t, network.Open(), prefix, "late", options)
	expect(t, "of one that has published elsewhere since", recall(t, late, "quiet", before), "1")
}
