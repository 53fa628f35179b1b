package cluster

import (
	"sync"

	"backline/channel"
	"backline/wire"
)

// remote is another node in the hub of this one: it has whoever is present there, and it reads the channels that are
// read there. It is given one message of a channel at a time, which waits here for the answer whether there still is a
// reader, and returns to the front of its channel if not: so the order stays, and a message is at one node, once.
type remote struct {
	node *Node
	id   nodeID

	mu   sync.Mutex
	open map[string]bool // channels for which the hub has room of ours, or a message is under way
}

// reads says that the node reads a channel.
func (r *remote) reads(name string) {
	r.mu.Lock()
	already := r.open[name] || len(r.open) >= maxReaders
	if !already {
		r.open[name] = true
	}
	r.mu.Unlock()
	if !already {
		r.node.hub.Read(name, r, 1)
	}
}

func (r *remote) close(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, name)
}

// Take implements channel.Process.
func (r *remote) Take(name string, m *channel.Message, done func(error)) {
	done(nil)
	data, err := m.In(wire.Msgpack)
	if err != nil || len(data)+maxName+envelopeRoom > r.node.largest() || len(name) > maxName {
		r.node.counts.tooLarge.Add(1)
		r.node.hub.Read(name, r, 1)
		return
	}
	back := func() {
		r.close(name)
		r.node.hub.GiveBack(name, m)
	}
	r.node.call(r.node.subjects.node(r.id), kindOffer, func(dst []byte) []byte {
		return appendText(appendTerms(appendText(dst, name), m.Terms()), data)
	}, func(a answer) {
		switch a.result {
		case accepted:
			r.node.hub.Read(name, r, 1)
		case refused:
			back()
		default:
			// It may have been read: to give it to somebody else could have it handled twice.
			r.node.counts.lostSends.Add(1)
			r.node.hub.Read(name, r, 1)
		}
	}, func(error) { back() })
}

// Deliver implements channel.Process. A node is in no group of the hub's.
func (r *remote) Deliver(string, *channel.Publication) bool { return true }

// Enlist implements channel.Process.
func (r *remote) Enlist(_, _ string, _ bool, done func(error)) { done(nil) }

// Flushed implements channel.Process.
func (r *remote) Flushed() {}
