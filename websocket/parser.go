package websocket

import (
	"encoding/binary"
	"unicode/utf8"
)

// Event is what a client has sent. Data is valid until the next call of Next: it aliases what Next was given, or a
// buffer that other connections use afterwards.
type Event struct {
	Kind Kind   // None: nothing is whole yet
	Code int    // of a Close; CloseNoStatus where it came without one
	Data []byte // a whole message; what a ping or pong carries; the reason of a close
}

// Parser turns the bytes of one client into events. It keeps a frame's header that has arrived in part; what has
// arrived of a message lies in a buffer borrowed from Codecs, until the message is whole and has been used.
type Parser struct {
	codecs  *Codecs
	err     *CloseError // sticky: where the next frame would begin is unknown
	message *message    // nil while nothing is under way but a header

	left uint64 // bytes of the current frame's payload that have not arrived
	key  uint32 // mask of the byte that comes next, and the three after it

	header [maxHeader]byte // of a frame, in part
	have   uint8           // bytes of it
	first  uint8           // its first byte, of the current frame or the last one
	state  state
}

// state holds what a parser knows beside numbers.
type state uint8

const (
	inFrame    state = 1 << iota // a header has been read, its payload not yet
	inMessage                    // a message has begun, and its last frame has not come
	compressed                   // the message is
	isText                       // the message is
	deflates                     // permessage-deflate was negotiated
	lent                         // message.data is in the last event's hands
	closed                       // a close frame has come
)

// NewParser makes the parser of one connection.
func NewParser(codecs *Codecs, deflate Deflate) Parser {
	p := Parser{codecs: codecs}
	if deflate.On {
		p.state = deflates
	}
	return p
}

// Next reads src up to the end of the first event, or to its end where that gives none, and says how much that was:
// call it again with the rest until there is no event, for only then has everything borrowed been given back. Payloads
// are unmasked where they lie. An error is the last thing a parser has to say; after a close frame nothing is read any
// more.
func (p *Parser) Next(src []byte) (event Event, used int, err *CloseError) {
	if p.state&lent != 0 {
		p.takeBack()
	}
	for p.err == nil && p.state&closed == 0 {
		if p.state&inFrame == 0 {
			used += p.readHeader(src[used:])
			if p.state&inFrame == 0 {
				break
			}
		}
		n := int(min(p.left, uint64(len(src)-used)))
		if n == 0 && p.left > 0 {
			break // nothing need be borrowed yet: the payload may still come in one piece
		}
		payload := src[used : used+n]
		used, p.left = used+n, p.left-uint64(n)
		p.key = unmask(payload, p.key)
		if Kind(p.first & opcodeBits).control() {
			event = p.controlPayload(payload)
		} else {
			event = p.dataPayload(payload)
		}
		if event.Kind != None {
			return event, used, nil
		}
		if p.left > 0 {
			break
		}
	}
	if p.state&closed != 0 {
		used = len(src)
	}
	return Event{}, used, p.err
}

// fail makes err the parser's last word.
func (p *Parser) fail(err *CloseError) {
	p.err = err
	p.state &^= lent
	p.release()
}

// readHeader reads what there is of a header, and begins its frame when it is whole.
func (p *Parser) readHeader(src []byte) (used int) {
	if p.have == 0 {
		if size := headerSize(src); len(src) >= size {
			p.begin(src[:size])
			return size
		}
	}
	for {
		size := headerSize(p.header[:p.have])
		n := copy(p.header[p.have:size], src[used:])
		used, p.have = used+n, p.have+uint8(n)
		if int(p.have) < size {
			return used
		}
		if size == headerSize(p.header[:p.have]) { // not so where the first two bytes have just said that more follow
			p.have = 0
			p.begin(p.header[:size])
			return used
		}
	}
}

// headerSize gives the length of the header that begins with b, or as much of it as b tells.
func headerSize(b []byte) int {
	if len(b) < 2 {
		return 2
	}
	size := 2
	switch b[1] & lengthBits {
	case length16:
		size += 2
	case length64:
		size += 8
	}
	if b[1]&maskBit != 0 {
		size += 4
	}
	return size
}

// begin judges a header, which is all that can be wrong with a frame but its payload.
func (p *Parser) begin(header []byte) {
	p.first = header[0]
	kind := Kind(p.first & opcodeBits)
	if header[1]&maskBit == 0 {
		p.fail(violation("frame is not masked")) // RFC 6455 5.1
		return
	}
	mayCompress := p.state&deflates != 0 && (kind == Text || kind == Binary)
	if p.first&(rsv2Bit|rsv3Bit) != 0 || p.first&rsv1Bit != 0 && !mayCompress {
		p.fail(violation("reserved bit is set"))
		return
	}
	p.left = uint64(header[1] & lengthBits)
	switch p.left {
	case length16:
		p.left = uint64(binary.BigEndian.Uint16(header[2:]))
	case length64:
		p.left = binary.BigEndian.Uint64(header[2:])
	}
	p.key = binary.LittleEndian.Uint32(header[len(header)-4:])
	var err *CloseError
	if kind.control() {
		err = p.beginControl(kind, header[1]&lengthBits)
	} else {
		err = p.beginData(kind)
	}
	if err != nil {
		p.fail(err)
		return
	}
	p.state |= inFrame
}

// beginControl applies RFC 6455 5.5.
func (p *Parser) beginControl(kind Kind, length byte) *CloseError {
	switch {
	case kind > Pong:
		return violation("reserved opcode")
	case p.first&finBit == 0:
		return violation("control frame is fragmented")
	case length > maxControl:
		return violation("control frame is longer than 125 bytes")
	default:
		return nil
	}
}

// beginData applies RFC 6455 5.4 and the limits. A length is refused when it is announced; nothing else is done with
// it.
func (p *Parser) beginData(kind Kind) *CloseError {
	switch {
	case kind > Binary:
		return violation("reserved opcode")
	case kind == None && p.state&inMessage == 0:
		return violation("continuation of no message")
	case kind != None && p.state&inMessage != 0:
		return violation("message begins inside another")
	case p.left > 1<<63-1:
		return violation("length of a frame has its top bit set") // RFC 6455 5.2
	}
	limit := p.codecs.maxMessage
	switch kind {
	case Text:
		p.state |= isText
	case None:
		if p.message.fragments++; p.message.fragments >= p.codecs.maxFragments {
			return tooBig("message is in too many frames")
		}
		limit -= len(p.message.data)
	}
	p.state |= inMessage
	if p.first&rsv1Bit != 0 {
		p.state |= compressed
	}
	if p.state&compressed != 0 {
		limit += incompressible(p.codecs.maxMessage)
	}
	if p.left > uint64(limit) {
		return tooBig("message is larger than the server takes")
	}
	return nil
}

// incompressible is by how much compression may lengthen a message: a stored block and a flush, 10 bytes together, for
// each 80 bytes, and those of a short message.
func incompressible(size int) int { return size/8 + 64 }

// controlPayload takes what has arrived of a control frame.
func (p *Parser) controlPayload(payload []byte) Event {
	if p.left > 0 || p.message != nil && len(p.message.control) > 0 {
		p.borrow()
		p.message.control = append(p.message.control, payload...)
		if p.left > 0 {
			return Event{}
		}
		payload = p.message.control
		p.state |= lent
	}
	p.state &^= inFrame
	kind := Kind(p.first & opcodeBits)
	if kind != Close {
		return Event{Kind: kind, Data: payload}
	}
	event, err := parseClose(payload)
	if err != nil {
		p.fail(err)
		return Event{}
	}
	p.state |= closed | lent
	return event
}

// dataPayload takes what has arrived of a message's frame.
func (p *Parser) dataPayload(payload []byte) Event {
	last := p.left == 0 && p.first&finBit != 0
	if last && p.message == nil && p.state&compressed == 0 {
		if p.state&isText != 0 && !utf8.Valid(payload) {
			p.fail(invalid("text is not UTF-8"))
			return Event{}
		}
		return p.finish(payload)
	}
	p.borrow()
	m := p.message
	m.append(payload, p.left)
	if p.state&(isText|compressed) == isText && !m.check(last) {
		p.fail(invalid("text is not UTF-8"))
		return Event{}
	}
	if !last {
		if p.left == 0 {
			p.state &^= inFrame
		}
		return Event{}
	}
	p.state |= lent
	if p.state&compressed == 0 {
		return p.finish(m.data)
	}
	if err := p.inflate(m); err != nil {
		p.fail(err)
		return Event{}
	}
	return p.finish(m.inflated)
}

// finish ends a message.
func (p *Parser) finish(data []byte) Event {
	kind := Binary
	if p.state&isText != 0 {
		kind = Text
	}
	p.state &^= inFrame | inMessage | compressed | isText
	return Event{Kind: kind, Data: data}
}

// inflate inflates a whole message and checks it.
func (p *Parser) inflate(m *message) (err *CloseError) {
	inflater := p.codecs.inflater()
	m.inflated, err = inflater.inflate(m.inflated[:0], m.data, p.codecs.maxMessage)
	p.codecs.inflaters.Put(inflater)
	if err == nil && p.state&isText != 0 && !utf8.Valid(m.inflated) {
		err = invalid("text is not UTF-8")
	}
	return err
}
