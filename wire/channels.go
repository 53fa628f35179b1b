package wire

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// The messages of a process that has channels: on a worker's control connection, or on a connection of its own. Those
// of the process have kinds 64 to 79, those of the server 80 to 95. token numbers a question, from 1 to 2^31-1, until
// KindVerdict or KindOutcome answers it.

// From the process to the server.
const (
	// KindAttach (64, token, id): first; the process owns the channels whose names have this id. The verdict's n is
	// how long a message may be.
	KindAttach Kind = 64
	// KindChannelSend (65, token, channel, message, capacity, milliseconds): put a message into a channel. Where nobody
	// owns that, so many may wait there, for so long; 0 for either: as the server says.
	KindChannelSend Kind = 65
	// KindPublish (66, token, group, message): send a message to a group.
	KindPublish Kind = 66
	// KindJoin (67, token, group): the process has a channel in this group.
	KindJoin Kind = 67
	// KindLeave (68, 0, group): it has none any more.
	KindLeave Kind = 68
	// KindChannelRead (69, n, channel): n more messages of a channel that nobody owns may come.
	KindChannelRead Kind = 69
	// KindChannelUnread (70, n, channel): n fewer.
	KindChannelUnread Kind = 70
	// KindGiveBack (71, 0, channel, message): it came, and nobody reads it here.
	KindGiveBack Kind = 71
	// KindEnlist (72, token, group, channel): put a channel of another process, or of nobody, into a group.
	KindEnlist Kind = 72
	// KindStrike (73, token, group, channel): take it out.
	KindStrike Kind = 73
	// KindFlush (74, token): forget every message and every membership.
	KindFlush Kind = 74
	// KindOutcome (75, token, verdict, n): answers KindChannelTake and KindEnlisted.
	KindOutcome Kind = 75
	// KindBroadcast (76, token, group, data): send a WebSocket message, str or bytes, to the sockets in a group that the
	// server delivers to.
	KindBroadcast Kind = 76
	// KindDropped (77, n, group): its channels in the group were full, and n messages to them are lost.
	KindDropped Kind = 77
	// KindItems (104, token, items): publish for those who hold answers; items is JSON, as GRIP's publishers POST it.
	KindItems Kind = 104
)

// From the server to the process.
const (
	// KindVerdict (80, token, verdict, n): what has become of it.
	KindVerdict Kind = 80
	// KindChannelTake (81, token, channel, message): a message for a channel that the process owns, or, with token 0,
	// which is not answered, one that it reads.
	KindChannelTake Kind = 81
	// KindDeliver (82, 0, group, message): a message for every channel of the process that is in the group.
	KindDeliver Kind = 82
	// KindEnlisted (83, token, group, channel): another process puts one of its channels into a group.
	KindEnlisted Kind = 83
	// KindStruck (84, token, group, channel): another process takes it out.
	KindStruck Kind = 84
	// KindFlushed (85, 0): forget every message and every membership.
	KindFlushed Kind = 85
)

// Verdict is what has become of what a process asked for.
type Verdict int

// The verdicts.
const (
	VerdictDone     Verdict = 0
	VerdictFull     Verdict = 1 // n messages wait in the channel, its capacity
	VerdictInvalid  Verdict = 2 // the message is no dictionary of plain values
	VerdictTooLarge Verdict = 3 // the message is longer than n bytes
	VerdictTaken    Verdict = 4 // another process has the id
	VerdictAway     Verdict = 5 // the process is on another server, which cannot be reached now
	// VerdictBeyondBus: the process is on another server, and the message longer than the n bytes that go there.
	VerdictBeyondBus Verdict = 6
)

// maxName bounds the names of channels and groups, in bytes. Python's rule is 99 characters of any alphabet.
const maxName = 512

// channelShape is how many elements a message of these kinds has.
func channelShape(kind Kind) int {
	switch kind {
	case KindFlush:
		return 2
	case KindAttach, KindJoin, KindLeave, KindChannelRead, KindChannelUnread, KindDropped, KindItems:
		return 3
	case KindChannelSend:
		return 6
	case KindPublish, KindGiveBack, KindEnlist, KindStrike, KindOutcome, KindBroadcast:
		return 4
	default:
		return 0
	}
}

// readChannel reads them: Reason is the name of the channel or group, Data the message, or KindEnlist's channel, Status
// a capacity or a verdict, N its milliseconds or number.
func (m *Message) readChannel(c *cursor) {
	switch m.Kind {
	case KindOutcome:
		m.Status, m.N = c.natural(), c.natural()
		if m.Status > int(VerdictTaken) {
			c.fail(fmt.Errorf("the verdict %d; expected 0 to %d", m.Status, VerdictTaken))
		}
	case KindChannelSend:
		m.Reason = c.name()
		m.Data = c.bytes()
		m.Status, m.N = c.natural(), c.natural()
	case KindPublish, KindGiveBack:
		m.Reason = c.name()
		m.Data = c.bytes()
	case KindBroadcast:
		m.Reason = c.name()
		if m.Data, m.Text = c.text(); m.Text && !utf8.Valid(m.Data) {
			m.blame(errors.New("a text message has characters that UTF-8 cannot carry (lone surrogates)"))
		}
	case KindEnlist, KindStrike:
		m.Reason = c.name()
		m.Data = c.name()
	case KindItems:
		m.Data = c.bytes()
	case KindAttach, KindJoin, KindLeave, KindChannelRead, KindChannelUnread, KindDropped:
		m.Reason = c.name()
	}
}

func (c *cursor) name() []byte {
	b := c.bytes()
	if len(b) > maxName {
		c.fail(fmt.Errorf("a name of %d bytes; at most %d are allowed", len(b), maxName))
	}
	return b
}

// AddVerdict answers a process.
func (b *Batch) AddVerdict(token uint32, verdict Verdict, n int) {
	b.begin(KindVerdict, token, 4)
	b.buf = b.codec.appendInt(b.codec.appendInt(b.buf, int(verdict)), n)
}

// AddTake gives a message for a channel. It is written as the process's codec has it.
func (b *Batch) AddTake(token uint32, channel string, message []byte) {
	b.begin(KindChannelTake, token, 4)
	b.buf = b.codec.appendBytes(b.codec.appendText(b.buf, channel), message)
}

// AddDeliver gives a message for the channels of a group.
func (b *Batch) AddDeliver(group string, message []byte) {
	b.begin(KindDeliver, 0, 4)
	b.buf = b.codec.appendBytes(b.codec.appendText(b.buf, group), message)
}

// AddEnlisted says that a channel is put into a group, or taken out.
func (b *Batch) AddEnlisted(token uint32, group, channel string, in bool) {
	kind := KindStruck
	if in {
		kind = KindEnlisted
	}
	b.begin(kind, token, 4)
	b.buf = b.codec.appendText(b.codec.appendText(b.buf, group), channel)
}
