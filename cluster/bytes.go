package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errShort says that a packet ends before what it promises.
var errShort = errors.New("a packet of another node ends too early")

// reader takes values from the front of a packet. After the first mistake it gives zero values.
type reader struct {
	buf []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.buf = nil
}

func (r *reader) byte() byte {
	if len(r.buf) == 0 {
		r.fail(errShort)
		return 0
	}
	b := r.buf[0]
	r.buf = r.buf[1:]
	return b
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *reader) fixed() uint64 {
	if len(r.buf) < 8 {
		r.fail(errShort)
		return 0
	}
	v := binary.BigEndian.Uint64(r.buf)
	r.buf = r.buf[8:]
	return v
}

// count is a number of things of which each takes at least a byte, so that no number makes us reserve more memory than
// the packet has bytes.
func (r *reader) count(most int) int {
	v := r.uint()
	if v > uint64(most) || v > uint64(len(r.buf)) {
		r.fail(fmt.Errorf("a packet of another node has %d things in a place for %d", v, min(most, len(r.buf))))
		return 0
	}
	return int(v)
}

// bytes is a part of the packet, without a copy.
func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.buf)) {
		r.fail(errShort)
		return nil
	}
	v := r.buf[:n:n]
	r.buf = r.buf[n:]
	return v
}

func (r *reader) text() string { return string(r.bytes()) }

// name is a text that is a group's, a channel's, a process's or a user's.
func (r *reader) name() string {
	v := r.text()
	if len(v) > maxName {
		r.fail(fmt.Errorf("a packet of another node has a name of %d bytes; at most %d are expected", len(v), maxName))
		return ""
	}
	return v
}

// end says whether everything was as expected, up to the last byte.
func (r *reader) end() error {
	if r.err == nil && len(r.buf) > 0 {
		r.err = fmt.Errorf("a packet of another node has %d bytes too many", len(r.buf))
	}
	return r.err
}

func appendText[T string | []byte](dst []byte, v T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(v))), v...)
}
