package channel

import (
	"errors"
	"fmt"
)

// Layer is what the hub does for those who use it, whether it knows of this node alone or of several. Nothing waits:
// what is called back is called once, perhaps before the method returns, on any goroutine, and must not block.
//
// Names are opaque bytes here. The rules for names (at most 99 characters of a certain alphabet) are those of Python's
// side, which can say who broke them.
type Layer interface {
	// Attach makes p the owner of all channels whose names have its id (see Owner), until Detach, which also ends its
	// memberships, whatever it reads and whom it said to be present. An id is taken once, and a process has one: ErrTaken.
	// A process that is not attached can neither join nor read: nothing would end that.
	Attach(id string, p Process) error
	Detach(id string)

	// Send puts a message into a channel, which one reader gets: its owner, or the next process that reads it. done gets
	// nil, a *FullError, or another error for the sender. A channel whose owner has gone takes messages and loses them.
	// What one sender sends to one channel arrives in its order.
	Send(channel string, m *Message, done func(error))
	// Read says that p has room for n more messages of a channel that nobody owns, or with a negative n for fewer. In
	// place of a name, a pattern (IsPattern) is for all channels of this node that fit and that nobody reads by name.
	Read(channel string, p Process, n int)
	// GiveBack puts a message that a process was given and has not read at the front of its channel again; of several the
	// last one first. A process that ends does so before Detach. It may be called from Take.
	GiveBack(channel string, m *Message)

	// Publish gives a publication to every member of a group: whoever had joined when it began gets it, all of them get
	// the publications of a group in one order, that of their positions. A publication is published once. Do not call
	// it with a lock held that a member's Deliver takes.
	Publish(group string, p *Publication)
	// Join makes m a member of a group, Leave ends that; both may be said twice, and with the member's own locks held.
	// Whoever joins leaves before it ends. What was being published during Leave may still be delivered after it.
	Join(group string, m Member)
	Leave(group string, m Member)
	// Enlist puts a channel into a group, whoever owns it, or takes it out: the owner is asked, or the layer remembers it
	// where there is none.
	Enlist(group, channel string, in bool, done func(error))

	// Flush forgets every message and every membership (for tests of applications).
	Flush()
}

// Member gets what is published to the groups that it is in. It is compared by identity: use pointers.
type Member interface {
	// Deliver gives a publication. It never blocks and must not call the layer, save for Join and Leave: others wait
	// meanwhile for their turn in the group. False: there was no room, and the publication is lost to this member, which
	// is counted. A member for which a publication has no form, or which has ended, says true.
	Deliver(group string, p *Publication) bool
}

// Process is a member that has channels: a worker, or a script that is connected. Its methods never block either.
type Process interface {
	Member
	// Take gives a message for a channel that it owns or reads. done is as in Layer.Send.
	Take(channel string, m *Message, done func(error))
	// Enlist puts a channel that it owns into a group, or takes it out.
	Enlist(group, channel string, in bool, done func(error))
	// Flushed says that the layer has forgotten everything: so does the process.
	Flushed()
}

// Recaller gives what was published before, for those who were away for a moment. Groups remember only what Options or
// Keep say, and, for some minutes, what is published to them after somebody joined from a sequence.
type Recaller interface {
	// Keep makes a group remember, until it has had no members and no publication for an hour.
	Keep(group string, r Retention)
	// Since gives what of a kind was published to a group after a position: after an offset, where From has an Epoch; else
	// after a sequence, where it has one; else everything that is remembered.
	Since(group string, kind Kind, from Position) Recall
	// Recall is Since, and asks other nodes where this one does not know. done is called once: at once, or soon, and then
	// perhaps by another goroutine, which it must not block.
	Recall(group string, kind Kind, from Position, done func(Recall))
	// JoinFrom makes m a member and delivers to it what Since gives, before anything that is published later: nothing is
	// missed and nothing comes twice to whoever was not a member before. Do not call it with a lock held that m's
	// Deliver takes. Where the answer is not Complete, m is a member all the same.
	JoinFrom(group string, m Member, kind Kind, from Position) Recall
	// Sequence is this node's cursor. Whoever looks at what publishers have written, having asked for the cursor before,
	// has missed nothing but what After gives for it.
	Sequence() uint64
	// After is Since for several groups and a sequence.
	After(groups []string, kind Kind, sequence uint64) (missed []*Publication, complete bool)
}

// Recall is what a group remembers after a position.
type Recall struct {
	// Missed are publications, the oldest first.
	Missed []*Publication
	// Complete: nothing is missing among them. Otherwise there are none, except where everything was asked for: what
	// was missed is no longer known, or the position is of another life of the group or of another node.
	Complete bool
	// Now is where the group's history ends. An Epoch of 0: it remembers nothing.
	Now Position
	// Unsettled: what other nodes remember of the group is not known here, so that positions of theirs cannot be answered.
	Unsettled bool
	// Behind: the position is of later than what has come to this node, where it will come yet.
	Behind bool
}

// ErrTaken says that a process with this id is attached already.
var ErrTaken = errors.New("another process has this id")

// ErrNoRoom says that the hub holds as much as it may.
var ErrNoRoom = errors.New("the server holds as much for channels and groups as it may; see docs/settings.md, Channels")

// ErrAway says that a message for a process of another server could not be sent.
var ErrAway = errors.New("the bus between the servers is away, or has no room: the message was not sent; try again")

// TooLargeError says that a message for a process of another server is longer than what goes there.
type TooLargeError struct{ Limit int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("this is too large for the bus between the servers, where at most %d bytes go: send less, or its "+
		"name, or raise bus_buffer, of which it may take half", e.Limit)
}

// FullError says that a channel has as many messages that nobody has read as it may have.
type FullError struct {
	Channel  string
	Capacity int
}

func (e *FullError) Error() string {
	return fmt.Sprintf("channel %s has %d messages that nobody has read, which is its capacity", e.Channel, e.Capacity)
}
