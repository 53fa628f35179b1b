package wire

import "encoding/binary"

// Codec is how values are written: agreed by the first byte of the worker's hello.
type Codec uint8

// The codecs.
const (
	Marshal Codec = iota // CPython's marshal, version 2 of the format from the worker
	Msgpack              // https://msgpack.org, for every other language
)

// String gives the name that the hello uses.
func (c Codec) String() string {
	if c == Msgpack {
		return "msgpack"
	}
	return "marshal"
}

// Sizes below which the short forms apply.
const (
	shortString = 256 // marshal: one length byte
	fixString   = 32  // msgpack: length in the type byte
)

// appendList begins a list of n values.
func (c Codec) appendList(dst []byte, n int) []byte {
	if c == Msgpack {
		return binary.BigEndian.AppendUint32(append(dst, 0xdd), uint32(n))
	}
	return binary.LittleEndian.AppendUint32(append(dst, '['), uint32(n))
}

// appendTuple begins a tuple of n < 16 values. Msgpack knows no tuples, only arrays.
func (c Codec) appendTuple(dst []byte, n int) []byte {
	if c == Msgpack {
		return append(dst, 0x90|byte(n))
	}
	return append(dst, ')', byte(n))
}

// beginMap begins a dictionary; endMap ends it. Marshal's ends with a marker, msgpack's begins with a count, which
// endMap fills in: at is what beginMap returned.
func (c Codec) beginMap(dst []byte) (out []byte, at int) {
	if c == Msgpack {
		return append(dst, 0xdf, 0, 0, 0, 0), len(dst)
	}
	return append(dst, '{'), len(dst)
}

func (c Codec) endMap(dst []byte, at, n int) []byte {
	if c == Msgpack {
		binary.BigEndian.PutUint32(dst[at+1:], uint32(n))
		return dst
	}
	return append(dst, '0')
}

// appendInt writes a number that fits 32 bits; larger ones only occur in the handshake, see appendAny.
func (c Codec) appendInt(dst []byte, n int) []byte {
	if c == Msgpack {
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(n))
	}
	return binary.LittleEndian.AppendUint32(append(dst, 'i'), uint32(n))
}

func (c Codec) appendBool(dst []byte, b bool) []byte {
	switch {
	case c == Msgpack && b:
		return append(dst, 0xc3)
	case c == Msgpack:
		return append(dst, 0xc2)
	case b:
		return append(dst, 'T')
	default:
		return append(dst, 'F')
	}
}

// appendKey writes a dictionary key or another string that comes up again and again: marshal's interned form makes
// Python reuse the one object it already has. ASCII, shorter than 256 bytes.
func (c Codec) appendKey(dst []byte, s string) []byte {
	if c == Msgpack {
		return append(appendMsgpackString(dst, len(s)), s...)
	}
	return append(append(dst, 'Z', byte(len(s))), s...)
}

// appendASCII writes a str that the caller knows to be ASCII.
func (c Codec) appendASCII(dst, s []byte) []byte {
	return append(c.appendASCIIHeader(dst, len(s)), s...)
}

// appendASCIIHeader writes what comes before n bytes of ASCII text.
func (c Codec) appendASCIIHeader(dst []byte, n int) []byte {
	switch {
	case c == Msgpack:
		return appendMsgpackString(dst, n)
	case n < shortString:
		return append(dst, 'z', byte(n))
	default:
		return binary.LittleEndian.AppendUint32(append(dst, 'a'), uint32(n))
	}
}

// appendUTF8 writes a str whose UTF-8 is s.
func (c Codec) appendUTF8(dst, s []byte) []byte {
	if c == Msgpack {
		return append(appendMsgpackString(dst, len(s)), s...)
	}
	dst = binary.LittleEndian.AppendUint32(append(dst, 'u'), uint32(len(s)))
	return append(dst, s...)
}

// appendLatin1 writes a str whose code points are the bytes of s: what PEP 3333 calls a native string.
func (c Codec) appendLatin1(dst, s []byte) []byte {
	high := 0
	for _, b := range s {
		high += int(b >> 7)
	}
	if high == 0 {
		return c.appendASCII(dst, s)
	}
	if c == Msgpack {
		dst = appendMsgpackString(dst, len(s)+high)
	} else {
		dst = binary.LittleEndian.AppendUint32(append(dst, 'u'), uint32(len(s)+high))
	}
	for _, b := range s {
		if b < 0x80 {
			dst = append(dst, b)
		} else {
			dst = append(dst, 0xc0|b>>6, 0x80|b&0x3f)
		}
	}
	return dst
}

// appendBytes writes a bytes object.
func (c Codec) appendBytes(dst, s []byte) []byte {
	return append(c.appendBytesHeader(dst, len(s)), s...)
}

func (c Codec) appendBytesHeader(dst []byte, n int) []byte {
	switch {
	case c != Msgpack:
		return binary.LittleEndian.AppendUint32(append(dst, 's'), uint32(n))
	case n < 256:
		return append(dst, 0xc4, byte(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(n))
	}
}

func appendMsgpackString(dst []byte, n int) []byte {
	switch {
	case n < fixString:
		return append(dst, 0xa0|byte(n))
	case n < 256:
		return append(dst, 0xd9, byte(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	}
}

func (c Codec) appendNone(dst []byte) []byte {
	if c == Msgpack {
		return append(dst, 0xc0)
	}
	return append(dst, 'N')
}
