package cluster

import (
	"encoding/binary"
	"time"

	"backline/channel"
	"backline/wire"
)

// Attach implements channel.Layer.
func (n *Node) Attach(id string, p channel.Process) error {
	if err := n.hub.Attach(id, p); err != nil {
		return err
	}
	if len(id) <= maxName {
		n.owned.Store(id, p)
		n.outbox.subscribe(n.subjects.process(id), true)
	}
	return nil
}

// Detach implements channel.Layer.
func (n *Node) Detach(id string) {
	p, found := n.owned.LoadAndDelete(id)
	n.hub.Detach(id)
	if found {
		n.outbox.subscribe(n.subjects.process(id), false)
		n.gone(p.(channel.Process)) //nolint:forcetypeassert // Attach put it there
	}
}

// Send implements channel.Layer.
func (n *Node) Send(name string, m *channel.Message, done func(error)) {
	id, owned := channel.Owner(name)
	if !owned || n.knows(id) {
		n.hub.Send(name, m, done) // of the channels that nobody owns, peers are readers too: see readers.go
		return
	}
	data, err := m.In(wire.Msgpack)
	if err != nil {
		done(err)
		return
	}
	if most := n.largest() - maxName - envelopeRoom; len(data) > most || len(name) > maxName {
		n.counts.tooLarge.Add(1)
		done(&channel.TooLargeError{Limit: most})
		return
	}
	n.call(n.subjects.process(id), kindSend, func(dst []byte) []byte {
		return appendText(appendTerms(appendText(dst, name), m.Terms()), data)
	}, func(a answer) { done(a.err(name)) }, done)
}

// envelopeRoom is for what goes with a message besides its name.
const envelopeRoom = 64

// knows says whether a process is here, or is nowhere: there is nobody else to ask.
func (n *Node) knows(id string) bool {
	if _, here := n.owned.Load(id); here {
		return true
	}
	return n.outbox.isUp() && n.live.Load() == 0
}

// call asks another node for something. body writes the question; failed is told when it does not even leave.
func (n *Node) call(subject string, k kind, body func([]byte) []byte, done func(answer), failed func(error)) {
	id, ok := n.calls.begin(time.Now().Add(n.options.Timeout), done)
	if !ok {
		failed(channel.ErrAway)
		return
	}
	packet := body(binary.AppendUvarint(head(k, n.id), id))
	if !n.outbox.publish(subject, packet) && n.calls.forget(id) {
		failed(channel.ErrAway)
	}
}

// Read implements channel.Layer.
func (n *Node) Read(name string, p channel.Process, room int) {
	n.hub.Read(name, p, room)
	// Patterns are this node's own: others would offer messages of names that nobody reads here by name.
	if _, owned := channel.Owner(name); room > 0 && !owned && !channel.IsPattern(name) {
		n.reads(name)
	}
}

// GiveBack implements channel.Layer.
func (n *Node) GiveBack(name string, m *channel.Message) { n.hub.GiveBack(name, m) }

// Publish implements channel.Layer.
func (n *Node) Publish(group string, p *channel.Publication) {
	if len(group) > maxName {
		n.tooLarge(group, 0, nil)
		n.hub.Publish(group, p)
		return
	}
	packet := head(kindPublication, n.id)
	packet = append(packet, make([]byte, 16)...) // see seqAt
	packet, err := appendPublication(appendText(packet, group), p)
	if err != nil || len(packet) > n.largest() {
		n.tooLarge(group, len(packet), err)
		packet = nil
	} else {
		n.counts.sent.Add(1)
	}
	subject := n.subjects.group(group)
	n.hub.PublishNumbered(group, p, func() channel.Stamp {
		seq, prev := n.ring.add(group, packet, time.Now(), func() { n.outbox.publish(subject, packet) })
		return channel.Stamp{Origin: uint64(n.id), Number: seq, Previous: prev}
	})
}

func (n *Node) tooLarge(group string, size int, err error) {
	n.counts.tooLarge.Add(1)
	n.options.Log.Warn("a publication stays on this server: it cannot be told to the others",
		"group", clip(group), "bytes", size, "at_most", n.largest(), "error", err)
}

// clip keeps a name in a log short.
func clip(name string) string { return name[:min(len(name), 99)] }

// Join implements channel.Layer.
func (n *Node) Join(group string, m channel.Member) { n.hub.Join(group, m) }

// Leave implements channel.Layer.
func (n *Node) Leave(group string, m channel.Member) { n.hub.Leave(group, m) }

// Enlist implements channel.Layer.
func (n *Node) Enlist(group, name string, in bool, done func(error)) {
	id, owned := channel.Owner(name)
	switch {
	case len(group) > maxName || len(name) > maxName, owned && n.knows(id):
		n.hub.Enlist(group, name, in, done)
		return
	case !owned:
		done(n.enlist(listing{group, name}, in))
		return
	}
	n.call(n.subjects.process(id), kindEnlist, func(dst []byte) []byte {
		joins := byte(0)
		if in {
			joins = 1
		}
		return append(appendText(appendText(dst, group), name), joins)
	}, func(a answer) { done(a.err(name)) }, done)
}

// Flush implements channel.Layer.
func (n *Node) Flush() {
	n.flush()
	n.forget()
	n.outbox.publish(n.subjects.all(), head(kindFlush, n.id))
}

// Keep implements channel.Recaller.
func (n *Node) Keep(group string, r channel.Retention) { n.hub.Keep(group, r) }

// Since implements channel.Recaller: what this node knows by itself.
func (n *Node) Since(group string, kind channel.Kind, from channel.Position) channel.Recall {
	return n.hub.Since(group, kind, from)
}

// JoinFrom implements channel.Recaller.
func (n *Node) JoinFrom(
	group string, m channel.Member, kind channel.Kind, from channel.Position,
) channel.Recall {
	return n.hub.JoinFrom(group, m, kind, from)
}

// Dropped counts on this node what a process of it had no room for.
func (n *Node) Dropped(group string, count int) { n.hub.Dropped(group, count) }

// Sequence implements channel.Recaller.
func (n *Node) Sequence() uint64 { return n.hub.Sequence() }

// After implements channel.Recaller.
func (n *Node) After(
	groups []string, kind channel.Kind, sequence uint64,
) (missed []*channel.Publication, complete bool) {
	return n.hub.After(groups, kind, sequence)
}
