package cluster

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"backline/bus"
)

// version is the first byte of every packet. Nodes of another version are not understood, and said so once: a cluster
// is updated node by node, and its halves work beside each other meanwhile.
const version = 1

// maxName is how long a name of a group, a channel or a user may be, to be known to other nodes: with it a subject
// stays below the 4 KiB of a line of NATS's protocol.
const maxName = 1024

// maxBatch is about how large a packet with several things is made: one that needs no parts.
const maxBatch = bus.MaxData - 16<<10

// kind is what a packet says.
type kind byte

const (
	kindBeat        kind = 1 + iota // to all: I live
	kindPublication                 // to a group's nodes
	kindSend                        // to a process's node: a message for its channel
	kindEnlist                      // to a process's node: its channel joins or leaves a group
	kindOffer                       // to a node: a message for a channel that it said to read
	kindAnswer                      // to a node: what became of a Send, Enlist or Offer
	kindAsk                         // to a node: what did I miss in these groups?
	kindFill                        // to a node: this, in one group
	kindFilled                      // to a node: that was all
	kindNews                        // to all: somebody reads, comes or goes here
	kindAskState                    // to a node: say all of that again
	kindState                       // to a node: all of that
	kindFlush                       // to all: forget everything
	kindPart                        // to whom its packet is for: a part of a packet
	kindRecall                      // to a node: what do you remember of this group?
	kindRecalled                    // to a node: this
)

// nodeID names one life of a node: it is made anew whenever the process starts.
type nodeID uint64

func (id nodeID) String() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(id))
	return hex.EncodeToString(b[:])
}

// head begins a packet.
func head(k kind, from nodeID) []byte {
	return binary.BigEndian.AppendUint64([]byte{version, byte(k)}, uint64(from))
}

// readHead takes the head off a packet.
func readHead(data []byte) (k kind, from nodeID, r *reader, err error) {
	r = &reader{buf: data}
	v := r.byte()
	k, from = kind(r.byte()), nodeID(r.fixed())
	switch {
	case r.err != nil:
		return 0, 0, nil, r.err
	case v != version:
		return 0, 0, nil, fmt.Errorf("a packet of version %d; expected %d: "+
			"another version of Backline is on this bus", v, version)
	}
	return k, from, r, nil
}

// subjects are the names under which nodes reach each other.
type subjects struct{ prefix string }

func (s subjects) all() string             { return s.prefix + ".all" }
func (s subjects) node(id nodeID) string   { return s.prefix + ".n." + id.String() }
func (s subjects) group(g string) string   { return s.prefix + ".g." + token(g) }
func (s subjects) process(p string) string { return s.prefix + ".p." + token(p) }

// token writes a name in the letters that every bus has. A prefix keeps the empty name from being an empty token.
func token(name string) string { return "_" + base64.RawURLEncoding.EncodeToString([]byte(name)) }

// beat is what a node says several times a second.
type beat struct {
	count  uint64 // of beats: one that is missing tells that others are too
	losses uint64 // how often packets of this node did not leave it
	news   uint64 // how many kindNews it has sent
	name   string
	leaves bool
}

func appendBeat(dst []byte, b beat) []byte {
	for _, n := range []uint64{b.count, b.losses, b.news} {
		dst = binary.AppendUvarint(dst, n)
	}
	leaves := byte(0)
	if b.leaves {
		leaves = 1
	}
	return append(appendText(dst, b.name), leaves)
}

func (r *reader) beat() (b beat, err error) {
	b = beat{count: r.uint(), losses: r.uint(), news: r.uint(), name: r.name(), leaves: r.byte() == 1}
	return b, r.end()
}

// numbered is where a publication stands among those of its node.
type numbered struct {
	from   nodeID
	seq    uint64
	prev   uint64 // the last one before it in its group
	group  string
	packet []byte // all of it
	body   []byte
}

// seqAt is where the two numbers stand in a packet: they are put in when the order is known.
const seqAt = 10

func (r *reader) numbered(from nodeID, packet []byte) (n numbered, err error) {
	n = numbered{from: from, seq: r.fixed(), prev: r.fixed(), group: r.name(), packet: packet}
	n.body, r.buf = r.buf, nil
	if r.err == nil && (n.seq == 0 || n.prev >= n.seq) {
		r.fail(fmt.Errorf("publication %d of another node comes after %d", n.seq, n.prev))
	}
	return n, r.end()
}

// want is what somebody wants to hear of a group: what came after a number, or else in the last milliseconds.
type want struct {
	group string
	after uint64
	age   uint64
}

func appendWant(dst []byte, w want) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(appendText(dst, w.group), w.after), w.age)
}

// maxWants bounds the groups of one question; there may be several.
const maxWants = 4096

func (r *reader) wants() (request uint64, wants []want, err error) {
	request = r.uint()
	n := r.count(maxWants)
	for range n {
		wants = append(wants, want{group: r.name(), after: r.uint(), age: r.uint()})
	}
	return request, wants, r.end()
}

// maxFilled bounds the publications in one packet.
const maxFilled = bus.MaxData

// fill is a part of what somebody missed in one group.
type fill struct {
	request  uint64
	part     uint64 // how many came before it, of all groups
	group    string
	complete bool
	packets  [][]byte
}

func (r *reader) fill() (f fill, err error) {
	f = fill{request: r.uint(), part: r.uint(), group: r.name(), complete: r.byte() == 1}
	for range r.count(maxFilled) {
		f.packets = append(f.packets, r.bytes())
	}
	return f, r.end()
}

func appendFill(dst []byte, f fill) []byte {
	complete := byte(0)
	if f.complete {
		complete = 1
	}
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, f.request), f.part)
	dst = append(appendText(dst, f.group), complete)
	dst = binary.AppendUvarint(dst, uint64(len(f.packets)))
	for _, packet := range f.packets {
		dst = appendText(dst, packet)
	}
	return dst
}
