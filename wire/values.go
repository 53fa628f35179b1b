package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// The handshake's dictionaries hold any values. They are read once in a worker's life, so this file is written for
// safety and not for speed.

// maxDepth bounds nesting.
const maxDepth = 16

// maxValues bounds how many values one packet of the handshake may hold: an empty dictionary is one byte of msgpack and
// fifty of Go's memory.
const maxValues = 100_000

// appendAny writes None (nil), bool, int, float64, string, []byte, lists and string-keyed dictionaries. Other types are
// an error: a setting that silently became None would be looked for in the application.
func (c Codec) appendAny(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return c.appendNone(dst), nil
	case bool:
		return c.appendBool(dst, v), nil
	case int:
		return c.appendInt64(dst, int64(v)), nil
	case int64:
		return c.appendInt64(dst, v), nil
	case float64:
		return c.appendFloat(dst, v), nil
	case string:
		return c.appendText(dst, v), nil
	case []byte:
		return c.appendBytes(dst, v), nil
	case []string:
		dst = c.appendList(dst, len(v))
		for _, s := range v {
			dst = c.appendText(dst, s)
		}
		return dst, nil
	case []any:
		return c.appendAnyList(dst, v)
	case map[string]any:
		return c.appendAnyMap(dst, v)
	default:
		return dst, fmt.Errorf("a %T cannot be sent to a worker; expected nil, bool, int, float64, string, []byte, "+
			"[]string, []any or map[string]any", v)
	}
}

func (c Codec) appendAnyList(dst []byte, list []any) ([]byte, error) {
	dst = c.appendList(dst, len(list))
	for _, v := range list {
		var err error
		if dst, err = c.appendAny(dst, v); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendAnyMap writes the keys in order, so that the same settings are the same bytes.
func (c Codec) appendAnyMap(dst []byte, m map[string]any) ([]byte, error) {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst, at := c.beginMap(dst)
	for _, key := range keys {
		var err error
		if dst, err = c.appendAny(c.appendText(dst, key), m[key]); err != nil {
			return dst, fmt.Errorf("%s: %w", key, err)
		}
	}
	return c.endMap(dst, at, len(m)), nil
}

// appendInt64 writes any number. Marshal has no 64-bit integer that Python 3 still writes but 'l', digits of 15 bits.
func (c Codec) appendInt64(dst []byte, n int64) []byte {
	switch {
	case c == Msgpack:
		return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(n))
	case n >= math.MinInt32 && n <= math.MaxInt32:
		return c.appendInt(dst, int(n))
	}
	magnitude, count := uint64(n), int32(0)
	if n < 0 {
		magnitude = -magnitude
	}
	at := len(dst) + 1
	dst = append(dst, 'l', 0, 0, 0, 0)
	for ; magnitude != 0; magnitude >>= 15 {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(magnitude&0x7fff))
		count++
	}
	if n < 0 {
		count = -count
	}
	binary.LittleEndian.PutUint32(dst[at:], uint32(count))
	return dst
}

func (c Codec) appendFloat(dst []byte, f float64) []byte {
	if c == Msgpack {
		return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
	}
	return binary.LittleEndian.AppendUint64(append(dst, 'g'), math.Float64bits(f))
}

// any reads a value.
func (c *cursor) any(depth int) any {
	t := c.peek()
	c.values++
	switch {
	case c.err != nil:
		return nil
	case depth > maxDepth:
		c.fail(fmt.Errorf("values nested deeper than %d", maxDepth))
		return nil
	case c.values > maxValues:
		c.fail(fmt.Errorf("more than %d values", maxValues))
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
		return c.float(8)
	case '(', ')', '[':
		return c.anyList(depth)
	case '{':
		c.off++
		m := map[string]any{}
		for c.err == nil && c.peek() != '0' {
			c.pair(m, depth)
		}
		c.byte()
		return m
	default:
		return c.anyText()
	}
}

func (c *cursor) anyMsgpack(t byte, depth int) any {
	switch {
	case t == 0xc0, t == 0xc2, t == 0xc3:
		c.off++
		return constant(t == 0xc0, t == 0xc3)
	case t == 0xca:
		c.off++
		return c.float(4)
	case t == 0xcb:
		c.off++
		return c.float(8)
	case t&0xf0 == 0x90, t == 0xdc, t == 0xdd:
		return c.anyList(depth)
	case t&0xf0 == 0x80, t == 0xde, t == 0xdf:
		return c.anyMap(depth)
	case c.isInt():
		return c.int()
	default:
		return c.anyText()
	}
}

// anyText gives a string for str, and for bytes a slice of the packet.
func (c *cursor) anyText() any {
	b, isStr := c.text()
	if isStr {
		return string(b)
	}
	return b
}

func constant(none, truth bool) any {
	if none {
		return nil
	}
	return truth
}

func (c *cursor) float(size int) any {
	b := c.take(size)
	switch {
	case b == nil:
		return nil
	case size == 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case c.codec == Msgpack:
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	default:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
}

func (c *cursor) anyList(depth int) any {
	list := []any{}
	for range c.sequence() {
		if c.err != nil {
			break
		}
		list = append(list, c.any(depth+1))
	}
	return list
}

// anyMap reads msgpack's dictionary.
func (c *cursor) anyMap(depth int) any {
	n := c.mapLength()
	m := map[string]any{}
	for i := 0; i < n && c.err == nil; i++ {
		c.pair(m, depth)
	}
	return m
}

// mapLength reads the header of msgpack's dictionary: how many pairs follow, each of two bytes at least.
func (c *cursor) mapLength() int {
	var n int
	switch t := c.byte(); {
	case t&0xf0 == 0x80:
		n = int(t & 0x0f)
	case t == 0xde:
		n = int(bigEndian(c.take(2)))
	default:
		n = c.size()
	}
	if n < 0 || n > (len(c.buf)-c.off)/2 {
		c.fail(errTruncated)
		return 0
	}
	return n
}

// pair reads a key and its value. A key that comes twice has a first value that nobody would see, which Python never
// writes.
func (c *cursor) pair(m map[string]any, depth int) {
	key, isStr := c.text()
	if c.err == nil && !isStr {
		c.fail(errors.New("a dictionary's key is bytes; expected str"))
	}
	if _, twice := m[string(key)]; twice {
		c.fail(fmt.Errorf("the key %.40q comes twice", key))
	}
	if c.err == nil {
		m[string(key)] = c.any(depth + 1)
	}
}

// appendText writes a Go string as a str. One that is not UTF-8, such as the path of a file with an old name, becomes
// what Python's os.fsdecode makes of it (PEP 383), so that the worker can open the file; msgpack has no such form.
func (c Codec) appendText(dst []byte, s string) []byte {
	switch {
	case utf8.ValidString(s):
		return c.appendUTF8(dst, []byte(s))
	case c == Msgpack:
		return c.appendUTF8(dst, validUTF8([]byte(s)))
	}
	escaped := make([]byte, 0, len(s)+16)
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			// U+DC80 to U+DCFF, in the form of UTF-8 that admits surrogates.
			escaped = append(escaped, 0xed, 0xb2|s[0]>>6&1, 0x80|s[0]&0x3f)
		} else {
			escaped = append(escaped, s[:size]...)
		}
		s = s[size:]
	}
	return c.appendUTF8(dst, escaped)
}
