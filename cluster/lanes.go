package cluster

import (
	"encoding/binary"
	"time"

	"backline/channel"
)

// lane is the way of one group's publications from one node: delivered in their order, each once.
type lane struct {
	last    uint64     // everything up to this number is here, or was reported to be lost
	held    []numbered // later ones, while something before them is asked for
	bytes   int
	asking  uint64 // the question under way, or 0
	proven  bool   // something is missing for certain
	through uint64 // and is before this number
}

// maxHeld bounds what waits in a lane for the answer to a question.
const maxHeld = 8 << 20

// ask is a question to a node: what was missed.
type ask struct {
	at     time.Time
	due    time.Time
	wants  []want
	slack  time.Duration // in the ages of these
	parts  int           // of the answer, that have come
	second bool
}

// young is how old a subscription may be for what another node publishes to be asked for from its beginning on: the
// server of the bus takes a moment until it knows of it.
const young = 5 * time.Second

// slack is added to an age for the time until it is read: what was published that long before somebody came may reach
// him, rather than what was published after it be missed. Where the answer takes longer than that it does not count,
// and the question is put again, with more of it, up to maxSlack.
const (
	slack    = 50 * time.Millisecond
	maxSlack = 10 * time.Second
)

// published handles a publication that came by itself.
func (n *Node) published(from nodeID, p numbered, now time.Time) error {
	since, wanted := n.interest.since(p.group)
	if !wanted {
		return nil // it was on its way when the last member left
	}
	peer := n.loop.peers[from]
	if peer == nil {
		if peer = n.meet(from, now); peer == nil {
			return nil
		}
		peer.beat.count = ^uint64(0) // whatever its first beat says, something may be missing
	}
	l := peer.lanes[p.group]
	if l == nil {
		l = &lane{}
		peer.lanes[p.group] = l
		if p.prev == 0 || peer.caught && now.Sub(since) > young {
			l.last = p.prev
		}
	}
	switch {
	case p.seq <= l.last:
		n.counts.repeated.Add(1)
		return nil
	case l.asking == 0 && p.prev <= l.last:
		l.last = p.seq
		return n.deliver(p)
	}
	l.hold(p)
	if p.prev > l.last && l.last > 0 {
		l.proven, l.through = true, max(l.through, p.prev)
	}
	if l.bytes > maxHeld {
		return n.skip(peer, p.group, l)
	}
	if l.asking == 0 {
		n.askFor(peer, []want{l.want(p.group, since, now)}, now)
	}
	return nil
}

func (l *lane) hold(p numbered) {
	l.held = append(l.held, p)
	l.bytes += len(p.packet)
}

func (l *lane) want(group string, since, now time.Time) want {
	if l.last > 0 {
		return want{group: group, after: l.last}
	}
	return want{group: group, age: uint64((max(now.Sub(since), 0) + slack).Milliseconds())}
}

// deliver gives a publication to whoever is here.
func (n *Node) deliver(p numbered) error {
	r := &reader{buf: p.body}
	publication := r.publication()
	if err := r.end(); err != nil {
		return err
	}
	n.counts.received.Add(1)
	publication.Stamp = channel.Stamp{Origin: uint64(p.from), Number: p.seq, Previous: p.prev}
	n.hub.Publish(p.group, publication)
	return nil
}

// catchUpWithAll asks every node for what was missed.
func (n *Node) catchUpWithAll() {
	now := time.Now()
	for _, p := range n.loop.peers {
		p.unsure = true
		if p.alive {
			p.unsure = false
			n.catchUp(p, now)
		}
	}
}

// settle asks every node for what it published to new groups before the bus knew that they are heard here.
func (n *Node) settle(now time.Time) {
	groups := n.interest.settle()
	if len(groups) == 0 {
		return
	}
	for _, p := range n.loop.peers {
		if p.alive {
			n.catchUpIn(p, groups, now)
		}
	}
}

// catchUp asks a node what was missed in every group that is heard here.
func (n *Node) catchUp(p *peer, now time.Time) {
	n.counts.catchUps.Add(1)
	p.caught = true
	groups := n.interest.all()
	for group, l := range p.lanes {
		if _, wanted := groups[group]; !wanted && l.asking == 0 {
			delete(p.lanes, group)
		}
	}
	n.catchUpIn(p, groups, now)
}

func (n *Node) catchUpIn(p *peer, groups map[string]time.Time, now time.Time) {
	var wants []want
	size := 0
	for group, since := range groups {
		l := p.lanes[group]
		if l == nil {
			l = &lane{}
			p.lanes[group] = l
		}
		if l.asking != 0 {
			p.unsure = true // the answer under way may be older than what was lost: once more
			continue
		}
		w := l.want(group, since, now)
		wants, size = append(wants, w), size+len(group)+24
		if len(wants) == maxWants || size > maxBatch {
			n.askFor(p, wants, now)
			wants, size = nil, 0
		}
	}
	if len(wants) > 0 {
		n.askFor(p, wants, now)
	}
}

func (n *Node) askFor(p *peer, wants []want, now time.Time) {
	n.loop.requests++
	id := n.loop.requests
	packet := binary.AppendUvarint(binary.AppendUvarint(head(kindAsk, n.id), id), uint64(len(wants)))
	for _, w := range wants {
		packet = appendWant(packet, w)
		p.lanes[w.group].asking = id
	}
	p.asks[id] = &ask{at: now, due: now.Add(n.options.Timeout), wants: wants, slack: slack}
	n.outbox.publish(n.subjects.node(p.id), packet)
}

// tellMissed answers such a question.
func (n *Node) tellMissed(to nodeID, request uint64, wants []want) {
	now, subject := time.Now(), n.subjects.node(to)
	parts, upto := 0, uint64(0)
	send := func(f fill) {
		f.part = uint64(parts)
		parts++
		n.outbox.publish(subject, appendFill(head(kindFill, n.id), f))
	}
	for i, w := range wants {
		packets, complete, last := n.ring.missed(w, now)
		if i == 0 {
			upto = last // what is published to a later group meanwhile comes by itself, too
		}
		if complete && len(packets) == 0 {
			continue
		}
		f := fill{request: request, group: w.group, complete: complete}
		size := 0
		for _, packet := range packets {
			if size+len(packet) > maxBatch && size > 0 {
				send(f)
				f.packets, size, f.complete = nil, 0, true // what is missing was said
			}
			f.packets, size = append(f.packets, packet), size+len(packet)+4
		}
		send(f)
	}
	packet := binary.AppendUvarint(binary.AppendUvarint(head(kindFilled, n.id), request), uint64(parts))
	n.outbox.publish(subject, binary.AppendUvarint(packet, upto))
}

// filled handles a part of the answer.
func (n *Node) filled(p *peer, f fill) error {
	a, l := p.asks[f.request], p.lanes[f.group]
	if a == nil || l == nil || l.asking != f.request || n.tooSlow(p, f.request, a, time.Now()) {
		return nil // it came too late
	}
	if f.part != uint64(a.parts) {
		// One before it is lost, which may have said that something is missing: filledAll has all from there asked for again.
		return nil
	}
	a.parts++
	if !f.complete {
		n.gap(f.group, p)
	}
	l.proven = false // what is missing is here, or was just reported
	for _, packet := range f.packets {
		_, from, r, err := readHead(packet)
		if err != nil {
			return err
		}
		each, err := r.numbered(from, packet)
		switch {
		case err != nil:
			return err
		case from != p.id || each.group != f.group || each.seq <= l.last:
			continue
		}
		l.last = each.seq
		n.counts.filled.Add(1)
		if err := n.deliver(each); err != nil {
			return err
		}
	}
	return nil
}

// filledAll handles the end of the answer.
func (n *Node) filledAll(p *peer, request uint64, parts int, upto uint64) error {
	a := p.asks[request]
	if a == nil || n.tooSlow(p, request, a, time.Now()) {
		return nil
	}
	if a.parts < parts {
		a.due = time.Time{} // a part is lost: asked again, or given up, at the next tick
		return nil
	}
	delete(p.asks, request)
	var first error
	for _, w := range a.wants {
		l := p.lanes[w.group]
		if l == nil || l.asking != request {
			continue
		}
		l.last, l.asking, l.proven = max(l.last, upto), 0, false
		n.hub.Settle(w.group, uint64(p.id), l.last, l.last) // since the group came to be here; Adopt knows of before
		if err := n.release(l); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// tooSlow asks again where an age was read so late that it may have been too short. Nothing of the answer was taken.
func (n *Node) tooSlow(p *peer, id uint64, a *ask, now time.Time) bool {
	took := now.Sub(a.at)
	if took <= a.slack || a.slack >= maxSlack || a.parts > 0 {
		return false
	}
	more := min(2*took, maxSlack)
	var again []want
	byAge := false
	for _, w := range a.wants {
		if l := p.lanes[w.group]; l == nil || l.asking != id {
			continue
		}
		if w.after == 0 {
			byAge = true
			w.age += uint64((took + more - a.slack).Milliseconds())
		}
		again = append(again, w)
	}
	if !byAge {
		return false
	}
	delete(p.asks, id)
	n.askFor(p, again, now)
	p.asks[n.loop.requests].slack = more
	return true
}

// release delivers what was held.
func (n *Node) release(l *lane) (first error) {
	for _, each := range l.held {
		if each.seq <= l.last {
			continue
		}
		l.last = each.seq
		if err := n.deliver(each); err != nil && first == nil {
			first = err
		}
	}
	l.held, l.bytes = nil, 0
	return first
}

// skip goes on without what is missing, and says so.
func (n *Node) skip(p *peer, group string, l *lane) error {
	n.gap(group, p)
	l.asking, l.proven = 0, false
	return n.release(l)
}

// checkAsks asks again where no answer came, once, and then goes on without.
func (n *Node) checkAsks(p *peer, now time.Time) {
	for id, a := range p.asks {
		if now.Before(a.due) {
			continue
		}
		if a.second {
			n.giveUp(p, id, true)
			continue
		}
		delete(p.asks, id)
		var again []want
		for _, w := range a.wants {
			if l := p.lanes[w.group]; l != nil && l.asking == id {
				if l.last > 0 {
					w.after, w.age = l.last, 0 // parts of the answer may have come
				} else {
					w.age += uint64(now.Sub(a.at).Milliseconds())
				}
				again = append(again, w)
			}
		}
		if len(again) > 0 {
			n.askFor(p, again, now)
			p.asks[n.loop.requests].second = true
		}
	}
}

// giveUp ends a question without an answer. What was lost for certain is a gap; what may have been is one too, unless
// the node is silent: then it is asked when it is heard again.
func (n *Node) giveUp(p *peer, id uint64, certain bool) {
	for _, w := range p.asks[id].wants {
		l := p.lanes[w.group]
		if l == nil || l.asking != id {
			continue
		}
		if certain || l.proven {
			_ = n.skip(p, w.group, l)
			continue
		}
		l.asking = 0
		_ = n.release(l)
	}
	delete(p.asks, id)
}

// gap says that publications are lost to a group.
func (n *Node) gap(group string, p *peer) {
	n.counts.gaps.Add(1)
	n.loop.gaps.add(group, p.name)
	n.hub.Break(group)
}
