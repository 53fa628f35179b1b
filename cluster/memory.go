package cluster

import (
	"encoding/binary"
	"slices"
	"time"

	"backline/channel"
)

// memory is what a node remembers of a group, as an answer.
type memory struct {
	request uint64
	group   string
	channel.Remembrance
}

const (
	maxMarks      = 1000
	maxRemembered = 100_000 // as a process may have a group remember
	maxOriginText = 2000    // of a position
)

func appendUint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// remembers answers what this node remembers of a group: in any case what it published itself.
func (n *Node) remembers(to nodeID, request uint64, group string) {
	last, ofAll := n.ring.last(group)
	m := memory{request: request, group: group}
	m.Remembrance, _ = n.hub.Remembrance(group)
	own := false
	for i := range m.Marks {
		if each := &m.Marks[i]; each.Origin == uint64(n.id) {
			// Whoever asks knows our last number of all groups. That of a quiet one would not reach up to it.
			own, each.Top = true, max(each.Top, ofAll)
		}
	}
	if !own {
		m.Marks = append(m.Marks, channel.Mark{Origin: uint64(n.id), Floors: channel.FloorsAt(last), Top: ofAll})
	}
	n.outbox.publish(n.subjects.node(to), appendMemory(head(kindRecalled, n.id), m, n.largest()))
}

// appendMemory writes as much as there is room for: the newest.
func appendMemory(dst []byte, m memory, most int) []byte {
	items := make([][]byte, 0, len(m.Items))
	left := map[uint64]channel.Floors{}
	for i, each := range slices.Backward(m.Items) {
		item, err := appendRemembered(nil, each)
		if most -= len(item); err != nil || most < maxBatch/2 {
			leave(left, m.Items[:i+1])
			break
		}
		items = append(items, item)
	}
	dst = appendText(appendUint(dst, m.request), m.group)
	dst = appendUint(appendUint(dst, uint64(m.Size)), uint64(m.Age.Milliseconds()))
	dst = appendUint(dst, uint64(len(m.Marks)))
	for _, each := range m.Marks {
		dst = appendUint(appendUint(dst, each.Origin), each.Top)
		for kind, floor := range each.Floors {
			dst = appendUint(dst, max(floor, left[each.Origin][kind]))
		}
	}
	dst = appendUint(dst, uint64(len(items)))
	for _, item := range slices.Backward(items) {
		dst = append(dst, item...)
	}
	return dst
}

// leave notes which publications there is no room for.
func leave(left map[uint64]channel.Floors, items []channel.Remembered) {
	for _, each := range items {
		p := each.Publication
		floors := left[p.Stamp.Origin]
		for kind := range floors {
			if p.Is(channel.Kind(kind)) {
				floors[kind] = p.Stamp.Number
			}
		}
		left[p.Stamp.Origin] = floors
	}
}

func appendRemembered(dst []byte, each channel.Remembered) ([]byte, error) {
	p := each.Publication
	dst = appendUint(appendUint(dst, p.Stamp.Origin), p.Stamp.Number)
	dst = appendUint(dst, uint64(max(each.Age, 0).Milliseconds()))
	dst = appendText(appendUint(appendUint(dst, p.Position.Epoch), p.Position.Offset), p.Position.Origins)
	body, err := appendPublication(nil, p)
	return appendText(dst, body), err
}

func (r *reader) memory() (m memory, err error) {
	m.request, m.group = r.uint(), r.name()
	m.Size = int(min(r.uint(), maxRemembered))
	m.Age = r.duration()
	for range r.count(maxMarks) {
		mark := channel.Mark{Origin: r.uint(), Top: r.uint()}
		for kind := range mark.Floors {
			mark.Floors[kind] = r.uint()
		}
		m.Marks = append(m.Marks, mark)
	}
	for range r.count(maxRemembered) {
		m.Items = append(m.Items, r.remembered())
	}
	return m, r.end()
}

func (r *reader) duration() time.Duration {
	return time.Duration(min(r.uint(), uint64(longest.Milliseconds()))) * time.Millisecond
}

func (r *reader) remembered() (each channel.Remembered) {
	stamp := channel.Stamp{Origin: r.uint(), Number: r.uint()}
	each.Age = r.duration()
	position := channel.Position{Epoch: r.uint(), Offset: r.uint(), Origins: r.text()}
	body := &reader{buf: r.bytes()}
	each.Publication = body.publication()
	each.Publication.Stamp, each.Publication.Position = stamp, position
	if err := body.end(); err != nil || len(position.Origins) > maxOriginText {
		r.fail(errShort)
	}
	return each
}
