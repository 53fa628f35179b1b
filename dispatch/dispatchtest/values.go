package dispatchtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"backline/wire"
)

// codec writes and reads values as a worker does: package wire has only the server's half.
type codec struct{ wire.Codec }

func (c codec) list(dst []byte, n int) []byte {
	if c.Codec == wire.Msgpack {
		return binary.BigEndian.AppendUint32(append(dst, 0xdd), uint32(n))
	}
	return binary.LittleEndian.AppendUint32(append(dst, '['), uint32(n))
}

func (c codec) value(dst []byte, v any) []byte {
	switch v := v.(type) {
	case Tuple:
		dst = c.list(dst, len(v))
		for _, each := range v {
			dst = c.value(dst, each)
		}
		return dst
	case []Tuple:
		dst = c.list(dst, len(v))
		for _, each := range v {
			dst = c.value(dst, each)
		}
		return dst
	case wire.Kind:
		return c.number(dst, int(v))
	case uint32:
		return c.number(dst, int(v))
	case int:
		return c.number(dst, v)
	case string:
		return c.text(dst, 'u', 0xdb, v)
	case []byte:
		return c.text(dst, 's', 0xc6, string(v))
	case nil:
		if c.Codec == wire.Msgpack {
			return append(dst, 0xc0)
		}
		return append(dst, 'N')
	}
	panic(fmt.Sprintf("a worker sends no %T", v))
}

func (c codec) number(dst []byte, n int) []byte {
	if c.Codec == wire.Msgpack {
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(n))
	}
	return binary.LittleEndian.AppendUint32(append(dst, 'i'), uint32(n))
}

func (c codec) text(dst []byte, marshal, msgpack byte, s string) []byte {
	if c.Codec == wire.Msgpack {
		dst = binary.BigEndian.AppendUint32(append(dst, msgpack), uint32(len(s)))
	} else {
		dst = binary.LittleEndian.AppendUint32(append(dst, marshal), uint32(len(s)))
	}
	return append(dst, s...)
}

// decodePacket reads the server's packet. What it cannot read is the server's mistake, so it panics.
func decodePacket(c wire.Codec, payload []byte) []Message {
	r := &reader{msgpack: c == wire.Msgpack, buf: payload}
	var all []Message
	for _, each := range r.value().([]any) {
		fields := each.([]any)
		m := Message{Kind: wire.Kind(fields[0].(int)), Stream: uint32(fields[1].(int))}
		switch m.Kind {
		case wire.KindRequest:
			m.Scope, m.Data, m.More = fields[2].(map[string]any), fields[3].([]byte), fields[4].(int)
		case wire.KindBody:
			m.Data = fields[2].([]byte)
			if fields[3].(bool) {
				m.More = 1
			}
		case wire.KindReceive, wire.KindPart, wire.KindGap:
			if text, ok := fields[2].(string); ok {
				m.Data, m.Text = []byte(text), true
			} else {
				m.Data = fields[2].([]byte)
			}
		case wire.KindEvent:
			m = m.withEvent(fields)
		case wire.KindClosed:
			m.N, m.Data = fields[2].(int), []byte(fields[3].(string))
		case wire.KindCredit, wire.KindGiven:
			m.N = fields[2].(int)
		case wire.KindJob:
			m.Function, m.Data = fields[2].(string), fields[3].([]byte)
		case wire.KindResult:
			m.N, m.Data = fields[2].(int), fields[3].([]byte)
		}
		all = append(all, m)
	}
	if len(r.buf) > 0 {
		panic("bytes after the last message")
	}
	return all
}

// withEvent takes what has happened to a socket.
func (m Message) withEvent(fields []any) Message {
	m.N, m.State = fields[2].(int), fields[4].([]byte)
	switch data := fields[5].(type) {
	case map[string]any:
		m.Scope = data
	case string:
		m.Data, m.Text = []byte(data), true
	case []byte:
		m.Data = data
	}
	return m
}

type reader struct {
	msgpack bool
	buf     []byte
}

// take copies: the packet's bytes are gone with the next packet.
func (r *reader) take(n int) []byte {
	b := bytes.Clone(r.buf[:n])
	r.buf = r.buf[n:]
	return b
}

func (r *reader) uint32() int {
	if r.msgpack {
		return int(binary.BigEndian.Uint32(r.take(4)))
	}
	return int(binary.LittleEndian.Uint32(r.take(4)))
}

func (r *reader) short() int { return int(r.take(1)[0]) }

func (r *reader) list(n int) []any {
	all := make([]any, 0, n)
	for range n {
		all = append(all, r.value())
	}
	return all
}

func (r *reader) value() any {
	if r.msgpack {
		return r.msgpackValue()
	}
	switch t := r.take(1)[0]; t {
	case '[', '(':
		return r.list(r.uint32())
	case ')':
		return r.list(r.short())
	case '{':
		all := map[string]any{}
		for r.buf[0] != '0' {
			key := r.value().(string)
			all[key] = r.value()
		}
		r.take(1)
		return all
	case 'i':
		return int(int32(r.uint32()))
	case 'g':
		return math.Float64frombits(binary.LittleEndian.Uint64(r.take(8)))
	case 'z', 'Z':
		return string(r.take(r.short()))
	case 'a', 'u':
		return string(r.take(r.uint32()))
	case 's':
		return r.take(r.uint32())
	case 'T', 'F':
		return t == 'T'
	case 'N':
		return nil
	default:
		panic(fmt.Sprintf("the server wrote the marshal type %q", t))
	}
}

func (r *reader) msgpackValue() any {
	switch t := r.take(1)[0]; {
	case t&0xf0 == 0x90:
		return r.list(int(t & 0x0f))
	case t == 0xdd:
		return r.list(r.uint32())
	case t == 0xdf:
		all := map[string]any{}
		for range r.uint32() {
			key := r.value().(string)
			all[key] = r.value()
		}
		return all
	case t == 0xd2:
		return int(int32(r.uint32()))
	case t&0xe0 == 0xa0:
		return string(r.take(int(t & 0x1f)))
	case t == 0xd9:
		return string(r.take(r.short()))
	case t == 0xdb:
		return string(r.take(r.uint32()))
	case t == 0xc4:
		return r.take(r.short())
	case t == 0xc6:
		return r.take(r.uint32())
	case t == 0xc2, t == 0xc3:
		return t == 0xc3
	case t == 0xc0:
		return nil
	default:
		panic(fmt.Sprintf("the server wrote the msgpack type %#x", t))
	}
}
