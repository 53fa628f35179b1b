package channel

import (
	"path"
	"sync/atomic"
	"time"
)

// Retention is how much a group remembers.
type Retention struct {
	// Size is how many publications of each kind.
	Size int
	// Age is for how long. The group's count of publications lives for an hour more, so that whoever missed nothing can be
	// told so.
	Age time.Duration
}

// HistoryRule gives groups a history by their names.
type HistoryRule struct {
	// Pattern is a name in which * stands for anything but a slash, ? for one character and [a-z] for one of those.
	Pattern string
	Retention
}

// Groups for which somebody joined from a sequence remember this much for twice as long: what is published while the
// view works whose answer is about to be held.
const (
	waitSize = 64
	waitAge  = time.Minute
)

// countsLive is how long a group without members is known by its count of publications, after these have expired.
const countsLive = time.Hour

// lastTable has, for the hashes of groups' names, the sequence of the last publication. It says of groups that remember
// nothing, and of names never heard of, whether anything was published after a cursor: two names that share a place
// make it say yes too often, and never no.
type lastTable [1 << 14]atomic.Uint64

func (t *lastTable) at(hash uint64) *atomic.Uint64 { return &t[hash/shards%uint64(len(t))] }

// stamp gives a publication its sequence. The caller holds a lock that whoever joins its group needs.
func (h *Hub) stamp(hash uint64) uint64 {
	sequence := h.sequence.Add(1)
	for last := h.last.at(hash); ; {
		old := last.Load()
		if old >= sequence || last.CompareAndSwap(old, sequence) {
			return sequence
		}
	}
}

// Sequence implements Recaller.
func (h *Hub) Sequence() uint64 { return h.sequence.Load() }

// rule gives what a group remembers by its name, or nil.
func (h *Hub) rule(name string) *HistoryRule {
	for i := range h.options.History {
		if fits, _ := path.Match(h.options.History[i].Pattern, name); fits {
			return &h.options.History[i]
		}
	}
	return nil
}

// keep makes a group remember. The caller holds its lock.
func (h *Hub) keep(g *group, retention Retention, public bool) {
	r := g.ring
	counted := r != nil && (r.public || !public)
	if !counted && h.rings(public).Add(1) > int64(h.options.HistoryGroups) {
		h.rings(public).Add(-1)
		h.counts.unremembered.Add(1)
		return
	}
	if r == nil {
		r = &ring{Retention: retention, begun: bounds{floor: h.last.at(g.hash).Load()}}
		g.ring = r
		h.kept.add(g)
	} else if !counted {
		h.rings(false).Add(-1)
	}
	r.used = time.Now().UnixNano()
	if !public {
		return
	}
	r.Retention = retention
	if !r.public {
		r.public = true
		h.renew(g) // those that it has have no offsets
	}
}

// rings counts those that remember: the ones that were told to apart from those for which somebody waits, which come
// and go with clients and may not take the others' place.
func (h *Hub) rings(public bool) *atomic.Int64 {
	if public {
		return &h.counts.histories
	}
	return &h.counts.waits
}

// Keep implements Recaller.
func (h *Hub) Keep(name string, retention Retention) {
	g := h.open(name)
	h.keep(g, retention, true)
	h.tidy(g)
	g.mu.Unlock()
}

// remember puts a publication into the ring, with the position that it gets by that.
func (h *Hub) remember(g *group, p *Publication, now time.Time) {
	r := g.ring
	if r == nil {
		return
	}
	r.used = now.UnixNano()
	if r.public {
		if !r.mark(p.Stamp) {
			h.renew(g)
			r.mark(p.Stamp)
		}
		r.offset++
		p.Position.Epoch, p.Position.Offset, p.Position.Origins = r.epoch, r.offset, r.text()
	}
	h.push(r, p, r.used, r.offset)
	h.expireRing(r, r.used)
	h.bound(r)
}

// forget takes the ring away.
func (h *Hub) forget(g *group) {
	if g.ring == nil {
		return
	}
	h.clear(g.ring)
	h.rings(g.ring.public).Add(-1)
	g.ring = nil
}

// expire frees what a group no longer needs. The caller holds its lock.
func (h *Hub) expire(g *group, now time.Time) {
	for channel, until := range g.channels {
		if until <= now.UnixNano() {
			h.strike(g, channel)
		}
	}
	if r := g.ring; r != nil {
		h.expireRing(r, now.UnixNano())
		for _, l := range r.lanes {
			if l != nil && l.items.len() == 0 {
				l.items = deque[remembered]{} // it may have grown for one lively hour
			}
		}
		idle := time.Duration(now.UnixNano() - r.used)
		if r.public && len(g.members) == 0 && idle > r.Age+countsLive || !r.public && idle > 2*r.Age {
			h.forget(g)
		}
	}
	if g.ring == nil && len(g.channels) == 0 {
		h.kept.remove(g)
	}
}

// Since implements Recaller.
func (h *Hub) Since(name string, kind Kind, from Position) Recall {
	hash := h.hash(name)
	s := h.groupShard(hash)
	for {
		s.mu.RLock()
		g := s.groups[name]
		if g == nil {
			defer s.mu.RUnlock()
			return h.recall(nil, hash, kind, from)
		}
		s.mu.RUnlock()
		g.mu.Lock()
		if !g.dead {
			defer g.mu.Unlock()
			return h.recall(g.ring, hash, kind, from)
		}
		g.mu.Unlock()
	}
}

// Recall implements Recaller.
func (h *Hub) Recall(name string, kind Kind, from Position, done func(Recall)) {
	done(h.Since(name, kind, from))
}

// After implements Recaller.
func (h *Hub) After(groups []string, kind Kind, sequence uint64) (missed []*Publication, complete bool) {
	complete = true
	for _, name := range groups {
		each := h.Since(name, kind, Position{Sequence: sequence})
		missed, complete = append(missed, each.Missed...), complete && each.Complete
	}
	return missed, complete
}

// JoinFrom implements Recaller.
func (h *Hub) JoinFrom(name string, m Member, kind Kind, from Position) Recall {
	for {
		g := h.open(name)
		g.mu.Unlock()
		g.turn.Lock()
		recall, done := h.joinFrom(g, m, kind, from)
		if done {
			lost := 0
			for _, p := range recall.Missed {
				if !m.Deliver(name, p) {
					lost++
				}
			}
			if lost > 0 {
				h.dropped(dropGroup, name, lost)
			}
		}
		g.turn.Unlock()
		if done {
			return recall
		}
	}
}

// joinFrom makes m a member and gives what it missed. The caller has the turn. False: the group is dead.
func (h *Hub) joinFrom(g *group, m Member, kind Kind, from Position) (Recall, bool) {
	a, attached := h.hold(m)
	defer a.release()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return Recall{}, false
	}
	if !attached {
		h.tidy(g)
		return Recall{}, true
	}
	if a != nil {
		a.groups[g.name] = struct{}{}
	}
	if from.Epoch == 0 && from.Sequence != 0 {
		h.keep(g, Retention{waitSize, waitAge}, false)
	}
	recall := h.recall(g.ring, g.hash, kind, from)
	h.add(g, m)
	return recall, true
}

// recall looks for what of a kind was published after a position. The caller holds a lock that publishers need.
func (h *Hub) recall(r *ring, hash uint64, kind Kind, from Position) (recall Recall) {
	recall.Now.Sequence = h.sequence.Load()
	bySequence := from.Epoch == 0 && from.Sequence != 0
	if bySequence && (from.Sequence < h.first || from.Sequence > recall.Now.Sequence) {
		return recall // a cursor of another node, or of another life of this one
	}
	if r == nil {
		recall.Complete = bySequence && h.last.at(hash).Load() <= from.Sequence
		return recall
	}
	h.expireRing(r, time.Now().UnixNano())
	recall.Now.Epoch, recall.Now.Offset, recall.Now.Origins = r.epoch, r.offset, r.text()
	recall.Unsettled = r.public && !r.settled && h.options.Remembers != nil
	here, begin := r.bounds(kind), 0
	switch {
	case bySequence:
		recall.Complete = here.floor <= from.Sequence
		for begin < r.len(kind) && r.at(kind, begin).p.Position.Sequence <= from.Sequence {
			begin++
		}
	case !r.public:
		return recall
	case from == Position{}:
		recall.Complete = here.lost == 0 && (h.options.Remembers == nil || r.settled && r.whole(kind))
		recall.Missed = r.since(kind, 0)
		return recall
	case from.Epoch == r.epoch:
		recall.Complete = here.lost <= from.Offset && from.Offset <= r.offset
		for begin < r.len(kind) && r.at(kind, begin).offset <= from.Offset {
			begin++
		}
	default:
		recall.Missed, recall.Complete, recall.Behind = r.after(kind, from)
		return recall
	}
	if !recall.Complete {
		return recall // never a part: what has a gap looks whole
	}
	recall.Missed = r.since(kind, begin)
	return recall
}
