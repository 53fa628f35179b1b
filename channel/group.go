package channel

import (
	"slices"
	"sync"
	"time"
)

// groupShard holds the groups that have members, enlisted channels or a history.
type groupShard struct {
	mu     sync.RWMutex
	groups map[string]*group
}

// group is who gets what is published to it.
type group struct {
	name string
	hash uint64

	turn   sync.Mutex // held by a publication from its position until all have it
	to     []Member   // those that get it; empty between two
	toward []string   // and the channels that nobody owns

	mu       sync.Mutex
	dead     bool // no longer in the table: look again
	members  []Member
	index    map[Member]int   // where each stands, once there are more than a few
	channels map[string]int64 // those that nobody owns, and until when they are members
	ring     *ring            // what was published, nil where nobody asks
}

// indexFrom is how many members are found faster by a map than by looking at each; most groups have one or two, for
// which a map would take more memory than all else.
const indexFrom = 16

func (h *Hub) groupShard(hash uint64) *groupShard { return &h.groups[hash%shards] }

// Publish implements Layer.
func (h *Hub) Publish(name string, p *Publication) { h.PublishNumbered(name, p, nil) }

// PublishNumbered is Publish for a node among several: number is called once, when the place of the publication among
// those of its group is decided, and before anybody has it. It must not block, nor call the hub.
func (h *Hub) PublishNumbered(name string, p *Publication, number func() Stamp) {
	h.counts.published.Add(1)
	for {
		g := h.audience(name, p, number)
		if g == nil {
			return
		}
		g.turn.Lock()
		done := h.publish(g, p, number)
		g.turn.Unlock()
		if done {
			return
		}
	}
}

// audience gives the group, or stamps a publication that nobody hears and nobody remembers. Under the shard's lock,
// so that whoever joins later finds the stamp.
func (h *Hub) audience(name string, p *Publication, number func() Stamp) *group {
	hash := h.hash(name)
	s := h.groupShard(hash)
	s.mu.RLock()
	g := s.groups[name]
	if g == nil && h.rule(name) == nil {
		p.Position = Position{Sequence: h.stamp(hash)}
		if number != nil {
			p.Stamp = number()
		}
		s.mu.RUnlock()
		return nil
	}
	s.mu.RUnlock()
	if g == nil {
		g = h.open(name)
		g.mu.Unlock()
	}
	return g
}

// publish gives a publication to everybody. The caller holds the turn. False: the group is dead.
func (h *Hub) publish(g *group, p *Publication, number func() Stamp) bool {
	g.mu.Lock()
	if g.dead {
		g.mu.Unlock()
		return false
	}
	p.Position = Position{Sequence: h.stamp(g.hash)}
	if number != nil {
		p.Stamp = number()
	}
	now := time.Time{}
	if g.ring != nil || len(g.channels) > 0 {
		now = time.Now()
		h.remember(g, p, now)
	}
	g.to = append(g.to[:0], g.members...)
	g.toward = g.toward[:0]
	// One that comes from another node has been given to them there: they are in the group on every node.
	foreign := number == nil && p.Stamp.Origin != 0
	for channel, until := range g.channels {
		if until > now.UnixNano() && !foreign {
			g.toward = append(g.toward, channel)
		}
	}
	h.tidy(g) // where there is no room for one history more, the group was made for nothing
	g.mu.Unlock()
	lost := 0
	for _, m := range g.to {
		if m != p.Except && !m.Deliver(g.name, p) {
			lost++
		}
	}
	if p.Message != nil {
		for _, channel := range g.toward {
			if h.put(channel, p.Message, ignore) != nil {
				lost++
			}
		}
	}
	h.counts.delivered.Add(uint64(len(g.to) + len(g.toward) - lost))
	if lost > 0 {
		h.dropped(dropGroup, g.name, lost)
	}
	clear(g.to) // whoever leaves meanwhile is not to be kept in memory by what it got last
	return true
}

// Join implements Layer.
func (h *Hub) Join(name string, m Member) {
	a, ok := h.hold(m)
	if !ok {
		return
	}
	if a != nil {
		a.groups[name] = struct{}{}
	}
	g := h.open(name)
	h.add(g, m)
	g.mu.Unlock()
	a.release()
}

// Leave implements Layer.
func (h *Hub) Leave(name string, m Member) {
	a, ok := h.hold(m)
	if !ok {
		return // Detach leaves, or has left
	}
	if a != nil {
		delete(a.groups, name)
	}
	h.leave(name, m)
	a.release()
}

func (h *Hub) leave(name string, m Member) {
	if g := h.find(name); g != nil {
		h.remove(g, m)
		h.tidy(g)
		g.mu.Unlock()
	}
}

// add makes a member. The caller holds the group's lock, as for all that follow.
func (h *Hub) add(g *group, m Member) {
	if g.position(m) >= 0 {
		return
	}
	g.members = append(g.members, m)
	h.counts.members.Add(1)
	switch {
	case g.index != nil:
		g.index[m] = len(g.members) - 1
	case len(g.members) > indexFrom:
		g.index = make(map[Member]int, 2*indexFrom)
		for i, each := range g.members {
			g.index[each] = i
		}
	}
}

func (h *Hub) remove(g *group, m Member) {
	i := g.position(m)
	if i < 0 {
		return
	}
	last := len(g.members) - 1
	if i != last {
		g.members[i] = g.members[last]
		if g.index != nil {
			g.index[g.members[i]] = i
		}
	}
	g.members[last] = nil
	g.members = g.members[:last]
	delete(g.index, m)
	h.counts.members.Add(-1)
}

// position is where a member stands, or -1.
func (g *group) position(m Member) int {
	if g.index == nil {
		return slices.Index(g.members, m)
	}
	if i, found := g.index[m]; found {
		return i
	}
	return -1
}

// Enlist implements Layer.
func (h *Hub) Enlist(name, channel string, in bool, done func(error)) {
	if id, owned := Owner(channel); owned {
		if owner := h.owner(id); owner != nil {
			owner.process.Enlist(name, channel, in, done)
			return
		}
		done(nil)
		return
	}
	if !in {
		h.Strike(name, channel)
		done(nil)
		return
	}
	done(h.EnlistUntil(name, channel, time.Now().Add(h.options.GroupExpiry)))
}

// GroupExpiry is how long a channel that nobody owns stays in a group after it was last put there.
func (h *Hub) GroupExpiry() time.Duration { return h.options.GroupExpiry }

// Strike takes a channel that nobody owns out of a group.
func (h *Hub) Strike(name, channel string) {
	if g := h.find(name); g != nil {
		h.strike(g, channel)
		h.tidy(g)
		g.mu.Unlock()
	}
}

// EnlistUntil puts a channel that nobody owns into a group. Where there are several nodes each has it there, and the
// one that publishes gives it the message.
func (h *Hub) EnlistUntil(name, channel string, until time.Time) error {
	g := h.open(name)
	defer g.mu.Unlock()
	_, was := g.channels[channel]
	full := !was && h.counts.enlisted.Add(1) > maxEnlisted
	if full {
		h.counts.enlisted.Add(-1)
		h.tidy(g)
		return ErrNoRoom
	}
	if g.channels == nil {
		g.channels = map[string]int64{}
	}
	g.channels[channel] = until.UnixNano()
	h.kept.add(g)
	return nil
}

// maxEnlisted bounds the memberships of channels that nobody owns, which end by themselves only after a day.
const maxEnlisted = 100_000

func (h *Hub) strike(g *group, channel string) {
	if _, was := g.channels[channel]; was {
		delete(g.channels, channel)
		h.counts.enlisted.Add(-1)
	}
}

// flushGroup ends all memberships and forgets what was published.
func (h *Hub) flushGroup(g *group) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return
	}
	h.counts.members.Add(-int64(len(g.members)))
	clear(g.members)
	g.members, g.index = nil, nil
	for channel := range g.channels {
		h.strike(g, channel)
	}
	h.forget(g)
	h.tidy(g)
}

// find gives a group with its lock held, or nil.
func (h *Hub) find(name string) *group {
	s := h.groupShard(h.hash(name))
	for {
		s.mu.RLock()
		g := s.groups[name]
		s.mu.RUnlock()
		if g == nil {
			return nil
		}
		g.mu.Lock()
		if !g.dead {
			return g
		}
		g.mu.Unlock()
	}
}

// open gives a group with its lock held, and makes it where there is none.
func (h *Hub) open(name string) *group {
	hash := h.hash(name)
	s := h.groupShard(hash)
	for {
		if g := h.find(name); g != nil {
			return g
		}
		g := &group{name: name, hash: hash}
		g.mu.Lock()
		s.mu.Lock()
		if s.groups[name] == nil {
			s.groups[name] = g
			s.mu.Unlock()
			h.counts.groups.Add(1)
			if rule := h.rule(name); rule != nil {
				h.keep(g, rule.Retention, true)
			}
			if h.options.Interest != nil {
				h.options.Interest(name, true)
			}
			return g
		}
		s.mu.Unlock()
	}
}

// tidy takes a group out of the table that has nobody and nothing.
func (h *Hub) tidy(g *group) {
	if len(g.members) > 0 || len(g.channels) > 0 || g.ring != nil {
		return
	}
	g.dead = true
	h.kept.remove(g)
	h.counts.groups.Add(-1)
	if h.options.Interest != nil {
		h.options.Interest(g.name, false) // before another one of this name can be made
	}
	s := h.groupShard(g.hash)
	s.mu.Lock()
	delete(s.groups, g.name)
	s.mu.Unlock()
}

func (s *groupShard) all() []*group {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*group, 0, len(s.groups))
	for _, g := range s.groups {
		all = append(all, g)
	}
	return all
}

// keptGroups are those with something that expires.
type keptGroups struct {
	mu     sync.Mutex
	groups map[*group]struct{}
}

func (k *keptGroups) add(g *group) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.groups[g] = struct{}{}
}

func (k *keptGroups) remove(g *group) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.groups, g)
}

func (k *keptGroups) all() []*group {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]*group, 0, len(k.groups))
	for g := range k.groups {
		all = append(all, g)
	}
	return all
}
