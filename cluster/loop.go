package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"backline/channel"
)

// loop is what only the goroutine of Run touches.
type loop struct {
	peers    map[nodeID]*peer
	beats    uint64
	nextBeat time.Time
	last     time.Time // when the clock last ran: a process that was stopped finds that it was long ago
	requests uint64
	partials map[nodeID]*partial
	strange  bool // a packet that cannot be read has been logged
	gaps     gapLog

	bus     time.Time // since when the bus has been there
	fetches map[string]*fetch
}

// looks is how often the clock runs for each Timeout.
const looks = 4 * beatsInTimeout

// listen handles what comes until the context ends.
func (n *Node) listen(ctx context.Context) {
	every := max(n.options.Timeout/looks, time.Millisecond)
	clock := time.NewTicker(every)
	defer clock.Stop()
	n.loop.last = time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.inbox.wake:
			for _, each := range n.inbox.take() {
				n.handle(each)
			}
		case <-n.recalls.wake:
			n.recall(time.Now())
		case <-clock.C:
			n.tick(time.Now())
		}
	}
}

func (n *Node) handle(a arrival) {
	switch a.event {
	case up:
		n.options.Log.Info("the bus is there", "bus", n.Bus(), "node", n.Name())
		n.outbox.state(true)
		n.loop.bus = time.Now()
		n.once.Do(func() { close(n.up) })
		n.sendBeat(time.Now(), false)
		n.catchUpWithAll()
	case down:
		n.options.Log.Warn("the bus is away: this server serves alone meanwhile, and tries again",
			"bus", n.Bus(), "node", n.Name(), "error", a.why)
		n.outbox.state(false)
		n.counts.away.Add(1)
	case lost:
		n.counts.overrun.Add(1)
		n.catchUpWithAll()
	case packet:
		if err := n.receive(a.data); err != nil {
			n.counts.strange.Add(1)
			if !n.loop.strange {
				n.loop.strange = true
				n.options.Log.Warn("something on the bus cannot be read, and nothing like it will be logged again: "+
					"do all servers run the same version of Backline, and does anything else use this prefix?",
					"bus", n.Bus(), "prefix", n.options.Prefix, "error", err)
			}
		}
	}
}

func (n *Node) receive(data []byte) error {
	k, from, r, err := readHead(data)
	if err != nil || from == n.id {
		return err
	}
	if k == kindPart {
		whole, err := n.partial(from).add(r, n.options.Buffer)
		if err != nil || whole == nil {
			return err
		}
		if k, from, r, err = readHead(whole); err != nil || k == kindPart {
			return errors.Join(err, errShort)
		}
		data = whole
	}
	return n.understand(k, from, r, data)
}

// partial is what has come of a node's packet that comes in parts.
func (n *Node) partial(from nodeID) *partial {
	p := n.loop.partials[from]
	if p == nil {
		if len(n.loop.partials) >= maxPartials {
			clear(n.loop.partials) // some of these nodes are gone
		}
		p = &partial{}
		n.loop.partials[from] = p
	}
	return p
}

// maxPartials bounds the packets that are put together at the same time.
const maxPartials = 64

func (n *Node) understand(k kind, from nodeID, r *reader, data []byte) error {
	switch k {
	case kindBeat:
		b, err := r.beat()
		if err == nil {
			n.heard(from, b, time.Now())
		}
		return err
	case kindPublication:
		p, err := r.numbered(from, data)
		if err != nil {
			return err
		}
		return n.published(from, p, time.Now())
	case kindSend, kindEnlist, kindOffer:
		return n.asked(k, from, r)
	case kindAnswer:
		id, a := r.uint(), answer{result: result(r.byte()), capacity: int(r.uint() & 0x7fffffff)}
		if err := r.end(); err != nil {
			return err
		}
		n.calls.end(id, a)
		return nil
	case kindAsk:
		request, wants, err := r.wants()
		if err == nil {
			n.tellMissed(from, request, wants)
		}
		return err
	case kindRecall:
		request, group := r.uint(), r.name()
		if err := r.end(); err != nil {
			return err
		}
		n.remembers(from, request, group)
		return nil
	case kindFill, kindFilled, kindNews, kindState, kindRecalled:
		p := n.loop.peers[from]
		if p == nil {
			return nil // its next beat begins everything anew
		}
		return n.receiveFrom(p, k, r)
	case kindAskState:
		n.sendState(from)
		return r.end()
	case kindFlush:
		n.flush()
		n.forget()
		return r.end()
	}
	return errShort
}

func (n *Node) receiveFrom(p *peer, k kind, r *reader) error {
	switch k {
	case kindFill:
		f, err := r.fill()
		if err != nil {
			return err
		}
		return n.filled(p, f)
	case kindFilled:
		request, parts, upto := r.uint(), r.uint(), r.uint()
		if err := r.end(); err != nil {
			return err
		}
		return n.filledAll(p, request, int(min(parts, 1<<30)), upto)
	case kindRecalled:
		m, err := r.memory()
		if err != nil {
			return err
		}
		n.recalled(p, m)
	case kindNews:
		version, c := r.uint(), r.change()
		if err := r.end(); err != nil {
			return err
		}
		n.heardNews(p, version, c)
	default:
		s, err := r.state()
		if err != nil {
			return err
		}
		n.heardState(p, s)
	}
	return nil
}

// asked does what another node asks of a process, or of readers, of this node.
func (n *Node) asked(k kind, from nodeID, r *reader) error {
	id := r.uint()
	reply := func(a answer) {
		packet := append(binary.AppendUvarint(head(kindAnswer, n.id), id), byte(a.result))
		n.outbox.publish(n.subjects.node(from), binary.AppendUvarint(packet, uint64(a.capacity)))
	}
	done := func(err error) { reply(outcome(err)) }
	first := r.name()
	if k == kindEnlist {
		second := r.name()
		in := r.byte() == 1
		if err := r.end(); err != nil {
			return err
		}
		n.hub.Enlist(first, second, in, done)
		return nil
	}
	m := r.message()
	if err := r.end(); err != nil {
		return err
	}
	n.counts.received.Add(1)
	if k == kindSend {
		n.hub.Send(first, m, done)
		return nil
	}
	if n.hub.Offer(first, m, isOurs) {
		reply(answer{result: accepted})
		return nil
	}
	n.dry(first)
	reply(answer{result: refused})
	return nil
}

// isOurs says whether a reader is of this node, and not another node that reads here.
func isOurs(p channel.Process) bool {
	_, foreign := p.(*remote)
	return !foreign
}

// tick does what needs a clock.
func (n *Node) tick(now time.Time) {
	if stopped := now.Sub(n.loop.last); stopped > n.options.Timeout {
		// This process was stopped, or the machine slept. The others may have given it up and taken its silence for its
		// end, and packets for it may be lost; but nobody of them is to be judged by what came in this time.
		for _, p := range n.loop.peers {
			p.heard = now
			p.unsure = true
		}
		n.catchUpWithAll()
	}
	n.loop.last = now
	if !now.Before(n.loop.nextBeat) {
		n.sendBeat(now, false)
		n.settle(now)
	}
	n.calls.expire(now)
	n.enlisted.expire(now, n.hub.GroupExpiry())
	n.checkPeers(now)
	n.recall(now)
	n.interest.over(now, func(group string) { n.outbox.subscribe(n.subjects.group(group), false) })
	n.loop.gaps.report(now, n.options.Log)
}

func (n *Node) sendBeat(now time.Time, leaves bool) {
	n.loop.nextBeat = now.Add(n.options.Timeout / beatsInTimeout)
	losses, _, _, isUp := n.outbox.counts()
	if !isUp {
		return
	}
	n.news.mu.Lock()
	version := n.news.version
	n.news.mu.Unlock()
	n.loop.beats++
	n.outbox.publish(n.subjects.all(),
		appendBeat(head(kindBeat, n.id), beat{n.loop.beats, losses, version, n.options.Name, leaves}))
}

// leave says that this node ends, so that the others need not wait to notice.
func (n *Node) leave() { n.sendBeat(time.Now(), true) }
