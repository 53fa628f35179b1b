package websocket

import (
	"slices"
	"unicode/utf8"
)

// message is what a parser needs while something is incomplete, or lent to the one who asked for it.
type message struct {
	data      []byte // unmasked, not inflated
	checked   int    // bytes at the start of data that are known to be UTF-8
	fragments int    // frames after the first
	inflated  []byte
	control   []byte // payload of a control frame, which may stand between two of a message
}

// append adds what has arrived of a frame of which left bytes are still to come. The buffer grows to twice what is
// there at most, whatever a header announced: memory has to be paid for with bytes.
func (m *message) append(payload []byte, left uint64) {
	if need := len(m.data) + len(payload); need > cap(m.data) {
		more := need // other frames may follow
		if m.fragments == 0 {
			more = int(min(left, uint64(need)))
		}
		m.data = slices.Grow(m.data, len(payload)+more)
	}
	m.data = append(m.data, payload...)
}

// check tells whether data may be UTF-8 so far, or, where whole, is. It looks at each byte once, but for a character
// that has arrived in part.
func (m *message) check(whole bool) bool {
	rest := m.data[m.checked:]
	if !whole {
		rest = rest[:len(rest)-partialRune(rest)]
	}
	m.checked += len(rest)
	return utf8.Valid(rest)
}

// partialRune gives the length of a character at b's end that more bytes could complete. One that no byte could is not
// partial (utf8.FullRune calls it full): it is to be found now.
func partialRune(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		end := b[len(b)-n:]
		if utf8.RuneStart(end[0]) {
			if utf8.FullRune(end) {
				return 0
			}
			return n
		}
	}
	return 0
}

// borrow makes sure that there is a message.
func (p *Parser) borrow() {
	if p.message != nil {
		return
	}
	if found, ok := p.codecs.messages.Get().(*message); ok {
		p.message = found
		return
	}
	p.message = &message{}
}

// takeBack ends what the last event was allowed to use. Between the frames of a message that was a control frame.
func (p *Parser) takeBack() {
	p.state &^= lent
	if p.state&inMessage != 0 && p.state&closed == 0 {
		p.message.control = p.message.control[:0]
		return
	}
	p.release()
}

// release gives the message back to the pool, without what is too large to lie about.
func (p *Parser) release() {
	m := p.message
	if m == nil {
		return
	}
	p.message = nil
	*m = message{data: idle(m.data), inflated: idle(m.inflated), control: m.control[:0]}
	p.codecs.messages.Put(m)
}

// idle empties a buffer to be kept, or drops it.
func idle(buffer []byte) []byte {
	if cap(buffer) > maxIdleBuffer {
		return nil
	}
	return buffer[:0]
}
