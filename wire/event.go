package wire

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Event is what the application of a WebSocket that the server holds is called with.
type Event struct {
	What   What
	ID     string // the socket's; ASCII
	State  []byte // what the application has left with it
	Data   []byte // EventReceive: the message
	Text   bool   // it is text
	Code   int    // EventDisconnect: how it ended
	Reason string
	Group  string // EventGap
}

// Action is one of the things that an application does in answer. Its slices alias the packet.
type Action struct {
	Do     Do
	Group  []byte // DoJoin, DoLeave, DoPublish, DoEnter
	Data   []byte // a message; DoAccept's subprotocol, whose fields are the message's; DoClose's reason
	Text   bool   // the message is text
	Others bool   // DoPublish leaves this socket out
	Code   int    // DoClose

	// DoEnter's. User is nil for a member that is not said to be present, Since for one that asks for nothing; an empty
	// Since asks for everything that is remembered.
	User, Info, Since []byte
}

// AppendEvent encodes a KindEvent message with stream number 0, as AppendRequest does. r is the handshake, for
// EventConnect.
func (c Codec) AppendEvent(dst []byte, e *Event, r *Request) []byte {
	dst = c.appendTuple(dst, 6)
	dst = c.appendInt(dst, int(KindEvent))
	dst = c.appendInt(dst, 0)
	dst = c.appendInt(dst, int(e.What))
	dst = c.appendText(dst, e.ID)
	dst = c.appendBytes(dst, e.State)
	switch {
	case e.What == EventConnect:
		return c.appendScope(dst, r)
	case e.What == EventDisconnect:
		return c.appendText(c.appendInt(c.appendTuple(dst, 2), e.Code), e.Reason)
	case e.What == EventGap:
		return c.appendText(dst, e.Group)
	case e.Text:
		return c.appendUTF8(dst, e.Data)
	default:
		return c.appendBytes(dst, e.Data)
	}
}

func (m *Message) readActed(c *cursor) {
	m.readActions(c)
	m.readState(c)
}

// readActions reads a list of tuples.
func (m *Message) readActions(c *cursor) {
	n := c.sequence()
	if n > MaxActions {
		c.fail(fmt.Errorf("%d actions in one message; at most %d are allowed", n, MaxActions))
	}
	for range n {
		var a Action
		size := c.sequence()
		a.Do = Do(c.natural())
		if want := elements(a.Do); size != want {
			c.fail(fmt.Errorf("an action %d of %d elements; expected %d (see docs/protocol.md)", a.Do, size, want))
		}
		if c.err != nil {
			return
		}
		m.readAction(c, &a)
		m.Actions = append(m.Actions, a)
	}
}

// elements is how many elements an action has; 0 for what is none.
func elements(d Do) int {
	switch d {
	case DoSend, DoJoin, DoLeave:
		return 2
	case DoAccept, DoClose:
		return 3
	case DoPublish:
		return 4
	case DoEnter:
		return 5
	default:
		return 0
	}
}

func (m *Message) readAction(c *cursor, a *Action) {
	switch a.Do {
	case DoAccept:
		if !c.none() {
			m.readToken(c)
			a.Data, m.Data = m.Data, nil
		}
		m.readFields(c)
	case DoSend:
		a.Data, a.Text = m.readWhole(c)
	case DoJoin, DoLeave:
		a.Group = c.bytes()
	case DoPublish:
		a.Group = c.bytes()
		a.Data, a.Text = m.readWhole(c)
		a.Others = c.bool()
	case DoEnter:
		a.Group = c.bytes()
		a.User = c.perhaps()
		a.Info = c.bytes()
		a.Since = c.perhaps()
	case DoClose:
		a.Code = c.natural()
		a.Data = c.bytes()
	}
}

// readWhole reads a message for a client, or for many.
func (m *Message) readWhole(c *cursor) (data []byte, text bool) {
	data, text = c.text()
	if text && !utf8.Valid(data) {
		m.blame(errors.New("a text message has characters that UTF-8 cannot carry (lone surrogates)"))
	}
	return data, text
}

// readState reads what an application leaves with a socket: not nil, unless it leaves it as it was.
func (m *Message) readState(c *cursor) {
	if c.none() {
		return
	}
	if m.Data = c.bytes(); len(m.Data) > MaxState {
		c.fail(fmt.Errorf("a state of %d bytes; at most %d are allowed", len(m.Data), MaxState))
	}
	if m.Data == nil {
		m.Data = []byte{}
	}
}

// perhaps reads bytes or a str, which are not nil, or None.
func (c *cursor) perhaps() []byte {
	if c.none() {
		return nil
	}
	if b := c.bytes(); b != nil {
		return b
	}
	return []byte{}
}
