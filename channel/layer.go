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
	// memberships and whatever it reads. An id is taken once: ErrTaken.
	Attach(id string, p Process) error
	Detach(id string)

	// Send puts a message into a channel, which one reader gets: its owner, or the next process that reads it. done gets
	// nil, a *FullError, or another error for the sender. A channel whose owner has gone takes messages and loses them.
	Send(channel string, m *Message, done func(error))
	// Read says that p has room for n more messages of a channel that nobody owns, or with a negative n for fewer.
	Read(channel string, p Process, n int)
	// GiveBack puts a message that p was given and has not read at the front of its channel again.
	GiveBack(channel string, m *Message)

	// Publish gives a publication to every member of a group.
	Publish(group string, p *Publication)
	// Join makes m a member of a group, Leave ends that; both may be said twice. Whoever joins leaves before it ends.
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
	// Deliver gives a publication. It never blocks and must not call the layer. False: there was no room, and the
	// publication is lost to this member, which is counted.
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

// ErrTaken says that a process with this id is attached already.
var ErrTaken = errors.New("another process has this id")

// FullError says that a channel has as many messages that nobody has read as it may have.
type FullError struct {
	Channel  string
	Capacity int
}

func (e *FullError) Error() string {
	return fmt.Sprintf("channel %s has %d messages that nobody has read, which is its capacity", e.Channel, e.Capacity)
}
