package websocket

import "encoding/binary"

// Kind is what an Event is, or what is to be sent. The numbers are RFC 6455's opcodes; 0, a continuation there, is
// never a kind of its own and means that there is nothing yet.
type Kind uint8

// The kinds.
const (
	None   Kind = 0
	Text   Kind = 1 // a message, in UTF-8
	Binary Kind = 2 // a message
	Close  Kind = 8
	Ping   Kind = 9
	Pong   Kind = 10
)

func (k Kind) control() bool { return k >= Close }

// A frame (RFC 6455 5.2):
//
//	byte 0     FIN, RSV1 to RSV3, opcode (4 bits)
//	byte 1     MASK, length (7 bits): up to 125 itself; 126: two more bytes have it; 127: eight more bytes
//	           two or eight bytes of length, big-endian
//	           four bytes of key where MASK is set
//	           payload, each byte XORed with the key's byte of its position modulo four
const (
	finBit     = 0x80
	rsv1Bit    = 0x40 // with permessage-deflate, in a message's first frame: it is compressed (RFC 7692 6)
	rsv2Bit    = 0x20
	rsv3Bit    = 0x10
	opcodeBits = 0x0f

	maskBit    = 0x80
	lengthBits = 0x7f
	length16   = 126
	length64   = 127

	maxHeader = 2 + 8 + 4
)

// appendHeader appends the header of a frame from the server, which is never masked.
func appendHeader(dst []byte, first byte, length int) []byte {
	switch {
	case length < length16:
		return append(dst, first, byte(length))
	case length < 1<<16:
		return append(dst, first, length16, byte(length>>8), byte(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, length64), uint64(length))
	}
}

// AppendFrame appends one whole, uncompressed frame: a message, a ping or a pong. Of a control frame's payload only the
// first 125 bytes are sent.
func AppendFrame(dst []byte, kind Kind, payload []byte) []byte {
	if kind.control() {
		payload = payload[:min(len(payload), maxControl)]
	}
	return append(appendHeader(dst, finBit|byte(kind), len(payload)), payload...)
}

// unmask XORs b with key, whose lowest byte is for b[0], and gives the key for the byte after b.
func unmask(b []byte, key uint32) uint32 {
	wide := uint64(key)<<32 | uint64(key)
	for len(b) >= 32 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^wide)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^wide)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^wide)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key)
		key = key>>8 | key<<24
	}
	return key
}
