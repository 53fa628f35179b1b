// Package channeltest is what every channel.Layer has to do, as tests. A layer may know of one node or of several, and
// may take its time: nothing here waits for longer than it takes, and nothing relies on what is done at once but what
// layer.go says is.
package channeltest

import (
	"fmt"
	"testing"
	"time"

	"backline/channel"
)

// Open makes an empty cluster of n nodes, which ends with the test. Options are those of each node's hub.
type Open func(t *testing.T, n int, options channel.Options) []channel.Layer

// Run tests layers, on one node and on each larger number of nodes up to the given one.
func Run(t *testing.T, nodes int, open Open) {
	t.Helper()
	tests := map[string]func(*testing.T, *cluster){
		"ChannelsHaveOneOwner":            owners,
		"IDsAreTakenOnce":                 ids,
		"OneReaderGetsAMessage":           oneReader,
		"MessagesWaitForAReader":          messagesWait,
		"MessagesExpire":                  messagesExpire,
		"MessagesAreGivenBack":            givenBack,
		"ReadersTakeTurns":                turns,
		"AReaderTakesItsRoomBack":         roomBack,
		"PatternsGetWhatNobodyReads":      patterns,
		"ReadersOfPatternsTakeTurns":      patternsTakeTurns,
		"CapacityIsTheSendersLoss":        capacity,
		"CapacityIsTheSendersChoice":      capacityOfSender,
		"QuietChannelsAreNotStarved":      quiet,
		"OneSendersMessagesKeepTheirRow":  sendOrder,
		"GroupsReachTheirMembers":         groups,
		"GroupsKeepTheirRow":              groupOrder,
		"GroupsAreApart":                  groupsApart,
		"JoiningTwiceIsOnce":              twice,
		"TheOneOnWhoseBehalfIsLeftOut":    except,
		"SlowMembersCostNobody":           slow,
		"ManyMembers":                     many,
		"ChannelsWithoutOwnerAreInGroups": enlisted,
		"TheirMembershipIsOneEverywhere":  enlistedEverywhere,
		"TheirMembershipExpires":          enlistedExpire,
		"OwnedChannelsAreAskedFor":        enlistedOwned,
		"DetachEndsEverything":            detach,
		"NothingBeginsAfterDetach":        detached,
		"MessagesOfAnyCodec":              codecs,
		"LargeMessages":                   large,
		"AnyNames":                        names,
		"FlushForgetsEverything":          flush,
		"EverythingAtOnce":                everythingAtOnce,
	}
	for n := 1; n <= nodes; n++ {
		for name, test := range tests {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				t.Parallel()
				test(t, &cluster{t: t, n: n, open: open})
			})
		}
	}
}

// cluster makes the nodes of a test. Whoever is made on place i is on node i modulo the number of nodes, so that a test
// of one node is one of several too.
type cluster struct {
	t     *testing.T
	n     int
	open  Open
	nodes []channel.Layer
	made  int
}

// with opens the nodes with options of the test's own.
func (c *cluster) with(options channel.Options) {
	c.t.Helper()
	c.nodes = c.open(c.t, c.n, options)
	if len(c.nodes) != c.n {
		c.t.Fatalf("%d nodes were opened; want %d", len(c.nodes), c.n)
	}
}

// on gives the node of a place.
func (c *cluster) on(place int) channel.Layer { //nolint:ireturn // whichever is tested
	c.t.Helper()
	if c.nodes == nil {
		c.with(channel.Options{})
	}
	return c.nodes[place%len(c.nodes)]
}

// process attaches a process to the node of a place.
func (c *cluster) process(place int) *Process {
	c.t.Helper()
	c.made++
	p := &Process{layer: c.on(place), id: fmt.Sprintf("process%d", c.made), changed: make(chan struct{}, 1)}
	if err := p.layer.Attach(p.id, p); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// patience is how long something that has to happen may take, on a machine that does much else.
const patience = 20 * time.Second

// await waits until a process has what a condition wants.
func await(t *testing.T, p *Process, what string, condition func() bool) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	again := time.NewTicker(50 * time.Millisecond) // for conditions that look at more than this process
	defer again.Stop()
	for !condition() {
		select {
		case <-p.changed:
		case <-again.C:
		case <-timeout.C:
			t.Fatalf("%s did not come about; %s has %.2000q", what, p.id, p.all())
		}
	}
}

// send sends and waits for the outcome.
func send(t *testing.T, l channel.Layer, name string, m *channel.Message) error {
	t.Helper()
	return outcome(t, func(done func(error)) { l.Send(name, m, done) })
}

// outcome gives what a layer calls back with, once.
func outcome(t *testing.T, call func(done func(error))) error {
	t.Helper()
	got := make(chan error, 2)
	call(func(err error) { got <- err })
	select {
	case err := <-got:
		return err
	case <-time.After(patience):
		t.Fatal("done was not called")
		return nil
	}
}

// join makes a process a member and waits until what is published on the node of a place reaches it.
func (c *cluster) join(group string, p *Process, from ...int) {
	c.t.Helper()
	p.layer.Join(group, p)
	for _, place := range from {
		c.settled(group, p, place)
	}
}

// settled publishes until a member has got something from the node of a place, which takes a moment where a membership
// has to travel. What was published for this alone is not counted.
func (c *cluster) settled(group string, p *Process, place int) {
	c.t.Helper()
	c.made++
	probe := fmt.Sprintf("probe%d", c.made)
	await(c.t, p, "the membership in "+group, func() bool {
		if p.hasProbe(probe) {
			return true
		}
		c.on(place).Publish(group, &channel.Publication{Message: message(probe)})
		return p.hasProbe(probe)
	})
}

// everywhere gives every place.
func (c *cluster) everywhere() []int {
	places := make([]int, c.n)
	for i := range places {
		places[i] = i
	}
	return places
}
