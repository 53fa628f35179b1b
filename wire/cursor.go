package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// errTruncated is what every read past the end of a packet gives.
var errTruncated = errors.New("the message ends in the middle of a value")

// flagRef is what marshal adds to a type byte from version 3 on, where objects may refer to others. Following those
// would mean to keep every object, so a worker writes version 2.
const flagRef = 0x80

// cursor reads values from a packet. Its first error sticks, so that a caller may read a whole message and ask once.
type cursor struct {
	codec  Codec
	buf    []byte
	off    int
	err    error
	values int // read by any
}

// newCursor takes the codec from the first byte: a marshal list begins with '[', a msgpack array with 0x90-0x9f, 0xdc
// or 0xdd.
func newCursor(payload []byte) cursor { return cursor{buf: payload, codec: CodecOf(payload)} }

// CodecOf tells in which codec a packet is written.
func CodecOf(payload []byte) Codec {
	if len(payload) > 0 && payload[0] >= 0x80 {
		return Msgpack
	}
	return Marshal
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// unexpected says what was wanted and which type byte came.
func (c *cursor) unexpected(want string, got byte) {
	if c.off == 1 && (got == '['|flagRef || got == '('|flagRef || got == ')'|flagRef) {
		c.fail(errors.New("marshal with references between objects; expected its version 2: marshal.dumps(messages, 2)"))
		return
	}
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

// size reads a length of four bytes. Marshal's is signed; callers refuse what is negative.
func (c *cursor) size() int {
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
		n = c.size()
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

// none tells whether None comes next, and if so moves past it.
func (c *cursor) none() bool {
	if t := c.peek(); c.err != nil || t != 'N' && t != 0xc0 || (t == 'N') != (c.codec == Marshal) {
		return false
	}
	c.off++
	return true
}

// bool reads True or False.
func (c *cursor) bool() bool {
	t := c.byte()
	yes, no := byte('T'), byte('F')
	if c.codec == Msgpack {
		yes, no = 0xc3, 0xc2
	}
	if t != yes && t != no {
		c.unexpected("a bool", t)
	}
	return t == yes
}

// isInt tells whether a number comes next, without reading it.
func (c *cursor) isInt() bool {
	t := c.peek()
	if c.codec == Msgpack {
		return t < 0x80 || t >= 0xe0 || t >= 0xcc && t <= 0xd3
	}
	return t == 'i' || t == 'l'
}

// int reads a number.
func (c *cursor) int() int {
	t := c.byte()
	if c.codec == Marshal {
		switch t {
		case 'i':
			return c.size()
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
		n := bigEndian(c.take(8))
		if t == 0xcf && n > math.MaxInt64 {
			c.fail(errBigInt)
			return 0
		}
		return int(n)
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

// errBigInt is for numbers that no field of any message needs.
var errBigInt = errors.New("an int that does not fit 64 bits")

// bigInt reads marshal's 'l': a signed count of digits of 15 bits, the lowest first.
func (c *cursor) bigInt() int {
	count := c.size()
	negative := count < 0
	if negative {
		count = -count
	}
	if count < 0 || count > 5 {
		c.fail(errBigInt)
		return 0
	}
	magnitude := uint64(0)
	for i := range count {
		b := c.take(2)
		if b == nil {
			return 0
		}
		digit := uint64(binary.LittleEndian.Uint16(b))
		if digit > 0x7fff || i == 4 && digit > 0xf { // 4*15 bits and 4 more are all of a uint64
			c.fail(errBigInt)
			return 0
		}
		magnitude |= digit << (15 * i)
	}
	switch {
	case negative && magnitude <= 1<<63:
		return int(-magnitude)
	case !negative && magnitude <= math.MaxInt64:
		return int(magnitude)
	}
	c.fail(errBigInt)
	return 0
}

// kind reads a message's first element.
func (c *cursor) kind() Kind {
	n := c.int()
	if n < 0 || n > math.MaxUint8 {
		c.fail(fmt.Errorf("the message kind %d; expected one of docs/protocol.md", n))
		return 0
	}
	return Kind(n)
}

// natural reads a number from 0 to 2^31-1: a stream, a token, a count of bytes.
func (c *cursor) natural() int {
	n := c.int()
	if n < 0 || n > math.MaxInt32 {
		c.fail(fmt.Errorf("the number %d; expected 0 to %d", n, math.MaxInt32))
		return 0
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
			return c.take(c.size()), false
		case 'u', 't', 'a', 'A':
			return c.take(c.size()), true
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
		return c.take(c.size()), t == 0xdb
	}
	c.unexpected("bytes or str", t)
	return nil, false
}

// latin1 reads a header's name or value: bytes as they are, a str by its code points, which must be below 256 (PEP
// 3333, "native strings"). The conversion shrinks, so it happens in place. Where it cannot be done the application is
// to blame and not the worker: bad says so, and the cursor stands behind the value as usual.
func (c *cursor) latin1() (b []byte, bad error) {
	b, isStr := c.text()
	if !isStr || isASCII(b) {
		return b, nil
	}
	n := 0
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r > 0xff {
			return nil, fmt.Errorf("a header has the character %q, which HTTP cannot carry (expected latin-1)", r)
		}
		b[n] = byte(r)
		n, i = n+1, i+size
	}
	return b[:n], nil
}

func isASCII(b []byte) bool {
	high := uint64(0)
	if len(b) < 8 {
		for _, each := range b {
			high |= uint64(each)
		}
		return high&0x80 == 0
	}
	for at := 0; at < len(b)-8; at += 8 {
		high |= binary.LittleEndian.Uint64(b[at:])
	}
	high |= binary.LittleEndian.Uint64(b[len(b)-8:]) // may overlap the one before
	return high&0x8080808080808080 == 0
}
