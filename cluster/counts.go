package cluster

import (
	"log/slog"
	"sync/atomic"
	"time"
)

type counts struct {
	sent, received, repeated, filled atomic.Uint64
	gaps, catchUps, deaths, away     atomic.Uint64
	tooLarge, lostSends, strange     atomic.Uint64
	overrun                          atomic.Uint64
}

// Statistics are what a node counts.
type Statistics struct {
	Up       bool
	Peers    int
	Groups   int // subscriptions
	Sent     uint64
	Received uint64
	// Repeated are publications that came again and were dropped, Filled those that were asked for, Gaps the groups in
	// which some are lost for good.
	Repeated, Filled, Gaps uint64
	// CatchUps counts the questions what was missed, Deaths nodes that fell silent, Away how often the bus went away.
	CatchUps, Deaths, Away uint64
	// Dropped are packets that had no room or came while the bus was away; Overrun how often this node was too slow to
	// read; TooLarge what other nodes could not be told; LostSends messages of which nobody knows who has them; Strange
	// packets that could not be read.
	Dropped, Overrun, TooLarge, LostSends, Strange uint64
	// WaitingBytes waits to leave, KeptBytes is kept for those who missed it.
	WaitingBytes, KeptBytes int
}

// Statistics gives what was counted.
func (n *Node) Statistics() Statistics {
	_, dropped, waiting, isUp := n.outbox.counts()
	kept, _ := n.ring.size()
	c := &n.counts
	return Statistics{
		Up: isUp, Peers: n.Peers(), Groups: n.interest.count(),
		Sent: c.sent.Load(), Received: c.received.Load(), Repeated: c.repeated.Load(), Filled: c.filled.Load(),
		Gaps: c.gaps.Load(), CatchUps: c.catchUps.Load(), Deaths: c.deaths.Load(), Away: c.away.Load(),
		Dropped: dropped, Overrun: c.overrun.Load(), TooLarge: c.tooLarge.Load(), LostSends: c.lostSends.Load(),
		Strange: c.strange.Load(), WaitingBytes: waiting, KeptBytes: kept,
	}
}

// gapLog logs gaps, at most one line every ten seconds.
type gapLog struct {
	count       int
	group, node string
	next        time.Time
}

const gapLogEvery = 10 * time.Second

func (g *gapLog) add(group, node string) {
	g.count++
	g.group, g.node = group, node
}

func (g *gapLog) report(now time.Time, log *slog.Logger) {
	if g.count == 0 || now.Before(g.next) {
		return
	}
	log.Warn("publications of another server are lost for good: they were published while it could not be heard, and it "+
		"no longer has them (bus_keep, bus_buffer)", "groups", g.count, "for_example", clip(g.group), "server", clip(g.node))
	g.count, g.next = 0, now.Add(gapLogEvery)
}
