package cluster

import (
	"encoding/binary"
	"sync"
	"time"

	"backline/channel"
)

// news is what this node has said of itself to the others: which channels are read here that nobody owns, and who is
// present here. With it goes what it knows of all nodes: enlisted.go.
type news struct {
	mu      sync.Mutex
	version uint64              // how often something was said
	readers map[string]struct{} // channels, until a message for one is refused
	places  map[place]entry
	holders map[channel.Member]map[place]struct{}
}

// place is where somebody is, and entry what is said of him and who has him.
type place struct{ group, user, socket string }

type entry struct {
	info   string
	holder channel.Member
}

// maxReaders and maxPlaces bound what a node believes of another one; of its own it says no more.
const (
	maxReaders = 10_000
	maxPlaces  = 1_000_000
)

// change is one piece of news.
type change struct {
	what changeKind
	at   place // of a reader: its channel is the group; of a channel in a group: it is the user
	info string
	age  time.Duration // how long a channel has been in a group, or out of it
}

type changeKind byte

const (
	reads changeKind = 1 + iota
	enters
	exits
	enlists // a channel that nobody owns is in a group
	strikes // it is not
)

func appendChange(dst []byte, c change) []byte {
	dst = appendText(append(dst, byte(c.what)), c.at.group)
	if c.what == reads {
		return dst
	}
	dst = appendText(dst, c.at.user)
	switch c.what {
	case enlists, strikes:
		return appendUint(dst, uint64(c.age.Milliseconds()))
	case enters:
		return appendText(appendText(dst, c.at.socket), c.info)
	default:
		return appendText(dst, c.at.socket)
	}
}

func (r *reader) change() (c change) {
	c.what = changeKind(r.byte())
	c.at.group = r.name()
	switch c.what {
	case reads:
	case enters:
		c.at.user, c.at.socket, c.info = r.name(), r.name(), r.text()
		if len(c.info) > channel.MaxInfo {
			r.fail(errShort)
		}
	case exits:
		c.at.user, c.at.socket = r.name(), r.name()
	case enlists, strikes:
		c.at.user, c.age = r.name(), r.duration()
	default:
		r.fail(errShort)
	}
	return c
}

// tell says a piece of news to all nodes. The caller holds the lock, so that versions leave in their order.
func (n *Node) tell(c change) {
	n.news.version++
	n.outbox.publish(n.subjects.all(), appendChange(binary.AppendUvarint(head(kindNews, n.id), n.news.version), c))
}

// state is everything that a node says of itself, in parts.
type state struct {
	version, part, parts uint64
	changes              []change
}

// maxChanges bounds the changes of one part; with names and info at their longest such a part would be too large, so
// parts end earlier where they have to.
const maxChanges = 4096

func (r *reader) state() (s state, err error) {
	s = state{version: r.uint(), part: r.uint(), parts: r.uint()}
	for range r.count(maxChanges) {
		s.changes = append(s.changes, r.change())
	}
	return s, r.end()
}

// sendState says everything to one node.
func (n *Node) sendState(to nodeID) {
	n.enlisted.mu.Lock()
	defer n.enlisted.mu.Unlock()
	n.news.mu.Lock()
	defer n.news.mu.Unlock()
	var parts [][]byte
	var part []byte
	count := 0
	flush := func() {
		parts = append(parts, append(binary.AppendUvarint(nil, uint64(count)), part...))
		part, count = nil, 0
	}
	add := func(c change) {
		if count == maxChanges || len(part) > maxBatch {
			flush()
		}
		part = appendChange(part, c)
		count++
	}
	for name := range n.news.readers {
		add(change{what: reads, at: place{group: name}})
	}
	for at, e := range n.news.places {
		add(change{what: enters, at: at, info: e.info})
	}
	now := time.Now()
	for at, f := range n.enlisted.facts {
		add(changeOf(at, f, now))
	}
	flush()
	for i, each := range parts {
		packet := binary.AppendUvarint(head(kindState, n.id), n.news.version)
		packet = binary.AppendUvarint(binary.AppendUvarint(packet, uint64(i)), uint64(len(parts)))
		n.outbox.publish(n.subjects.node(to), append(packet, each...))
	}
}

// reads says that a channel is read here, unless that is known.
func (n *Node) reads(name string) {
	if len(name) > maxName {
		return
	}
	n.news.mu.Lock()
	defer n.news.mu.Unlock()
	if _, known := n.news.readers[name]; known || len(n.news.readers) >= maxReaders {
		return
	}
	n.news.readers[name] = struct{}{}
	n.tell(change{what: reads, at: place{group: name}})
}

// dry notes that another node was told that nobody reads a channel here: the next reader is news again.
func (n *Node) dry(name string) {
	n.news.mu.Lock()
	defer n.news.mu.Unlock()
	delete(n.news.readers, name)
}

// Enter implements channel.Presence.
func (n *Node) Enter(group string, holder channel.Member, who channel.Here) error {
	if err := n.hub.Enter(group, holder, who); err != nil {
		return err
	}
	at := place{group, who.User, who.Socket}
	if len(at.group) > maxName || len(at.user) > maxName || len(at.socket) > maxName {
		return nil
	}
	n.news.mu.Lock()
	defer n.news.mu.Unlock()
	n.news.drop(at)
	n.news.places[at] = entry{who.Info, holder}
	if n.news.holders[holder] == nil {
		n.news.holders[holder] = map[place]struct{}{}
	}
	n.news.holders[holder][at] = struct{}{}
	n.tell(change{what: enters, at: at, info: who.Info})
	return nil
}

// drop takes a place out of the tables. False: it was not there.
func (s *news) drop(at place) bool {
	e, found := s.places[at]
	if found {
		delete(s.places, at)
		delete(s.holders[e.holder], at)
		if len(s.holders[e.holder]) == 0 {
			delete(s.holders, e.holder)
		}
	}
	return found
}

// Exit implements channel.Presence. Somebody whom another node has exits there.
func (n *Node) Exit(group string, who channel.Here) {
	n.hub.Exit(group, who)
	at := place{group, who.User, who.Socket}
	n.news.mu.Lock()
	defer n.news.mu.Unlock()
	if n.news.drop(at) {
		n.tell(change{what: exits, at: at})
	}
}

// Gone implements channel.Presence.
func (n *Node) Gone(holder channel.Member) {
	n.hub.Gone(holder)
	n.gone(holder)
}

func (n *Node) gone(holder channel.Member) {
	n.news.mu.Lock()
	defer n.news.mu.Unlock()
	for at := range n.news.holders[holder] {
		n.news.drop(at)
		n.tell(change{what: exits, at: at})
	}
}

// Present implements channel.Presence.
func (n *Node) Present(group string, limit int) []channel.User { return n.hub.Present(group, limit) }

// CountPresent implements channel.Presence.
func (n *Node) CountPresent(group string) (users, sockets int) { return n.hub.CountPresent(group) }

// forget is what Flush does to the news.
func (n *Node) forget() {
	n.news.mu.Lock()
	defer n.news.mu.Unlock()
	clear(n.news.places)
	clear(n.news.holders)
}
