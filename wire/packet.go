package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// headerSize is the packet's length and the list's own header, which both codecs write in five bytes.
const headerSize = 4 + 5

// Batch collects messages for the next packet to a worker. The zero value needs Reset before use. Not safe for
// concurrent use: the dispatcher fills it under its lock.
type Batch struct {
	codec Codec
	buf   []byte
	count int
}

// Reset empties the batch and keeps its buffer.
func (b *Batch) Reset(codec Codec) {
	b.codec, b.count = codec, 0
	if cap(b.buf) > keepBuffer {
		b.buf = nil
	}
	b.buf = append(b.buf[:0], make([]byte, headerSize)...)
}

// keepBuffer is how large a buffer may stay with its owner after a burst.
const keepBuffer = 1 << 20

// Len is the number of messages collected.
func (b *Batch) Len() int { return b.count }

// Size is the number of bytes collected.
func (b *Batch) Size() int { return len(b.buf) }

// Packet closes the batch and gives its bytes, which live until Reset.
func (b *Batch) Packet() []byte {
	binary.LittleEndian.PutUint32(b.buf, uint32(len(b.buf)-4))
	b.codec.appendList(b.buf[4:4], b.count)
	return b.buf
}

// Reader splits a stream of bytes from a worker into packets. It reads as much as there is, so that many packets cost
// one system call.
type Reader struct {
	r          io.Reader
	buf        []byte
	start, end int
}

// NewReader reads packets from r.
func NewReader(r io.Reader) *Reader { return &Reader{r: r, buf: make([]byte, 64<<10)} }

// Next gives the payload of the next packet, which lives until the following call. The error is io.EOF when the worker
// closed between packets, io.ErrUnexpectedEOF inside one.
func (r *Reader) Next() ([]byte, error) {
	if err := r.need(4); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(r.buf[r.start:])
	if size > MaxPacket {
		return nil, fmt.Errorf("a worker announced a packet of %d bytes; at most %d are allowed", size, MaxPacket)
	}
	if err := r.need(4 + int(size)); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	payload := r.buf[r.start+4 : r.start+4+int(size)]
	r.start += 4 + int(size)
	return payload, nil
}

// Buffered tells whether another whole packet is already here.
func (r *Reader) Buffered() bool {
	have := r.end - r.start
	return have >= 4 && have-4 >= int(binary.LittleEndian.Uint32(r.buf[r.start:]))
}

// need waits until n bytes are in the buffer.
func (r *Reader) need(n int) error {
	if r.end-r.start >= n {
		return nil
	}
	r.makeRoom(n)
	for r.end-r.start < n {
		got, err := r.r.Read(r.buf[r.end:])
		r.end += got
		if err != nil && r.end-r.start < n {
			if err == io.EOF && r.end > r.start {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// makeRoom moves what is left to the front, and grows or, after a burst, shrinks the buffer.
func (r *Reader) makeRoom(n int) {
	have := r.end - r.start
	switch {
	case n > len(r.buf):
		grown := make([]byte, max(n, 2*len(r.buf)))
		copy(grown, r.buf[r.start:r.end])
		r.buf = grown
	case len(r.buf) > keepBuffer && n <= keepBuffer/4 && have <= keepBuffer/4:
		shrunk := make([]byte, keepBuffer/4)
		copy(shrunk, r.buf[r.start:r.end])
		r.buf = shrunk
	default:
		copy(r.buf, r.buf[r.start:r.end])
	}
	r.start, r.end = 0, have
}
