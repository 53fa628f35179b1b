package cluster

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"backline/bus"
	"backline/channel"
)

var (
	_ channel.Layer    = (*Node)(nil)
	_ channel.Recaller = (*Node)(nil)
	_ channel.Presence = (*Node)(nil)
)

// ErrRefused says that a process of another node refused something.
var ErrRefused = errors.New("the process that the channel belongs to, on another server, did not take it; " +
	"its log says why")

// Options are what a node is called, and its bounds. Zero means the default.
type Options struct {
	Bus bus.Bus
	// Name is what people call this node.
	Name string
	// Prefix begins all subjects: clusters with different ones do not hear each other. Default "backline".
	Prefix string
	// Timeout is how long a node may be silent before it counts as dead, and how long an answer may take. Default 1 s.
	Timeout time.Duration
	// Buffer bounds, each for itself, what waits to leave, what has come and waits, and what is kept for those who missed
	// it. Default 16 MiB.
	Buffer int
	// Keep is for how long publications are kept for those who missed them. Default 60 s.
	Keep time.Duration
	// Log gets who comes and goes, and what was lost. Default: none.
	Log *slog.Logger
}

const (
	defaultTimeout = time.Second
	defaultBuffer  = 16 << 20
	defaultKeep    = time.Minute
	beatsInTimeout = 5
)

func (o *Options) fill() {
	if o.Prefix == "" {
		o.Prefix = "backline"
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Buffer == 0 {
		o.Buffer = defaultBuffer
	}
	if o.Keep == 0 {
		o.Keep = defaultKeep
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Node is the layer of one node among several.
type Node struct {
	options  Options
	id       nodeID
	subjects subjects
	hub      *channel.Hub

	outbox   outbox
	inbox    inbox
	ring     ring
	interest interest
	calls    calls
	news     news
	enlisted enlisted
	recalls  recalls
	counts   counts
	owned    sync.Map // ids of this node's processes, string -> nil

	started time.Time
	loop    loop
	live    atomic.Int64 // other nodes that live

	up   chan struct{} // closed when the bus is there for the first time
	once sync.Once
}

// New makes a node of a cluster. The hub is made for it: with Interest in its options. Nothing runs before Run.
func New(options Options, hub channel.Options) *Node {
	options.fill()
	id := nodeID(rand.Uint64() | 1)
	wake := func() chan struct{} { return make(chan struct{}, 1) }
	n := &Node{
		options: options, id: id, subjects: subjects{options.Prefix},
		outbox:   outbox{limit: options.Buffer, from: id, wake: wake()},
		inbox:    inbox{limit: options.Buffer, wake: wake()},
		ring:     ring{limit: options.Buffer, age: options.Keep, groups: map[string]*trail{}},
		interest: interest{groups: map[string]*subscription{}, idle: map[string]*subscription{}},
		calls:    calls{waiting: map[uint64]call{}},
		news: news{
			readers: map[string]struct{}{}, places: map[place]entry{}, holders: map[channel.Member]map[place]struct{}{},
		},
		enlisted: enlisted{facts: map[listing]fact{}},
		started:  time.Now(),
		up:       make(chan struct{}),
	}
	n.recalls.groups, n.recalls.wake = map[string][]waiter{}, wake()
	n.loop.peers, n.loop.partials, n.loop.fetches = map[nodeID]*peer{}, map[nodeID]*partial{}, map[string]*fetch{}
	hub.Interest, hub.Remembers = n.interested, n.remembersAnew
	n.hub = channel.New(hub)
	n.outbox.subscribe(n.subjects.all(), true)
	n.outbox.subscribe(n.subjects.node(n.id), true)
	return n
}

// Hub is the hub of this node alone.
func (n *Node) Hub() *channel.Hub { return n.hub }

// ID names this life of the node, and Name what people call it.
func (n *Node) ID() string { return n.id.String() }

// Name is what people call the node.
func (n *Node) Name() string { return n.options.Name }

// Bus says which bus it is on.
func (n *Node) Bus() string { return n.options.Bus.Name() }

// Up is closed when the bus is there for the first time.
func (n *Node) Up() <-chan struct{} { return n.up }

// Peers is how many other nodes live.
func (n *Node) Peers() int { return int(n.live.Load()) }

// largest is how large a packet may be, so that others go in and out beside it.
func (n *Node) largest() int { return n.options.Buffer / 2 }

// interested hears from the hub that a group has somebody here, or nobody any more.
func (n *Node) interested(group string, begins bool) {
	if len(group) > maxName {
		return
	}
	if n.interest.want(group, begins, time.Now()) {
		n.outbox.subscribe(n.subjects.group(group), true)
	}
}

// Run joins the cluster until the context ends.
func (n *Node) Run(ctx context.Context) error {
	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	carrying, stopCarrying := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()
	defer stopCarrying()
	var users, carrier sync.WaitGroup
	var err error
	carrier.Go(func() { err = n.options.Bus.Run(carrying, &n.inbox) })
	users.Go(func() { n.outbox.run(sending, n.options.Bus) })
	n.listen(ctx)
	n.leave()
	stopSending()
	users.Wait()
	stopCarrying()
	carrier.Wait()
	return err
}
