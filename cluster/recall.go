package cluster

import (
	"slices"
	"sync"
	"time"

	"backline/channel"
)

// This file is how a node comes to know what was published to a group before the group came to be here: it asks all
// others what they remember, once when the group begins to remember, and again for a position that it cannot answer.
// What is asked of the lanes at the same time says from which number on everything comes by itself (Hub.Settle).

// recalls are the groups of which others are to be asked, and who waits for that.
type recalls struct {
	mu      sync.Mutex
	groups  map[string][]waiter
	waiting int
	wake    chan struct{}
}

// waiter is somebody who wants to know what was published after a position.
type waiter struct {
	kind channel.Kind
	from channel.Position
	done func(channel.Recall)
	due  time.Time
}

// fetch is a question to all other nodes that live. Only the loop touches it.
type fetch struct {
	next    time.Time // when it is asked
	tries   int
	waiters []waiter
	due     time.Time
	asked   map[nodeID]uint64 // who has not answered, and the request; nil: it has yet to be asked
	answers []memory
	again   bool // something has changed since
}

const (
	maxWaiters = 10_000 // those that wait for other nodes; more are answered from here
	maxFetches = 1000   // at the same time; others wait for their turn
	maxTries   = 3
	maxWait    = 5 * time.Second // of a waiter, whose process gives up after 10 s
)

// remembersAnew hears from the hub that a group begins to remember. It is called under the group's lock.
func (n *Node) remembersAnew(group string) {
	if len(group) <= maxName {
		n.recalls.want(group, nil)
	}
}

// want has a group's history asked for. False: too many wait.
func (r *recalls) want(group string, who *waiter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiters := r.groups[group]
	if who != nil {
		if r.waiting >= maxWaiters {
			return false
		}
		r.waiting++
		waiters = append(waiters, *who)
	}
	r.groups[group] = waiters
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return true
}

// take gives some of the groups.
func (r *recalls) take(most int) map[string][]waiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.groups) <= most {
		all := r.groups
		r.groups = map[string][]waiter{}
		return all
	}
	some := make(map[string][]waiter, most)
	for group, waiters := range r.groups {
		if len(some) == most {
			break
		}
		some[group] = waiters
		delete(r.groups, group)
	}
	return some
}

func (r *recalls) answered(waiters int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting -= waiters
}

// Recall implements channel.Recaller.
func (n *Node) Recall(group string, kind channel.Kind, from channel.Position, done func(channel.Recall)) {
	found := n.hub.Since(group, kind, from)
	young := time.Since(n.started) < n.options.Timeout // the bus may be there in a moment
	if len(group) > maxName || !n.outbox.isUp() && !young || !n.worthAsking(group, from, found) {
		done(found)
		return
	}
	who := waiter{kind, from, done, time.Now().Add(min(2*n.options.Timeout, maxWait))}
	if !n.recalls.want(group, &who) {
		done(found)
	}
}

// worthAsking says whether others may know more.
func (n *Node) worthAsking(group string, from channel.Position, found channel.Recall) bool {
	switch {
	case found.Complete:
		return found.Behind
	case from == channel.Position{}:
		return found.Unsettled || found.Now.Epoch == 0 && n.hub.Remember(group)
	default:
		return from.Origins != "" && from.Epoch != found.Now.Epoch
	}
}

// recall goes on with what is asked of others.
func (n *Node) recall(now time.Time) {
	for group, waiters := range n.recalls.take(max(maxFetches-len(n.loop.fetches), 0)) {
		f := n.loop.fetches[group]
		if f == nil {
			f = &fetch{}
			n.loop.fetches[group] = f
		}
		f.again = f.asked != nil
		f.waiters = append(f.waiters, waiters...)
	}
	for group, f := range n.loop.fetches {
		for id := range f.asked {
			if p := n.loop.peers[id]; p == nil || !p.alive {
				delete(f.asked, id)
			}
		}
		switch {
		case f.asked == nil && !now.Before(f.next):
			n.fetch(group, f, now)
		case f.asked != nil && (len(f.asked) == 0 || !now.Before(f.due)):
			n.fetched(group, f, now)
		}
		n.answer(group, f, func(_ channel.Recall, each waiter) bool { return !now.Before(each.due) })
	}
}

// answer answers those of who wait to whom ready says yes.
func (n *Node) answer(group string, f *fetch, ready func(channel.Recall, waiter) bool) {
	var later []waiter
	for _, each := range f.waiters {
		if found := n.hub.Since(group, each.kind, each.from); ready(found, each) {
			each.done(found)
		} else {
			later = append(later, each)
		}
	}
	n.recalls.answered(len(f.waiters) - len(later))
	f.waiters = later
}

// fetch asks. At the start, until the others have had the time to say that they live, it waits.
func (n *Node) fetch(group string, f *fetch, now time.Time) {
	if !n.outbox.isUp() || now.Sub(n.loop.bus) < n.options.Timeout {
		return
	}
	last, ofAll := n.ring.last(group)
	n.hub.Settle(group, uint64(n.id), last, ofAll)
	f.due, f.asked, f.answers = now.Add(n.options.Timeout), map[nodeID]uint64{}, nil
	since, heard := n.interest.since(group)
	for id, p := range n.loop.peers {
		if !p.alive {
			continue
		}
		if heard {
			n.catchUpIn(p, map[string]time.Time{group: since}, now) // answered before what follows
		}
		n.loop.requests++
		f.asked[id] = n.loop.requests
		n.outbox.publish(n.subjects.node(id), appendText(appendUint(head(kindRecall, n.id), n.loop.requests), group))
	}
	if len(f.asked) == 0 {
		n.fetched(group, f, now)
	}
}

// recalled handles an answer.
func (n *Node) recalled(p *peer, m memory) {
	f := n.loop.fetches[m.group]
	if f == nil || f.asked[p.id] != m.request {
		return // it came too late
	}
	delete(f.asked, p.id)
	f.answers = append(f.answers, m)
	if len(f.asked) == 0 {
		n.fetched(m.group, f, time.Now())
	}
}

// fetched puts the answers together, when all are there or it is time.
func (n *Node) fetched(group string, f *fetch, now time.Time) {
	begins := n.begins(group, f) // then it is asked anew: from now on everything is kept here
	var alive []uint64
	for id, p := range n.loop.peers {
		if p.alive {
			alive = append(alive, uint64(id))
		}
	}
	alive = append(alive, uint64(n.id))
	for _, each := range f.answers {
		if !begins {
			n.hub.Adopt(group, each.Remembrance, func(origin uint64) bool { return slices.Contains(alive, origin) })
		}
	}
	settled := !begins && len(f.asked) == 0 && n.hub.Settled(group, alive)
	again := begins || f.again
	n.answer(group, f, func(found channel.Recall, _ waiter) bool {
		return found.Complete && !found.Behind || settled && !again
	})
	f.asked, f.answers, f.again = nil, nil, false
	f.next = now.Add(n.options.Timeout / beatsInTimeout)
	if again {
		f.next = now
		return
	}
	if f.tries++; settled || f.tries == maxTries {
		n.answer(group, f, func(channel.Recall, waiter) bool { return true })
		delete(n.loop.fetches, group)
	}
}

// begins has a group remember that others remember: somebody was told to keep it (Keep). False: it did before.
func (n *Node) begins(group string, f *fetch) bool {
	for _, each := range f.answers {
		if each.Size > 0 && n.hub.Since(group, channel.Messages, channel.Position{}).Now.Epoch == 0 {
			n.hub.Keep(group, each.Retention)
			return n.hub.Since(group, channel.Messages, channel.Position{}).Now.Epoch != 0
		}
	}
	return false
}
