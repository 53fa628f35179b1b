package channel

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync/atomic"
	"time"
)

var (
	_ Layer    = (*Hub)(nil)
	_ Recaller = (*Hub)(nil)
	_ Presence = (*Hub)(nil)
)

// Options are the hub's bounds. Zero means the default.
type Options struct {
	// Capacity is how many messages may wait unread in a channel that nobody owns, unless the sender's Terms say
	// otherwise. Default 100.
	Capacity int
	// Expiry is how long a message waits there before it is forgotten. Default 60 s.
	Expiry time.Duration
	// WaitingBytes bounds all messages that wait there; another one is refused (ErrNoRoom). Default 64 MiB.
	WaitingBytes int64
	// GroupExpiry is how long a channel that nobody owns stays in a group after it was last put there. Default 86,400 s.
	GroupExpiry time.Duration

	// History says which groups remember what was published to them; the first pattern that fits counts.
	History []HistoryRule
	// HistoryGroups bounds how many do, and, apart from them, for how many groups what is published while clients are
	// about to wait for it is remembered. Others remember nothing. Default 100,000.
	HistoryGroups int
	// HistoryBytes bounds the memory of all of them, and HistoryGroupBytes that of one: beyond, the group that is
	// published to forgets the oldest of the kind that takes the most. Default 64 MiB and 1 MiB.
	HistoryBytes      int64
	HistoryGroupBytes int

	// LeaveDelay is how long somebody whose last socket has gone may take to come back without others being told.
	// Default 0: they are told at once.
	LeaveDelay time.Duration
	// Presences bounds the sockets whose presence is known, in all groups. Default 100,000.
	Presences int

	// Interest, if not nil, is told when a group comes to be and when it ends, for buses between nodes. It is called
	// under the group's lock: it must not block, nor call the hub.
	Interest func(group string, begins bool)
	// Remembers, if not nil, is told when a group begins to remember, or begins anew, for the same and under the same
	// conditions: other nodes are to be asked what they remember of it (Adopt, Settle, Settled).
	Remembers func(group string)
	// Log gets a line about drops, at most one every ten seconds. Default: none.
	Log *slog.Logger
}

// DefaultCapacity is how many messages wait in a channel, as in Django Channels.
const DefaultCapacity = 100

const (
	defaultExpiry      = time.Minute
	defaultGroupExpiry = 24 * time.Hour
	defaultBytes       = 64 << 20
	defaultGroupBytes  = 1 << 20
	defaultBound       = 100_000
)

func (o *Options) fill() {
	o.Capacity = orDefault(o.Capacity, DefaultCapacity)
	o.Expiry = orDefault(o.Expiry, defaultExpiry)
	o.WaitingBytes = orDefault(o.WaitingBytes, defaultBytes)
	o.GroupExpiry = orDefault(o.GroupExpiry, defaultGroupExpiry)
	o.HistoryGroups = orDefault(o.HistoryGroups, defaultBound)
	o.HistoryBytes = orDefault(o.HistoryBytes, defaultBytes)
	o.HistoryGroupBytes = orDefault(o.HistoryGroupBytes, defaultGroupBytes)
	o.Presences = orDefault(o.Presences, defaultBound)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func orDefault[T int | int64 | time.Duration](v, or T) T {
	if v == 0 {
		return or
	}
	return v
}

// shards is how many parts the tables of names have, each with a lock that is held for a few words.
const shards = 64

// Hub is the layer of one node.
type Hub struct {
	options Options
	seed    maphash.Seed

	sequence atomic.Uint64
	first    uint64 // the sequence that this life of the node began with
	last     lastTable

	groups    [shards]groupShard
	queues    [shards]queueShard
	kept      keptGroups
	patterns  patterns
	processes processes
	presence  presence
	drops     drops
	counts    counts
	wake      chan struct{} // has something in it when Run has something to do before its next look
}

// New makes a hub without channels, groups and processes. It works at once; what needs a clock is done by Run.
func New(options Options) *Hub {
	options.fill()
	h := &Hub{options: options, seed: maphash.MakeSeed(), wake: make(chan struct{}, 1)}
	// The clock makes cursors of an earlier life recognizable: they are smaller. In microseconds, so that they stay
	// below 2^53, which is all that JavaScript's numbers hold.
	h.first = uint64(time.Now().UnixMicro())
	h.sequence.Store(h.first)
	for i := range shards {
		h.groups[i].groups = map[string]*group{}
		h.queues[i].queues = map[string]*queue{}
	}
	h.kept.groups = map[*group]struct{}{}
	h.processes.byID, h.processes.of = map[string]*attachment{}, map[Process]*attachment{}
	h.presence.init()
	h.drops.byName = map[dropKey]uint64{}
	return h
}

func (h *Hub) hash(name string) uint64 { return maphash.String(h.seed, name) }

// lookEvery is how often what has expired is looked for, to free its memory: nobody is given it in any case.
const lookEvery = 10 * time.Second

// Run does what needs a clock, until the context ends: it tells who has come and gone, frees what has expired, logs
// drops.
func (h *Hub) Run(ctx context.Context) error {
	look := time.Now().Add(lookEvery)
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-h.wake:
		}
		now := time.Now()
		if !now.Before(look) {
			h.sweep(now)
			look = now.Add(lookEvery)
		}
		next := look
		for _, due := range []time.Time{h.announce(now), h.drops.report(now, h.options.Log)} {
			if !due.IsZero() && due.Before(next) {
				next = due
			}
		}
		timer.Reset(time.Until(next))
	}
}

// rouse makes Run look now.
func (h *Hub) rouse() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// sweep frees what has expired.
func (h *Hub) sweep(now time.Time) {
	for i := range h.queues {
		h.sweepQueues(&h.queues[i], now)
	}
	for _, g := range h.kept.all() {
		g.mu.Lock()
		if !g.dead {
			h.expire(g, now)
			h.tidy(g)
		}
		g.mu.Unlock()
	}
}

// Flush implements Layer.
func (h *Hub) Flush() {
	for i := range h.queues {
		h.flushQueues(&h.queues[i])
	}
	for i := range h.groups {
		for _, g := range h.groups[i].all() {
			h.flushGroup(g)
		}
	}
	h.presence.flush()
	for _, p := range h.processes.all() {
		p.Flushed()
	}
}
