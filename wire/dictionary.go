package wire

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// A message between processes is a dictionary whose keys are str and whose values are None, bool, integers of 64 bits,
// float, str, bytes, lists and such dictionaries: what both codecs can say. It is copied from one to the other without
// becoming values on the way, so that what a hostile sender may cost is a small multiple of what it sends.

// MaxDictionaryDepth bounds the nesting of a message between processes.
const MaxDictionaryDepth = 128

// Transcode appends the dictionary that src holds in one codec to dst in another. A tuple becomes a list, since msgpack
// has none. Errors tell what else src holds. A str with half a surrogate pair, which Python can write in marshal, is
// refused: no other language could read it, and whether a message can be sent must not depend on who receives it.
func Transcode(dst, src []byte, from, to Codec) ([]byte, error) {
	t := transcoder{codec: from, buf: src, to: to, dst: dst}
	err := t.whole()
	return t.dst, err
}

// CheckDictionary finds what Transcode would, and writes nothing.
func CheckDictionary(codec Codec, src []byte) error {
	t := transcoder{codec: codec, buf: src, dry: true}
	return t.whole()
}

// AppendDictionary appends a dictionary of strings, which must be UTF-8.
func AppendDictionary(dst []byte, codec Codec, m map[string]string) []byte {
	dst, at := codec.beginMap(dst)
	for _, key := range slices.Sorted(maps.Keys(m)) {
		dst = codec.appendUTF8(codec.appendUTF8(dst, []byte(key)), []byte(m[key]))
	}
	return codec.endMap(dst, at, len(m))
}

// AppendPair appends a dictionary, which Transcode or CheckDictionary have found to be one, with one more pair. What is
// not a dictionary is appended as it is.
func AppendPair(dst []byte, codec Codec, dictionary []byte, key, value string) []byte {
	c := cursor{codec: codec, buf: dictionary}
	first := c.peek()
	switch {
	case codec == Marshal && first == '{' && dictionary[len(dictionary)-1] == '0':
		dst = append(dst, dictionary[:len(dictionary)-1]...)
		dst = codec.appendUTF8(codec.appendUTF8(dst, []byte(key)), []byte(value))
		return codec.endMap(dst, 0, 0)
	case codec == Msgpack && isMsgpackMap(first):
		n := c.mapLength()
		dst, at := codec.beginMap(dst)
		dst = append(dst, dictionary[c.off:]...)
		dst = codec.appendUTF8(codec.appendUTF8(dst, []byte(key)), []byte(value))
		return codec.endMap(dst, at, n+1)
	default:
		return append(dst, dictionary...)
	}
}

// transcoder writes what its cursor reads.
type transcoder struct {
	cursor
	to  Codec
	dst []byte
	dry bool
}

func (t *transcoder) whole() error {
	first := t.peek()
	isMap := first == '{'
	if t.codec == Msgpack {
		isMap = isMsgpackMap(first)
	}
	switch {
	case t.err != nil:
		return t.err
	case !isMap:
		return fmt.Errorf("a message begins with the type byte 0x%02x; expected a dictionary", first)
	}
	t.dictionary(0)
	if t.err == nil && t.off != len(t.buf) {
		t.fail(fmt.Errorf("%d bytes behind the dictionary", len(t.buf)-t.off))
	}
	return t.err
}

func isMsgpackMap(b byte) bool { return b&0xf0 == 0x80 || b == 0xde || b == 0xdf }

// value copies one value at a level of nesting.
func (t *transcoder) value(depth int) {
	first := t.peek()
	switch {
	case t.err != nil:
	case depth > MaxDictionaryDepth:
		t.fail(fmt.Errorf("values nested deeper than %d", MaxDictionaryDepth))
	case t.codec == Marshal:
		t.marshal(first, depth)
	default:
		t.msgpack(first, depth)
	}
}

func (t *transcoder) marshal(first byte, depth int) {
	switch first {
	case 'N', 'T', 'F':
		t.constant(first == 'N', first == 'T')
	case 'i', 'l':
		t.integer()
	case 'g':
		t.number(8)
	case '(', ')', '[':
		t.list(depth)
	case '{':
		t.dictionary(depth)
	default:
		t.string()
	}
}

func (t *transcoder) msgpack(first byte, depth int) {
	switch {
	case first == 0xc0, first == 0xc2, first == 0xc3:
		t.constant(first == 0xc0, first == 0xc3)
	case first == 0xca:
		t.number(4)
	case first == 0xcb:
		t.number(8)
	case first&0xf0 == 0x90, first == 0xdc, first == 0xdd:
		t.list(depth)
	case isMsgpackMap(first):
		t.dictionary(depth)
	case t.isInt():
		t.integer()
	default:
		t.string()
	}
}

func (t *transcoder) constant(none, truth bool) {
	t.off++
	switch {
	case t.dry:
	case none:
		t.dst = t.to.appendNone(t.dst)
	default:
		t.dst = t.to.appendBool(t.dst, truth)
	}
}

func (t *transcoder) integer() {
	if n := t.int(); t.err == nil && !t.dry {
		t.dst = t.to.appendInt64(t.dst, int64(n))
	}
}

func (t *transcoder) number(size int) {
	t.off++
	if f, ok := t.float(size).(float64); ok && !t.dry {
		t.dst = t.to.appendFloat(t.dst, f)
	}
}

// string copies a str or bytes.
func (t *transcoder) string() {
	first := t.peek()
	b, isStr := t.text()
	switch {
	case t.err != nil:
	case isStr:
		t.str(first, b)
	case !t.dry:
		t.dst = t.to.appendBytes(t.dst, b)
	}
}

var errNoText = errors.New("a str that is not Unicode text, such as one with half a surrogate pair")

func (t *transcoder) str(first byte, b []byte) {
	// The types for ASCII: what is above, Python takes for latin-1.
	plain := t.codec == Marshal && first != 'u' && first != 't'
	switch {
	case plain && !isASCII(b), !utf8.Valid(b):
		t.fail(errNoText)
	case !t.dry:
		t.dst = t.to.appendUTF8(t.dst, b)
	}
}

func (t *transcoder) list(depth int) {
	n := t.sequence()
	if t.err == nil && !t.dry {
		t.dst = t.to.appendList(t.dst, n)
	}
	for ; n > 0 && t.err == nil; n-- {
		t.value(depth + 1)
	}
}

func (t *transcoder) dictionary(depth int) {
	at := 0
	if !t.dry {
		t.dst, at = t.to.beginMap(t.dst)
	}
	n := 0
	if t.codec == Marshal {
		t.off++
		for t.err == nil && t.peek() != '0' {
			t.pair(depth)
			n++
		}
		t.byte()
	} else {
		n = t.mapLength()
		for i := 0; i < n && t.err == nil; i++ {
			t.pair(depth)
		}
	}
	if !t.dry {
		t.dst = t.to.endMap(t.dst, at, n)
	}
}

func (t *transcoder) pair(depth int) {
	first := t.peek()
	key, isStr := t.text()
	switch {
	case t.err != nil:
	case !isStr:
		t.fail(errors.New("a dictionary's key is bytes; expected str"))
	default:
		t.str(first, key)
		t.value(depth + 1)
	}
}
