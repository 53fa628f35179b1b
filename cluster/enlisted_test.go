package cluster_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"backline/bus"
	"backline/bus/bustest"
	"backline/channel"
	"backline/wire"
)

// worker is a process that reads "thumbs" and notes what it gets.
type worker struct {
	mu    sync.Mutex
	texts []string
}

func working(t *testing.T, n running) *worker {
	t.Helper()
	r := &worker{}
	if err := n.Attach("worker", r); err != nil {
		t.Fatal(err)
	}
	n.Read("thumbs", r, 100_000)
	return r
}

// Take implements channel.Process.
func (r *worker) Take(_ string, m *channel.Message, done func(error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	data, err := m.In(wire.Marshal)
	r.texts = append(r.texts, string(data))
	done(err)
}

// Enlist implements channel.Process.
func (*worker) Enlist(_, _ string, _ bool, done func(error)) { done(nil) }

// Flushed implements channel.Process.
func (*worker) Flushed() {}

// Deliver implements channel.Member.
func (*worker) Deliver(string, *channel.Publication) bool { return true }

func (r *worker) has(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.texts, string(dictionary(text)))
}

func dictionary(text string) []byte {
	return wire.AppendDictionary(nil, wire.Marshal, map[string]string{"text": text})
}

func enlist(t *testing.T, n running, in bool) {
	t.Helper()
	n.Enlist("room", "thumbs", in, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
}

// isMember waits until what a node publishes reaches the channel, or does not, as wanted. What is sent to the channel
// behind it says when that is decided.
func (r *worker) isMember(t *testing.T, n running, want bool) {
	t.Helper()
	tries := 0
	eventually(t, fmt.Sprint("by ", n.Name(), " the channel is a member: ", want), func() bool {
		tries++
		member, end := fmt.Sprint(n.Name(), want, tries, "member"), fmt.Sprint(n.Name(), want, tries, "end")
		n.Publish("room", &channel.Publication{Message: channel.NewMessage(wire.Marshal, dictionary(member))})
		n.Send("thumbs", channel.NewMessage(wire.Marshal, dictionary(end)), func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
		eventually(t, "the message behind it", func() bool { return r.has(end) })
		return r.has(member) == want
	})
}

// A node that comes later learns which channels are in groups, also of those whom others have told, and the membership
// outlives the node that it was said on.
func TestMembershipsOfChannelsAreLearned(t *testing.T) {
	t.Parallel()
	var network bustest.Network
	prefix := newPrefix()
	nodes := run(t, []bus.Bus{network.Open(), network.Open()}, prefix, channel.Options{})
	r := working(t, nodes[1])
	enlist(t, nodes[0], true)
	r.isMember(t, nodes[1], true)
	nodes[0].stop()
	late := begin(t, network.Open(), prefix, "late", channel.Options{})
	r.isMember(t, late, true)
	r.isMember(t, nodes[1], true)
	enlist(t, late, false)
	r.isMember(t, nodes[1], false)
	later := begin(t, network.Open(), prefix, "later", channel.Options{})
	eventually(t, "it finds the others", func() bool { return later.Peers() == 2 })
	r.isMember(t, later, false)
}

// A node that could not hear that a channel was taken out does not bring it back.
func TestMembershipsOfChannelsThatEndWhileNobodyHears(t *testing.T) {
	t.Parallel()
	var network bustest.Network
	cables := []*bustest.Bus{network.Open(), network.Open()}
	nodes := run(t, []bus.Bus{cables[0], cables[1]}, newPrefix(), channel.Options{})
	r := working(t, nodes[0])
	enlist(t, nodes[0], true)
	enlist(t, nodes[1], true)
	for _, n := range nodes {
		r.isMember(t, n, true)
	}
	cables[1].Cut()
	eventually(t, "they miss each other", func() bool { return nodes[0].Peers() == 0 && nodes[1].Peers() == 0 })
	enlist(t, nodes[0], false)
	cables[1].Mend()
	eventually(t, "they find each other", func() bool { return nodes[0].Peers() == 1 && nodes[1].Peers() == 1 })
	for _, n := range nodes {
		r.isMember(t, n, false)
	}
}
