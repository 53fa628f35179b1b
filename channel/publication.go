package channel

import (
	"bytes"
	"sync"
	"sync/atomic"
)

// Publication is what is published to a group. Each member takes the form that is made for it, and ignores a
// publication that has none. It is immutable once published, and shared by all members.
type Publication struct {
	// Message is for the channels of processes (group_send).
	Message *Message
	// Socket is for WebSockets that the edge delivers to (group_broadcast; GRIP's ws-message).
	Socket *SocketMessage
	// Response completes held answers (GRIP's http-response), and Stream extends held streams (http-stream).
	Response *Response
	Stream   []byte
	// Close ends held answers, held streams or WebSockets instead.
	Close Forms
	// Farewell is how WebSockets are closed then. nil: with 1000.
	Farewell *Farewell
	// Refresh has the application asked again instead, where a held answer says how (GRIP's hint and refresh).
	Refresh Forms

	// ID and PrevID are the publisher's own names of this publication and of the one before it, for members that have
	// said which one they saw last (GRIP). Empty: it has none.
	ID, PrevID string
	// Meta and Filters are GRIP's: what members compare with what they know of themselves, and what they do with the
	// content. nil: as their channel says.
	Meta    map[string]string
	Filters *Filters

	// Except is a member of this node that does not get it: the one on whose behalf it is published. nil: everybody does.
	Except Member

	// Position is filled in by the layer when it publishes.
	Position Position
	// Stamp is filled in by a layer of several nodes.
	Stamp Stamp

	placed atomic.Pointer[SocketMessage]
}

// Farewell is what a close frame says (RFC 6455 5.5.1).
type Farewell struct {
	Code   int
	Reason string
}

// Forms are some of those that a publication may have for members of the edge.
type Forms uint8

// Each of them, and all.
const (
	FormResponse Forms = 1 << iota
	FormStream
	FormSocket
	FormsAll = FormResponse | FormStream | FormSocket
)

// Has tells whether a form is among them.
func (f Forms) Has(form Forms) bool { return f&form != 0 }

// Filters are the names of content filters, of each form its own. Most publications have none, and pay a pointer.
type Filters struct{ Response, Stream, Socket []string }

// Of gives those of a form.
func (f *Filters) Of(form Forms) []string {
	switch {
	case f == nil:
		return nil
	case form == FormResponse:
		return f.Response
	case form == FormStream:
		return f.Stream
	}
	return f.Socket
}

// Placed is Socket for members that have to know where in the group's history it stands: a text that is a JSON object
// has one key more, PositionKey, in front. Any other message, and one that is not remembered, is Socket itself.
func (p *Publication) Placed() *SocketMessage {
	if p.Socket == nil || !p.Socket.Text || p.Position.Epoch == 0 {
		return p.Socket
	}
	rest, object := bytes.CutPrefix(bytes.TrimLeft(p.Socket.Data, jsonSpace), []byte("{"))
	if !object {
		return p.Socket
	}
	if found := p.placed.Load(); found != nil {
		return found
	}
	comma := ","
	if bytes.HasPrefix(bytes.TrimLeft(rest, jsonSpace), []byte("}")) {
		comma = ""
	}
	head := `{"` + PositionKey + `":"` + p.Position.String() + `"` + comma
	p.placed.CompareAndSwap(nil, &SocketMessage{Data: append([]byte(head), rest...), Text: true})
	return p.placed.Load()
}

// PositionKey is what a message of a group that remembers has besides what it was sent with: the position of which
// clients say, when they come back, that it was the last they saw.
const PositionKey = "__position__"

const jsonSpace = " \t\r\n" // RFC 8259 2

// Stamp is where a publication stands among those of the node that published it.
type Stamp struct {
	// Origin is the node, of which every life has another number. 0: other nodes do not hear of the publication.
	Origin uint64
	// Number grows with each publication of the node, and Previous is that of the one before it in its group, or 0.
	Number, Previous uint64
}

// size is about what it takes of memory as one of a kind, with one more form of the message, and of the WebSocket's,
// that members have made of them.
func (p *Publication) size(kind Kind) int {
	n := 300 + len(p.Position.Origins) + len(p.ID) + len(p.PrevID)
	switch kind {
	case Messages:
		n += messageCost + 2*p.Message.Size()
	case Sockets:
		n += 4 * len(p.Socket.Data) // a frame is kept with it, mostly one and not compressed; and both again as Placed
	case Streams:
		n += len(p.Stream)
	case Responses:
		if r := p.Response; r != nil {
			n += len(r.Body) + len(r.Reason)
			for _, field := range r.Header {
				n += len(field[0]) + len(field[1])
			}
		}
	}
	for name, value := range p.Meta {
		n += len(name) + len(value)
	}
	for form := FormResponse; form <= FormSocket; form <<= 1 {
		for _, name := range p.Filters.Of(form) {
			n += len(name)
		}
	}
	return n
}

// SocketMessage is a WebSocket's message.
type SocketMessage struct {
	Data []byte
	Text bool
	// Control is ping or pong where it is such a frame (RFC 6455 5.5), of at most MaxControl bytes, and no message.
	Control string

	making sync.Mutex // one member makes a form, and others wait for it rather than make it too
	forms  [socketForms]atomic.Pointer[[]byte]
}

// MaxControl is how many bytes a ping or pong carries (RFC 6455 5.5).
const MaxControl = 125

// socketForms is how many forms there may be: one for each way to frame it, which package websocket knows (Framings).
const socketForms = 9

// Form gives the message as members of one kind take it, made by the first of them. form is below socketForms.
func (m *SocketMessage) Form(form int, framed func(data []byte, text bool) []byte) []byte {
	if found := m.forms[form].Load(); found != nil {
		return *found
	}
	m.making.Lock()
	defer m.making.Unlock()
	if found := m.forms[form].Load(); found != nil {
		return *found
	}
	made := framed(m.Data, m.Text)
	m.forms[form].Store(&made)
	return made
}

// Response is a whole HTTP answer.
type Response struct {
	Status int
	Reason string
	Header [][2]string
	Body   []byte
	// Patches: Body is a JSON Patch (RFC 6902), to be applied to the body of the answer that is held.
	Patches bool
}
