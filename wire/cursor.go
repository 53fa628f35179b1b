package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// errTruncated is what every read past the end of a packet gives.
var errTruncated = errors.New("the message ends in the middle of a value")

// maxDepth bounds nesting in the handshake's dictionaries.
const maxDepth = 16

// cursor reads values from a packet. Its first error sticks, so that a caller may read a whole message and ask once.
type cursor struct {
	codec Codec
	buf   []byte
	off   int
	err   error
}

// newCursor takes the codec from the first byte: a marshal list begins with '[', a msgpack array with 0x90-0x9f, 0xdc
// or 0xdd.
func newCursor(payload []byte) cursor {
	c := cursor{buf: payload}
	if len(payload) > 0 && payload[0] >= 0x80 {
		c.codec = Msgpack
	}
	return c
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// unexpected says what was wanted and which type byte came.
func (c *cursor) unexpected(want string, got byte) {
	c.fail(fmt.Errorf("%s: expected %s, got type byte 0x%02x at offset %d", c.codec, want, got, c.off-1))
}

func (c *cursor) byte() byte {
	if c.err != nil || c.off >= len(c.buf) {
		c.fail(errTruncated)
		return 0
	}
	c.off++
	return c.buf[c.off-1]
}

func (c *cursor) peek() byte {
	if c.err != nil || c.off >= len(c.buf) {
		c.fail(errTruncated)
		return 0
	}
	return c.buf[c.off]
}

// take gives the next n bytes, aliasing the packet.
func (c *cursor) take(n int) []byte {
	if c.err != nil || n < 0 || n > len(c.buf)-c.off {
		c.fail(errTruncated)
		return nil
	}
	c.off += n
	return c.buf[c.off-n : c.off : c.off]
}

func (c *cursor) uint32() int {
	b := c.take(4)
	if b == nil {
		return 0
	}
	if c.codec == Msgpack {
		return int(binary.BigEndian.Uint32(b))
	}
	return int(int32(binary.LittleEndian.Uint32(b)))
}

// sequence reads the header of a list or tuple. A length that cannot fit what is left is refused before anybody
// allocates by it: every element takes at least one byte.
func (c *cursor) sequence() int {
	n := 0
	switch t := c.byte(); {
	case c.err != nil:
		return 0
	case c.codec == Msgpack && t&0xf0 == 0x90:
		n = int(t & 0x0f)
	case c.codec == Msgpack && t == 0xdc:
		if b := c.take(2); b != nil {
			n = int(binary.BigEndian.Uint16(b))
		}
	case c.codec == Msgpack && t == 0xdd, c.codec == Marshal && (t == '(' || t == '['):
		n = c.uint32()
	case c.codec == Marshal && t == ')':
		n = int(c.byte())
	default:
		c.unexpected("a list or tuple", t)
	}
	if n < 0 || n > len(c.buf)-c.off {
		c.fail(errTruncated)
		return 0
	}
	return n
}

// isInt tells whether a number comes next, without reading it.
func (c *cursor) isInt() bool {
	t := c.peek()
	if c.codec == Msgpack {
		return t < 0x80 || t >= 0xe0 || t >= 0xcc && t <= 0xd3
	}
	return t == 'i'
}

// int reads a number.
func (c *cursor) int() int {
	t := c.byte()
	if c.codec == Marshal {
		switch t {
		case 'i':
			return c.uint32()
		case 'l':
			return c.bigInt()
		}
		c.unexpected("an int", t)
		return 0
	}
	switch {
	case t < 0x80:
		return int(t)
	case t >= 0xe0:
		return int(int8(t))
	case t == 0xcc || t == 0xd0:
		return signed(uint64(c.byte()), t == 0xd0, 8)
	case t == 0xcd || t == 0xd1:
		return signed(bigEndian(c.take(2)), t == 0xd1, 16)
	case t == 0xce || t == 0xd2:
		return signed(bigEndian(c.take(4)), t == 0xd2, 32)
	case t == 0xcf || t == 0xd3:
		return int(bigEndian(c.take(8)))
	}
	c.unexpected("an int", t)
	return 0
}

func bigEndian(b []byte) (n uint64) {
	for _, each := range b {
		n = n<<8 | uint64(each)
	}
	return n
}

func signed(n uint64, isSigned bool, bits int) int {
	if isSigned {
		return int(int64(n<<(64-bits)) >> (64 - bits))
	}
	return int(n)
}

// bigInt reads marshal's 'l': a signed count of digits of 15 bits.
func (c *cursor) bigInt() int {
	count := c.uint32()
	negative := count < 0
	if negative {
		count = -count
	}
	if count < 0 || count > 4 {
		c.fail(errors.New("marshal: an int larger than 60 bits"))
		return 0
	}
	n := 0
	for i := range count {
		b := c.take(2)
		if b == nil {
			return 0
		}
		n |= int(binary.LittleEndian.Uint16(b)&0x7fff) << (15 * i)
	}
	if negative {
		return -n
	}
	return n
}

// bytes reads a bytes object or a str, as its bytes; for a str these are its UTF-8.
func (c *cursor) bytes() []byte {
	b, _ := c.text()
	return b
}

// text reads a bytes object or a str and tells which it was.
func (c *cursor) text() (b []byte, isStr bool) {
	t := c.byte()
	if c.codec == Marshal {
		switch t {
		case 's':
			return c.take(c.uint32()), false
		case 'u', 't', 'a', 'A':
			return c.take(c.uint32()), true
		case 'z', 'Z':
			return c.take(int(c.byte())), true
		}
		c.unexpected("bytes or str", t)
		return nil, false
	}
	switch {
	case t&0xe0 == 0xa0:
		return c.take(int(t & 0x1f)), true
	case t == 0xc4 || t == 0xd9:
		return c.take(int(c.byte())), t == 0xd9
	case t == 0xc5 || t == 0xda:
		return c.take(int(bigEndian(c.take(2)))), t == 0xda
	case t == 0xc6 || t == 0xdb:
		return c.take(c.uint32()), t == 0xdb
	}
	c.unexpected("bytes or str", t)
	return nil, false
}

// latin1 reads a header's name or value: bytes as they are, a str by its code points, which must be below 256 (PEP
// 3333, "native strings"). The conversion shrinks, so it happens in place.
func (c *cursor) latin1() []byte {
	b, isStr := c.text()
	if !isStr || isASCII(b) {
		return b
	}
	n := 0
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r > 0xff || r == utf8.RuneError {
			c.fail(fmt.Errorf("a header has the character %q, which HTTP cannot carry (expected latin-1)", r))
			return nil
		}
		b[n] = byte(r)
		n, i = n+1, i+size
	}
	return b[:n]
}

func isASCII(b []byte) bool {
	for _, each := range b {
		if each >= 0x80 {
			return false
		}
	}
	return true
}

// any reads a value of the handshake.
func (c *cursor) any(depth int) any {
	t := c.peek()
	switch {
	case c.err != nil:
		return nil
	case depth > maxDepth:
		c.fail(fmt.Errorf("values nested deeper than %d", maxDepth))
		return nil
	case c.codec == Marshal:
		return c.anyMarshal(t, depth)
	default:
		return c.anyMsgpack(t, depth)
	}
}

func (c *cursor) anyMarshal(t byte, depth int) any {
	switch t {
	case 'N', 'T', 'F':
		c.off++
		return constant(t == 'N', t == 'T')
	case 'i', 'l':
		return c.int()
	case 'g':
		c.off++
		return float(c.take(8), binary.LittleEndian)
	case '(', ')', '[':
		return c.anyList(depth)
	case '{':
		c.off++
		m := map[string]any{}
		for c.err == nil && c.peek() != '0' {
			key := string(c.bytes())
			m[key] = c.any(depth + 1)
		}
		c.off++
		return m
	case 's':
		return c.bytes()
	default:
		return string(c.bytes())
	}
}

func (c *cursor) anyMsgpack(t byte, depth int) any {
	switch {
	case t == 0xc0, t == 0xc2, t == 0xc3:
		c.off++
		return constant(t == 0xc0, t == 0xc3)
	case t == 0xcb:
		c.off++
		return float(c.take(8), binary.BigEndian)
	case t&0xf0 == 0x90, t == 0xdc, t == 0xdd:
		return c.anyList(depth)
	case t&0xf0 == 0x80, t == 0xde, t == 0xdf:
		return c.anyMap(depth)
	case t == 0xc4, t == 0xc5, t == 0xc6:
		return c.bytes()
	case c.isInt():
		return c.int()
	default:
		return string(c.bytes())
	}
}

func constant(none, truth bool) any {
	if none {
		return nil
	}
	return truth
}

func float(b []byte, order binary.ByteOrder) any {
	if len(b) != 8 {
		return nil
	}
	return math.Float64frombits(order.Uint64(b))
}

func (c *cursor) anyList(depth int) any {
	list := make([]any, 0, min(c.peekLen(), 64))
	for range c.sequence() {
		if c.err != nil {
			break
		}
		list = append(list, c.any(depth+1))
	}
	return list
}

// peekLen is a hint for allocation only.
func (c *cursor) peekLen() int { return len(c.buf) - c.off }

// anyMap reads msgpack's dictionary.
func (c *cursor) anyMap(depth int) any {
	n := 0
	switch t := c.byte(); {
	case t&0xf0 == 0x80:
		n = int(t & 0x0f)
	case t == 0xde:
		n = int(bigEndian(c.take(2)))
	default:
		n = c.uint32()
	}
	m := map[string]any{}
	for i := 0; i < n && c.err == nil; i++ {
		key := string(c.bytes())
		m[key] = c.any(depth + 1)
	}
	return m
}

// sortedKeys makes what we write the same every time.
func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
