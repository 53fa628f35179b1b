package cluster

import (
	"time"

	"backline/channel"
)

// peer is another node.
type peer struct {
	id     nodeID
	name   string
	heard  time.Time
	alive  bool
	caught bool // it was asked what was missed at least once
	unsure bool // packets of it may have been lost since it was last asked

	beat  beat
	lanes map[string]*lane
	asks  map[uint64]*ask

	remote *remote // what it is in the hub, while it lives
	news   uint64  // the version of its news that is known
	asked  time.Time
	states map[uint64]state // parts of a state that has not come whole
	places map[place]struct{}
}

// maxPeers bounds the nodes that are remembered, dead ones included.
const maxPeers = 1000

// heard handles a beat.
func (n *Node) heard(id nodeID, b beat, now time.Time) {
	p := n.loop.peers[id]
	if p == nil {
		if b.leaves {
			return
		}
		if p = n.meet(id, now); p == nil {
			return
		}
		p.beat = b
		p.beat.count-- // so that this one is the next
	}
	p.heard, p.name = now, b.name
	if b.leaves {
		n.options.Log.Info("a server leaves the bus", "server", clip(p.name), "id", id)
		n.bury(p)
		n.forgetPeer(p)
		return
	}
	if !p.alive {
		n.revive(p)
	}
	if b.count != p.beat.count+1 || b.losses != p.beat.losses {
		p.unsure = true
	}
	p.beat = b
	if p.unsure {
		p.unsure = false
		n.catchUp(p, now)
	}
	if b.news != p.news && now.Sub(p.asked) > n.options.Timeout {
		p.asked = now
		n.outbox.publish(n.subjects.node(id), head(kindAskState, n.id))
	}
}

// meet notes a node that was not known.
func (n *Node) meet(id nodeID, now time.Time) *peer {
	if len(n.loop.peers) >= maxPeers {
		for _, each := range n.loop.peers {
			if !each.alive {
				n.forgetPeer(each)
				break
			}
		}
		if len(n.loop.peers) >= maxPeers {
			return nil
		}
	}
	p := &peer{
		id: id, heard: now, unsure: true, lanes: map[string]*lane{}, asks: map[uint64]*ask{},
		states: map[uint64]state{}, places: map[place]struct{}{},
	}
	n.loop.peers[id] = p
	// It is to know of us before it publishes anything else.
	n.sendBeat(now, false)
	return p
}

// revive makes a node one that lives: it was not known, or counted as dead.
func (n *Node) revive(p *peer) {
	p.remote = &remote{node: n, id: p.id, open: map[string]bool{}}
	if n.hub.Attach("node:"+p.id.String(), p.remote) != nil {
		return // a process has chosen this very name
	}
	p.alive, p.unsure = true, true
	p.asked = time.Time{}
	p.news = 0
	n.live.Add(1)
	n.options.Log.Info("a server is on the bus", "server", clip(p.name), "id", p.id, "servers", n.live.Load()+1)
	n.sendState(p.id)
}

// bury ends what a node had here: its presence, and what it read.
func (n *Node) bury(p *peer) {
	if !p.alive {
		return
	}
	p.alive, p.unsure = false, true
	n.live.Add(-1)
	n.hub.Detach("node:" + p.id.String())
	p.remote = nil
	clear(p.places)
	clear(p.states)
	for id := range p.asks {
		n.giveUp(p, id, false)
	}
}

// forgetPeer forgets a node for good.
func (n *Node) forgetPeer(p *peer) { delete(n.loop.peers, p.id) }

// checkPeers finds nodes that are silent, and questions without an answer.
func (n *Node) checkPeers(now time.Time) {
	for _, p := range n.loop.peers {
		silent := now.Sub(p.heard)
		switch {
		case p.alive && silent > n.options.Timeout:
			n.options.Log.Warn("a server is silent: what it had counts as gone until it is heard again",
				"server", clip(p.name), "id", p.id, "silent", silent.Round(time.Millisecond))
			n.counts.deaths.Add(1)
			n.bury(p)
		case !p.alive && silent > 2*n.options.Keep:
			n.forgetPeer(p) // it would have to tell of a gap anyway
		case p.alive:
			n.checkAsks(p, now)
		}
	}
}

// heardNews handles one piece of news.
func (n *Node) heardNews(p *peer, version uint64, c change) {
	if !p.alive || version != p.news+1 {
		return // old, or something is missing: the next beat tells
	}
	p.news = version
	n.apply(p, c)
}

func (n *Node) apply(p *peer, c change) {
	who := channel.Here{User: c.at.user, Socket: c.at.socket, Info: c.info}
	switch c.what {
	case reads:
		p.remote.reads(c.at.group)
	case enters:
		if len(p.places) < maxPlaces && n.hub.Enter(c.at.group, p.remote, who) == nil {
			p.places[c.at] = struct{}{}
		}
	case enlists, strikes:
		n.heardListing(c)
	case exits:
		if _, known := p.places[c.at]; known {
			delete(p.places, c.at)
			n.hub.Exit(c.at.group, who)
		}
	}
}

// maxParts bounds the parts of a state.
const maxParts = 1024

// heardState handles a part of everything that a node says of itself.
func (n *Node) heardState(p *peer, s state) {
	if !p.alive || s.parts == 0 || s.parts > maxParts || s.part >= s.parts {
		return
	}
	for part, each := range p.states {
		if each.version != s.version || each.parts != s.parts {
			delete(p.states, part)
		}
	}
	p.states[s.part] = s
	if len(p.states) < int(s.parts) {
		return
	}
	gone := p.places
	p.places = map[place]struct{}{}
	for _, each := range p.states {
		for _, c := range each.changes {
			n.apply(p, c)
		}
	}
	for at := range gone {
		if _, still := p.places[at]; !still {
			n.hub.Exit(at.group, channel.Here{User: at.user, Socket: at.socket})
		}
	}
	clear(p.states)
	p.news = s.version
}
