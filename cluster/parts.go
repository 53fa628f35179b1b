package cluster

import (
	"encoding/binary"

	"backline/bus"
)

// maxPart is how much of a packet that is too large for a bus goes into each of its parts.
const maxPart = bus.MaxData - 1<<10

// split gives the packets that a packet is sent as: itself, or its parts, which follow each other.
func split(data []byte, from nodeID, number uint64) [][]byte {
	if len(data) <= maxPart {
		return [][]byte{data}
	}
	count := (len(data) + maxPart - 1) / maxPart
	parts := make([][]byte, 0, count)
	for i := range count {
		part := data[i*maxPart : min((i+1)*maxPart, len(data))]
		packet := binary.AppendUvarint(head(kindPart, from), number)
		packet = binary.AppendUvarint(binary.AppendUvarint(packet, uint64(i)), uint64(len(data)))
		parts = append(parts, append(packet, part...))
	}
	return parts
}

// partial is a packet of which parts have come. A node sends one after the other, so there is one of each node.
type partial struct {
	number uint64
	next   uint64
	buf    []byte
	total  int
}

// add puts a part behind those before it. What it gives is the packet, when that was the last part. A packet of which
// a part is lost never comes about, as if all of it had been lost.
func (p *partial) add(r *reader, limit int) (whole []byte, err error) {
	number, index, total := r.uint(), r.uint(), r.uint()
	part := r.buf
	switch {
	case r.err != nil:
		return nil, r.err
	case total > uint64(limit) || len(part) == 0 || len(part) > maxPart:
		*p = partial{}
		return nil, errShort
	case index == 0:
		*p = partial{number: number, total: int(total)}
	case number != p.number || index != p.next || int(total) != p.total || p.total == 0:
		*p = partial{}
		return nil, nil
	}
	// Grown by what comes, not by what is promised.
	p.buf = append(p.buf, part...)
	p.next++
	if len(p.buf) < p.total {
		return nil, nil
	}
	whole, total = p.buf, uint64(p.total)
	*p = partial{}
	if len(whole) != int(total) {
		return nil, errShort
	}
	return whole, nil
}
