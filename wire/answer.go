package wire

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"backline"
)

// maxFields bounds the header fields of one answer; the worker package knows it too (headers.py).
const maxFields = 1000

// Message is one message from a worker. Its slices alias the packet, so they live until the Reader's next packet;
// Fields' array is used again by the next decoding.
type Message struct {
	Kind   Kind
	Stream uint32
	Status int              // KindAnswer, KindAnswerOpen, KindStart, KindFile; KindClose's code, KindReturn's outcome
	Reason []byte           // the WSGI status line's reason, nil for the standard one; KindOffload's function
	Fields []backline.Field // the same kinds, KindHint and KindAccept
	// Data is a body, KindError's message, KindFile's path, KindAccept's subprotocol, KindClose's reason, KindOffload's
	// arguments, KindReturn's data, KindSocketEnter's name for the socket, or the text of KindTrace, KindStall, KindReport
	// or KindCrowd.
	Data []byte
	Text bool // Data of KindSend and KindSendPart is text, valid UTF-8 unless Bad
	N    int  // KindRead; KindTake's token, KindOffload's timeout, the milliseconds of KindStall and KindCrowd
	// Offset and Length say which bytes of KindFile's file are the body; all from Offset on where Length is -1.
	Offset, Length int64
	Actions        []Action // KindAct and KindActed, whose state is Data, nil where it is as before; KindSocketEnter's one
	// Bad says why the header fields of an answer cannot be sent; the rest of the message is as usual.
	Bad error
}

// Messages walks over the messages of one packet.
type Messages struct {
	cursor cursor
	left   int
}

// Open begins a packet.
func (m *Messages) Open(payload []byte) error {
	m.cursor = newCursor(payload)
	m.left = m.cursor.sequence()
	return m.cursor.err
}

// Next decodes the next message; false at the end of the packet. An error sticks: what follows it cannot be told apart.
func (m *Messages) Next(out *Message) (bool, error) {
	c := &m.cursor
	if m.left == 0 {
		if c.err == nil && c.off != len(c.buf) {
			c.fail(fmt.Errorf("%d bytes after the last message of a packet", len(c.buf)-c.off))
		}
		return false, c.err
	}
	m.left--
	n := c.sequence()
	if n < 2 {
		c.fail(fmt.Errorf("a message of %d elements; expected at least a kind and a stream", n))
		return false, c.err
	}
	out.Kind, out.Stream = c.kind(), uint32(c.natural())
	out.Status, out.Reason, out.Fields, out.Data, out.N, out.Bad = 0, nil, out.Fields[:0], nil, 0, nil
	out.Text, out.Offset, out.Length, out.Actions = false, 0, 0, out.Actions[:0]
	switch want := shape(out.Kind); want {
	case n:
		out.read(c)
	case 0:
		c.fail(fmt.Errorf("a message of kind %d, which a worker does not send (see docs/protocol.md)", out.Kind))
	default:
		c.fail(fmt.Errorf("a message of kind %d with %d elements; expected %d (see docs/protocol.md)", out.Kind, n, want))
	}
	return c.err == nil, c.err
}

// shape is how many elements a message of this kind has; 0 for kinds that a worker does not send.
func shape(kind Kind) int {
	switch kind {
	case KindFile, KindSocketEnter:
		return 7
	case KindAnswer, KindAnswerOpen, KindStart, KindOffload:
		return 5
	case KindAccept, KindClose, KindReturn, KindStall, KindCrowd, KindAct, KindActed:
		return 4
	case KindData, KindError, KindRead, KindHint, KindTrace, KindReport, KindSend, KindSendPart,
		KindSocketJoin, KindSocketLeave, KindTake:
		return 3
	case KindEnd, KindDone, KindAlive:
		return 2
	default:
		return channelShape(kind) + recallShape(kind)
	}
}

func (m *Message) read(c *cursor) {
	switch m.Kind {
	case KindAnswer, KindAnswerOpen, KindStart:
		m.readStatus(c)
		m.readFields(c)
		m.readPiece(c)
	case KindFile:
		m.readStatus(c)
		m.readFields(c)
		m.readFile(c)
	case KindData:
		m.readPiece(c)
	case KindError, KindTrace, KindReport:
		m.Data = c.bytes()
	case KindRead, KindTake:
		m.N = c.natural()
	case KindStall, KindCrowd:
		m.N = c.natural()
		m.Data = c.bytes()
	case KindHint:
		m.readFields(c)
	case KindAccept:
		if !c.none() {
			m.readToken(c)
		}
		m.readFields(c)
	case KindSend, KindSendPart:
		m.readMessage(c)
	case KindSocketJoin, KindSocketLeave, KindSocketEnter:
		m.readGroup(c)
	case KindClose:
		m.Status = c.natural()
		m.Data = c.bytes()
	case KindOffload:
		m.Reason = c.bytes()
		m.readJob(c)
		m.N = c.natural()
	case KindReturn:
		if m.Status = c.natural(); m.Status > int(OutcomeRaised) {
			c.fail(fmt.Errorf("the outcome %d; expected %d or %d", m.Status, OutcomeReturned, OutcomeRaised))
		}
		m.readJob(c)
	case KindAct, KindActed:
		m.readActed(c)
	default:
		m.readChannel(c)
		if recallShape(m.Kind) > 0 {
			m.readRecall(c)
		}
	}
}

// readJob reads a function's arguments or its result.
func (m *Message) readJob(c *cursor) {
	if m.Data = c.bytes(); len(m.Data) > MaxJob {
		c.fail(fmt.Errorf("arguments or a result of %d bytes; at most %d are allowed", len(m.Data), MaxJob))
	}
}

// readFile reads which bytes of which file are the body.
func (m *Message) readFile(c *cursor) {
	m.Data = c.bytes()
	m.Offset, m.Length = int64(c.int()), int64(c.int())
	if m.Offset < 0 || m.Length < -1 {
		c.fail(fmt.Errorf("a file from byte %d on, of length %d; expected 0 or more, and -1 or more", m.Offset, m.Length))
	}
}

// readToken reads a subprotocol, which stands in a header field.
func (m *Message) readToken(c *cursor) {
	m.Data = c.bytes()
	if !backline.ValidFieldName(m.Data) {
		m.blame(fmt.Errorf("the subprotocol %.80q is not valid (RFC 6455 4.2.2)", m.Data))
	}
}

// readMessage reads a WebSocket message. Python's str may hold what is no character (a lone surrogate), and a client
// would end the connection over it (RFC 6455 8.1).
func (m *Message) readMessage(c *cursor) {
	m.Data, m.Text = c.text()
	if len(m.Data) > MaxPiece {
		c.fail(fmt.Errorf("a piece of %d bytes; at most %d are allowed", len(m.Data), MaxPiece))
	}
	if m.Text && !utf8.Valid(m.Data) {
		m.blame(errors.New("a text message has characters that UTF-8 cannot carry (lone surrogates)"))
	}
}

// readGroup reads the name of a group, and what KindSocketEnter has behind it.
func (m *Message) readGroup(c *cursor) {
	if m.Data = c.name(); len(m.Data) == 0 {
		c.fail(errors.New("a group without a name"))
	}
	if m.Kind == KindSocketEnter {
		m.readEntry(c)
	}
}

// readEntry reads an action DoEnter, with a name for the socket, which the action has of the server.
func (m *Message) readEntry(c *cursor) {
	a := Action{Do: DoEnter, Group: m.Data, User: c.perhaps()}
	m.Data = c.name()
	a.Info, a.Since = c.bytes(), c.perhaps()
	m.Actions = append(m.Actions, a)
}

// Cost is what a WebSocket message takes of the credit.
func Cost(data []byte, text bool) int {
	if text {
		return utf8.RuneCount(data) + MessageCost
	}
	return len(data) + MessageCost
}

func (m *Message) readPiece(c *cursor) {
	m.Data = c.bytes()
	if len(m.Data) > MaxPiece {
		c.fail(fmt.Errorf("a piece of %d bytes; at most %d are allowed", len(m.Data), MaxPiece))
	}
}

// blame notes what is wrong with an answer whose form is right: the application's mistake. The first one counts.
func (m *Message) blame(err error) {
	if m.Bad == nil {
		m.Bad = err
	}
}

// readStatus takes an int, or a WSGI status line: three digits, a space, a reason (PEP 3333, "The start_response()
// Callable").
func (m *Message) readStatus(c *cursor) {
	if c.isInt() {
		m.Status = c.int()
	} else {
		line, bad := c.latin1()
		m.blame(bad)
		digits, reason, _ := bytes.Cut(line, []byte{' '})
		m.Status, m.Reason = threeDigits(digits), reason
		if !backline.ValidFieldValue(reason) {
			m.blame(fmt.Errorf("the reason %.80q has a control character", reason))
		}
	}
	// 1xx is no answer (RFC 9110 15.2): a client would wait on, and take the answer to its next request for this one.
	if m.Status < 200 || m.Status > 999 {
		m.blame(fmt.Errorf("the status is %d; expected a number of three digits, from 200 on", m.Status))
	}
}

func threeDigits(b []byte) int {
	n := 0
	for _, d := range b {
		if d < '0' || d > '9' || len(b) != 3 {
			return 0
		}
		n = 10*n + int(d-'0')
	}
	return n
}

func (m *Message) readFields(c *cursor) {
	n := c.sequence()
	for i := range n {
		if pair := c.sequence(); pair != 2 {
			c.fail(fmt.Errorf("a header field of %d elements; expected a name and a value", pair))
		}
		name, badName := c.latin1()
		value, badValue := c.latin1()
		if c.err != nil {
			return
		}
		field := backline.Field{Name: name, Value: value}
		switch {
		case badName != nil:
			m.blame(badName)
		case badValue != nil:
			m.blame(badValue)
		// The worker package checks this too, where the application can be told in its own frame. A line break in a field
		// is another field, or another answer, and a worker in another language may have forgotten.
		case !backline.ValidFieldName(name) || !backline.ValidFieldValue(value):
			m.blame(fmt.Errorf("the header field %.80q: %.80q is not valid (RFC 9110 5.1, 5.5)", name, value))
		case i < maxFields:
			m.Fields = append(m.Fields, field)
		}
	}
	if n > maxFields {
		m.blame(fmt.Errorf("%d header fields; at most %d are allowed", n, maxFields))
	}
}
