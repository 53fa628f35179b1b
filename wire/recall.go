package wire

import (
	"backline"
)

// What a process asks about the past of groups, and about who is there; kinds 113 to 119, of the same connection as
// those of channels.go. A position is a text that the server gave before, or empty.

// From the process to the server.
const (
	// KindKeep (113, token, group, messages, seconds): the group remembers so many of the last messages for so long.
	KindKeep Kind = 113
	// KindHistory (114, token, group, position): what was sent to the group after a position; everything that it
	// remembers where that is empty. KindRecall answers.
	KindHistory Kind = 114
	// KindEnter (115, token, group, user, socket, info): a user is in the group by a socket of this process; info is JSON,
	// or empty. It ends with KindExit or with the process.
	KindEnter Kind = 115
	// KindExit (116, 0, group, user, socket): the user is no longer there by this socket.
	KindExit Kind = 116
	// KindPresence (117, token, group, limit): who is there, limit users at most. KindPresent answers.
	KindPresence Kind = 117
)

// From the server to the process.
const (
	// KindRecall (118, token, complete, position, messages): messages is a list of tuples (position, message), the oldest
	// first. complete is 1 where nothing is missing among them; 0 where what came after the position is not known any
	// more: there are none then, except where everything was asked for. position is where the history ends; empty where
	// there is none.
	KindRecall Kind = 118
	// KindPresent (119, token, users, sockets, who): how many are there, and a list of tuples (user, milliseconds,
	// sockets): since when, in Unix time, and a list of tuples (socket, info).
	KindPresent Kind = 119
)

// recallShape is how many elements a message of these kinds has.
func recallShape(kind Kind) int {
	switch kind {
	case KindHistory, KindPresence:
		return 4
	case KindKeep, KindExit:
		return 5
	case KindEnter:
		return 6
	default:
		return 0
	}
}

// readRecall reads them: Reason is the group, Data the user or the position, Fields the socket and its info; Status and
// N are the numbers, in their order.
func (m *Message) readRecall(c *cursor) {
	m.Reason = c.name()
	switch m.Kind {
	case KindKeep:
		m.Status, m.N = c.natural(), c.natural()
	case KindHistory:
		m.Data = c.bytes() // longer than a name: it has a part for each server
	case KindEnter:
		m.Data = c.name()
		m.Fields = append(m.Fields, backline.Field{Name: c.name(), Value: c.bytes()})
	case KindExit:
		m.Data = c.name()
		m.Fields = append(m.Fields, backline.Field{Name: c.name()})
	case KindPresence:
		m.N = c.natural()
	}
}

// Recalled is a message of a group's history, in the process's codec.
type Recalled struct {
	Position string
	Message  []byte
}

// AddRecall answers KindHistory.
func (b *Batch) AddRecall(token uint32, complete bool, position string, messages []Recalled) {
	b.begin(KindRecall, token, 5)
	whole := 0
	if complete {
		whole = 1
	}
	b.buf = b.codec.appendText(b.codec.appendInt(b.buf, whole), position)
	b.buf = b.codec.appendList(b.buf, len(messages))
	for _, each := range messages {
		b.buf = b.codec.appendText(b.codec.appendTuple(b.buf, 2), each.Position)
		b.buf = b.codec.appendBytes(b.buf, each.Message)
	}
}

// Attendant is a user who is present, and Seat a socket of his.
type Attendant struct {
	User         string
	Milliseconds int64
	Seats        []Seat
}

// Seat is one socket.
type Seat struct{ Socket, Info string }

// AddPresent answers KindPresence.
func (b *Batch) AddPresent(token uint32, users, sockets int, who []Attendant) {
	b.begin(KindPresent, token, 5)
	b.buf = b.codec.appendInt(b.codec.appendInt(b.buf, users), sockets)
	b.buf = b.codec.appendList(b.buf, len(who))
	for _, each := range who {
		b.buf = b.codec.appendText(b.codec.appendTuple(b.buf, 3), each.User)
		b.buf = b.codec.appendInt64(b.buf, each.Milliseconds)
		b.buf = b.codec.appendList(b.buf, len(each.Seats))
		for _, seat := range each.Seats {
			b.buf = b.codec.appendText(b.codec.appendTuple(b.buf, 2), seat.Socket)
			b.buf = b.codec.appendText(b.buf, seat.Info)
		}
	}
}
