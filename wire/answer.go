package wire

import (
	"bytes"
	"fmt"

	"backline"
)

// maxFields bounds the header fields of one answer.
const maxFields = 1000

// Message is one message from a worker. Its slices alias the packet, so they live until the Reader's next packet;
// Fields' array is used again by the next decoding.
type Message struct {
	Kind   Kind
	Stream uint32
	Status int              // KindAnswer, KindAnswerOpen, KindStart, KindFile
	Reason []byte           // the WSGI status line's reason, nil for the standard one
	Fields []backline.Field // the same kinds, and KindHint
	Data   []byte           // body, KindError's message, KindFile's path, KindTrace's text
	N      int              // KindRead
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

// Next decodes the next message; false at the end of the packet.
func (m *Messages) Next(out *Message) (bool, error) {
	c := &m.cursor
	if m.left == 0 {
		if c.off != len(c.buf) {
			return false, fmt.Errorf("%d bytes after the last message of a packet", len(c.buf)-c.off)
		}
		return false, nil
	}
	m.left--
	n := c.sequence()
	if n < 2 {
		c.fail(fmt.Errorf("a message of %d elements; expected kind, stream, ...", n))
		return false, c.err
	}
	out.Kind, out.Stream = Kind(c.int()), uint32(c.int())
	out.Status, out.Reason, out.Fields, out.Data, out.N, out.Bad = 0, nil, out.Fields[:0], nil, 0, nil
	if want := shape(out.Kind); want != n {
		c.fail(fmt.Errorf("a message of kind %d has %d elements, got %d (see docs/protocol.md)", out.Kind, want, n))
		return false, c.err
	}
	out.read(c)
	return c.err == nil, c.err
}

// shape is how many elements a message of this kind has; 0 for kinds that a worker does not send.
func shape(kind Kind) int {
	switch kind {
	case KindAnswer, KindAnswerOpen, KindStart, KindFile:
		return 5
	case KindData, KindError, KindRead, KindHint, KindTrace:
		return 3
	case KindEnd, KindDone, KindAlive:
		return 2
	default:
		return 0
	}
}

func (m *Message) read(c *cursor) {
	switch m.Kind {
	case KindAnswer, KindAnswerOpen, KindStart, KindFile:
		m.readStatus(c)
		m.readFields(c)
		m.Data = c.bytes()
	case KindData, KindError, KindTrace:
		m.Data = c.bytes()
	case KindRead:
		m.N = c.int()
	case KindHint:
		m.readFields(c)
	}
}

// readStatus takes an int, or a WSGI status line: three digits, a space, a reason (PEP 3333, "The start_response()
// callable").
func (m *Message) readStatus(c *cursor) {
	if c.isInt() {
		m.Status = c.int()
	} else {
		line := c.latin1()
		digits, reason, _ := bytes.Cut(line, space)
		for _, d := range digits {
			if d < '0' || d > '9' || m.Status > 999 {
				m.Status = 0
				break
			}
			m.Status = 10*m.Status + int(d-'0')
		}
		m.Reason = reason
	}
	if m.Status < 100 || m.Status > 999 {
		m.Bad = fmt.Errorf("the status is %d; expected a number of three digits", m.Status)
	}
}

var space = []byte{' '}

func (m *Message) readFields(c *cursor) {
	n := c.sequence()
	if n > maxFields {
		c.fail(fmt.Errorf("an answer of %d header fields; at most %d are allowed", n, maxFields))
		return
	}
	for range n {
		if pair := c.sequence(); pair != 2 && c.err == nil {
			c.fail(fmt.Errorf("a header field of %d elements; expected a name and a value", pair))
		}
		if c.err != nil {
			return
		}
		m.Fields = append(m.Fields, backline.Field{Name: c.latin1(), Value: c.latin1()})
	}
}
