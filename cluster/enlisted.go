package cluster

import (
	"sync"
	"time"
)

// enlisted is which channels that nobody owns are in which groups. That is so on every node, whichever it was said on,
// and the node that publishes gives them the message, alone: two nodes that both had a channel in a group would both
// give it one. Whoever is said last to be in or out is it, by the clock of each node since it heard of it.
type enlisted struct {
	mu    sync.Mutex // held while the hub is told, so that it hears of changes in the order in which the others do
	facts map[listing]fact
	out   int // facts that say that a channel is not in a group
	next  time.Time
}

// listing is a channel in a group, and fact what was said of it, and when.
type listing struct{ group, channel string }

type fact struct {
	in bool
	at time.Time
}

const (
	// outFor is how long it is known that a channel was taken out, so that nodes which did not hear it do not bring it
	// back, and maxOut how many such channels are known.
	outFor = time.Hour
	maxOut = 10_000

	// renewEvery is how often the others are told of a channel that is put into its group again and again: where they
	// think that its membership ends, it ends so much earlier than here.
	renewEvery = time.Minute

	expireEvery = 10 * time.Second
)

// enlist puts a channel that nobody owns into a group, or takes it out, on all nodes.
func (n *Node) enlist(at listing, in bool) error {
	n.enlisted.mu.Lock()
	defer n.enlisted.mu.Unlock()
	now := time.Now()
	old, known := n.enlisted.facts[at]
	if err := n.note(at, fact{in, now}); err != nil {
		return err
	}
	// Applications say so again with each request. What the others know anyway they hear of now and then: it expires.
	if known && in && old.in && now.Sub(old.at) < min(n.hub.GroupExpiry()/10, renewEvery) {
		n.enlisted.facts[at] = old
		return nil
	}
	n.news.mu.Lock()
	defer n.news.mu.Unlock()
	n.tell(changeOf(at, fact{in, now}, now))
	return nil
}

// note does what is said of a channel, unless something later is known. The caller holds the lock.
func (n *Node) note(at listing, f fact) error {
	e := &n.enlisted
	old, known := e.facts[at]
	if known && f.at.Before(old.at) {
		return nil
	}
	if f.in {
		if err := n.hub.EnlistUntil(at.group, at.channel, f.at.Add(n.hub.GroupExpiry())); err != nil {
			return err
		}
	} else {
		n.hub.Strike(at.group, at.channel)
	}
	if known && !old.in {
		e.out--
		delete(e.facts, at)
	}
	switch {
	case f.in:
		e.facts[at] = f
	case e.out < maxOut:
		e.facts[at] = f
		e.out++
	default:
		delete(e.facts, at)
	}
	return nil
}

// heardListing is note for what another node says.
func (n *Node) heardListing(c change) {
	n.enlisted.mu.Lock()
	defer n.enlisted.mu.Unlock()
	in := c.what == enlists
	if over := c.age >= outFor; !in && over || in && c.age >= n.hub.GroupExpiry() {
		return
	}
	// Where there is no room it is in the group on the nodes that have some.
	_ = n.note(listing{c.at.group, c.at.user}, fact{in, time.Now().Add(-c.age)})
}

// expire forgets what does not count any more; the hub does so by itself.
func (e *enlisted) expire(now time.Time, expiry time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Before(e.next) {
		return
	}
	e.next = now.Add(expireEvery)
	for at, f := range e.facts {
		switch age := now.Sub(f.at); {
		case f.in && age >= expiry:
			delete(e.facts, at)
		case !f.in && age >= outFor:
			delete(e.facts, at)
			e.out--
		}
	}
}

func changeOf(at listing, f fact, now time.Time) change {
	c := change{what: strikes, at: place{group: at.group, user: at.channel}, age: max(now.Sub(f.at), 0)}
	if f.in {
		c.what = enlists
	}
	return c
}

// flush forgets all of it, with the hub.
func (n *Node) flush() {
	n.enlisted.mu.Lock()
	defer n.enlisted.mu.Unlock()
	n.hub.Flush()
	clear(n.enlisted.facts)
	n.enlisted.out = 0
}
