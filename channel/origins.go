package channel

import "time"

// This file is what groups remember of nodes: a publication has the number that its node gave it (Stamp), and each
// node knows for each other one from which number to which it has everything. So a position of one node can be
// answered by another: it names, for each node, the last number that was seen (Position.Origins).

// Mark says what is remembered of one node's publications to a group: of each kind everything with a number above its
// floor, up to Top.
type Mark struct {
	Origin uint64
	Floors Floors
	Top    uint64
}

// Floors are numbers of a node, one for each kind.
type Floors [Kinds]uint64

// FloorsAt gives the same one for all.
func FloorsAt(number uint64) (all Floors) {
	for kind := range all {
		all[kind] = number
	}
	return all
}

// origins are a ring's marks.
type origins struct {
	marks []Mark
	// settled: every node that lived was asked. Until then positions are for this node alone: one that leaves a node out,
	// which was not known, would have its publications given a second time.
	settled bool
	alone   bool   // something is here that others do not have, or there were too many nodes: never settled
	written string // text, until a mark changes
}

func (o *origins) find(origin uint64) *Mark {
	for i := range o.marks {
		if o.marks[i].Origin == origin {
			return &o.marks[i]
		}
	}
	return nil
}

// mark notes a publication. False: it is of before what is here, which cannot be put in order.
func (o *origins) mark(s Stamp) bool {
	o.written = ""
	if s.Origin == 0 {
		o.alone, o.settled = true, false
		return true
	}
	m := o.find(s.Origin)
	switch {
	case m == nil:
		o.put(Mark{s.Origin, FloorsAt(s.Previous), s.Number})
	case s.Number <= m.Top:
		return false
	default:
		if s.Previous > m.Top {
			m.Floors = FloorsAt(s.Previous) // something in between is missing
		}
		m.Top = s.Number
	}
	return true
}

func (o *origins) put(m Mark) {
	if len(o.marks) >= maxOrigins {
		o.alone, o.settled = true, false
		return
	}
	o.marks, o.written = append(o.marks, m), ""
}

// unmark notes that a publication is no longer here as one of a kind.
func (o *origins) unmark(kind Kind, s Stamp) {
	if m := o.find(s.Origin); m != nil {
		m.Floors[kind] = max(m.Floors[kind], s.Number)
	}
}

// whole: everything of a kind that was ever published is here.
func (o *origins) whole(kind Kind) bool {
	for _, m := range o.marks {
		if m.Floors[kind] > 0 {
			return false
		}
	}
	return true
}

// text is the Origins of a position at the end of what is here.
func (o *origins) text() string {
	if !o.settled {
		return ""
	}
	if o.written == "" {
		var text []byte
		for _, m := range o.marks {
			text = appendOrigin(text, m)
		}
		o.written = string(text)
	}
	return o.written
}

// after gives what of a kind was published after a position of another node, in the order in which it came to this one.
func (r *ring) after(kind Kind, from Position) (missed []*Publication, complete, behind bool) {
	seen, valid := from.origins()
	if !valid || len(seen) == 0 || !r.settled {
		return nil, false, false
	}
	for _, m := range r.marks {
		last := seen[m.Origin] // 0: nothing of it had come there
		if last < m.Floors[kind] {
			return nil, false, false
		}
		behind = behind || last > m.Top
	}
	for origin := range seen {
		if r.find(origin) == nil {
			return nil, false, false // what it published may be missing here
		}
	}
	for i := range r.len(kind) {
		if p := r.at(kind, i).p; p.Stamp.Number > seen[p.Stamp.Origin] {
			missed = append(missed, p)
		}
	}
	return missed, true, behind
}

// Remembrance is what a group remembers, for other nodes.
type Remembrance struct {
	Retention
	Marks []Mark
	Items []Remembered
}

// Remembered is a publication, with its position on the node that remembers it, and its age.
type Remembered struct {
	Publication *Publication
	Age         time.Duration
}

// Remembrance gives what a group remembers. False: nothing.
func (h *Hub) Remembrance(name string) (all Remembrance, found bool) {
	g := h.find(name)
	if g == nil {
		return all, false
	}
	defer g.mu.Unlock()
	r := g.ring
	if r == nil || !r.public {
		return all, false
	}
	now := time.Now().UnixNano()
	h.expireRing(r, now)
	all.Retention = r.Retention
	all.Marks = append(all.Marks, r.marks...)
	r.each(func(each *remembered) {
		if each.p.Stamp.Origin != 0 {
			all.Items = append(all.Items, Remembered{each.p, time.Duration(now - each.at)})
		}
	})
	return all, true
}

// remembering gives a group that has a history, with its lock held, or nil.
func (h *Hub) remembering(name string) *group {
	g := h.find(name)
	if g == nil {
		return nil
	}
	if g.ring == nil || !g.ring.public {
		g.mu.Unlock()
		return nil
	}
	return g
}

// Remember has a group remember what its name says. False: nothing.
func (h *Hub) Remember(name string) bool {
	if h.rule(name) == nil {
		return false
	}
	g := h.open(name)
	defer g.mu.Unlock()
	defer h.tidy(g)
	return g.ring != nil && g.ring.public
}

// Settle says that whatever a node has published to a group after floor and up to a number has been published here.
func (h *Hub) Settle(name string, origin, floor, number uint64) {
	g := h.remembering(name)
	if g == nil {
		return
	}
	defer g.mu.Unlock()
	if m := g.ring.find(origin); m == nil {
		g.ring.put(Mark{origin, FloorsAt(floor), number})
	} else if number > m.Top {
		m.Top, g.ring.written = number, ""
	}
}

// Settled says that all nodes were asked: those that live, for each of which there must be a mark. False: there is not.
func (h *Hub) Settled(name string, alive []uint64) bool {
	g := h.remembering(name)
	if g == nil {
		return false
	}
	defer g.mu.Unlock()
	for _, origin := range alive {
		if g.ring.find(origin) == nil {
			return false
		}
	}
	g.ring.settled = !g.ring.alone
	return g.ring.settled
}

// Adopt puts what another node remembers before what is remembered here: of nodes of which there is a mark what joins
// it without a gap, of nodes that are dead everything. What comes of the others by itself is not known yet.
func (h *Hub) Adopt(name string, theirs Remembrance, alive func(origin uint64) bool) {
	g := h.remembering(name)
	if g == nil {
		return
	}
	defer g.mu.Unlock()
	r := g.ring
	limits := map[uint64]Floors{} // what has a number up to this is missing here
	for _, their := range theirs.Marks {
		m := r.find(their.Origin)
		switch {
		case m != nil:
			limits[their.Origin] = m.join(&their)
		case !alive(their.Origin):
			limits[their.Origin] = FloorsAt(their.Top)
			r.put(their)
		}
	}
	now := time.Now()
	old := r.lanes
	r.lanes, r.bytes, r.order = [Kinds]*lane{}, 0, uint64(len(theirs.Items))
	for kind, l := range old {
		if l != nil {
			r.lanes[kind] = &lane{bounds: l.bounds}
			h.counts.historyBytes.Add(-int64(l.bytes))
		}
	}
	for i, each := range theirs.Items {
		h.adopt(r, each.Publication, limits, remembered{
			p: each.Publication, at: now.Add(-max(each.Age, 0)).UnixNano(), order: uint64(i),
		})
	}
	for kind, l := range old {
		for l != nil && l.items.len() > 0 {
			each := l.items.pop()
			each.order += uint64(len(theirs.Items))
			r.order = max(r.order, each.order)
			h.append(r, Kind(kind), each)
		}
	}
	h.expireRing(r, now.UnixNano())
	h.bound(r)
}

// join lowers the floors to another node's where what is above them there joins what is here. It gives those before
// that: what is to be taken over is not above them.
func (m *Mark) join(their *Mark) (limits Floors) {
	for kind := range limits {
		if their.Top >= m.Floors[kind] {
			limits[kind] = m.Floors[kind]
			m.Floors[kind] = min(m.Floors[kind], their.Floors[kind])
		}
	}
	return limits
}

// adopt takes over a publication as one of those of its kinds that lack it.
func (h *Hub) adopt(r *ring, p *Publication, limits map[uint64]Floors, each remembered) {
	for kind := range Kind(Kinds) {
		if !p.Is(kind) || p.Stamp.Number == 0 || p.Stamp.Number > limits[p.Stamp.Origin][kind] {
			continue
		}
		if r.lanes[kind] == nil {
			r.lanes[kind] = &lane{bounds: r.begun}
		}
		each.size = p.size(kind)
		h.append(r, kind, each)
	}
}
