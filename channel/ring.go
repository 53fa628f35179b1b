package channel

import "math/rand/v2"

// Kind is which of a group's publications somebody reads: each form is remembered by itself, so that messages, say,
// are not displaced by events, which the readers of messages never get.
type Kind uint8

// The kinds. A publication may be of several.
const (
	Messages  Kind = iota // for channels of processes
	Sockets               // for WebSockets
	Responses             // for long polls: answers, and what ends them
	Streams               // for streams: what extends them, and what ends them
	Kinds     int  = iota // how many there are
)

// Is tells whether a publication is of a kind. What closes WebSockets is for those that are there.
func (p *Publication) Is(kind Kind) bool {
	switch kind {
	case Messages:
		return p.Message != nil
	case Sockets:
		return p.Socket != nil
	case Responses:
		return p.Response != nil || (p.Close | p.Refresh).Has(FormResponse)
	case Streams:
		return p.Stream != nil || (p.Close | p.Refresh).Has(FormStream)
	}
	return false
}

// ring is what a group remembers.
type ring struct {
	Retention
	public bool // it has offsets, and is not only for those who wait

	epoch, offset uint64
	order         uint64 // of what is pushed next
	begun         bounds // of kinds of which nothing has come
	lanes         [Kinds]*lane
	bytes         int
	used          int64 // when it last got something, or somebody waited, in Unix nanoseconds

	origins // see origins.go
}

// bounds say from where on everything of a kind is here.
type bounds struct {
	lost  uint64 // the offset of the last one that is no longer here
	floor uint64 // nothing of a later sequence is missing
}

// lane has what is remembered of one kind.
type lane struct {
	bounds
	items deque[remembered]
	bytes int
}

type remembered struct {
	p      *Publication
	at     int64
	size   int
	offset uint64 // on this node; 0: it was another one that remembered it
	order  uint64 // among all kinds: the same publication has the same in each
}

// bounds gives those of a kind.
func (r *ring) bounds(kind Kind) bounds {
	if l := r.lanes[kind]; l != nil {
		return l.bounds
	}
	return r.begun
}

// len is how many are remembered of a kind, and at gives the i-th of those.
func (r *ring) len(kind Kind) int {
	if l := r.lanes[kind]; l != nil {
		return l.items.len()
	}
	return 0
}

func (r *ring) at(kind Kind, i int) *remembered { return r.lanes[kind].items.at(i) }

// push puts a publication into the lanes of its kinds.
func (h *Hub) push(r *ring, p *Publication, at int64, offset uint64) {
	r.order++
	for kind := range Kind(Kinds) {
		if !p.Is(kind) {
			continue
		}
		if r.lanes[kind] == nil {
			r.lanes[kind] = &lane{bounds: r.begun}
		}
		h.append(r, kind, remembered{p, at, p.size(kind), offset, r.order})
	}
}

func (h *Hub) append(r *ring, kind Kind, each remembered) {
	l := r.lanes[kind]
	l.items.push(each)
	l.bytes += each.size
	r.bytes += each.size
	h.counts.historyBytes.Add(int64(each.size))
}

// bound evicts what there is no room for: of a kind the oldest beyond as many as there may be, and where there is too
// much of all, of the kind that takes the most.
func (h *Hub) bound(r *ring) {
	for kind := range Kind(Kinds) {
		for r.len(kind) > r.Size {
			h.evict(r, kind)
		}
	}
	for r.bytes > h.options.HistoryGroupBytes || r.bytes > 0 && h.counts.historyBytes.Load() > h.options.HistoryBytes {
		largest := Kind(0)
		most := 0
		for kind, l := range r.lanes {
			if l != nil && l.bytes > most {
				largest, most = Kind(kind), l.bytes
			}
		}
		h.evict(r, largest)
	}
}

func (h *Hub) evict(r *ring, kind Kind) {
	l := r.lanes[kind]
	oldest := l.items.pop()
	l.bytes -= oldest.size
	r.bytes -= oldest.size
	h.counts.historyBytes.Add(-int64(oldest.size))
	l.lost, l.floor = max(l.lost, oldest.offset), max(l.floor, oldest.p.Position.Sequence)
	r.unmark(kind, oldest.p.Stamp)
}

// clear evicts everything.
func (h *Hub) clear(r *ring) {
	for kind := range Kind(Kinds) {
		for r.len(kind) > 0 {
			h.evict(r, kind)
		}
	}
}

// renew begins another life of the group's history, with nothing in it: positions of before are not of it.
func (h *Hub) renew(g *group) {
	r := g.ring
	h.clear(r)
	r.epoch = rand.Uint64()>>11 | 1 // 53 bits, as in New
	r.begun.lost = r.offset
	for _, l := range r.lanes {
		if l != nil {
			l.lost = r.offset
		}
	}
	r.origins = origins{}
	if h.options.Remembers != nil {
		h.options.Remembers(g.name)
	}
}

// expireRing evicts what is too old.
func (h *Hub) expireRing(r *ring, now int64) {
	for kind := range Kind(Kinds) {
		for r.len(kind) > 0 && now-r.at(kind, 0).at >= int64(r.Age) {
			h.evict(r, kind)
		}
	}
}

// since gives what is remembered of a kind from the i-th on.
func (r *ring) since(kind Kind, begin int) (all []*Publication) {
	for i := begin; i < r.len(kind); i++ {
		all = append(all, r.at(kind, i).p)
	}
	return all
}

// each gives what is remembered of all kinds, in its order and each once.
func (r *ring) each(yield func(*remembered)) {
	var next [Kinds]int
	for {
		var first *remembered
		for kind := range Kind(Kinds) {
			if i := next[kind]; i < r.len(kind) && (first == nil || r.at(kind, i).order < first.order) {
				first = r.at(kind, i)
			}
		}
		if first == nil {
			return
		}
		for kind := range Kind(Kinds) {
			if i := next[kind]; i < r.len(kind) && r.at(kind, i).order == first.order {
				next[kind]++
			}
		}
		yield(first)
	}
}
