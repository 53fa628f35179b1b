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
		return nil, err // never io.EOF: the length is in the buffer
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
		if r.end == len(r.buf) {
			r.grow(n)
		}
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

// makeRoom moves what is left to the front; after a burst it shrinks the buffer.
func (r *Reader) makeRoom(n int) {
	buf := r.buf
	if have := r.end - r.start; len(buf) > keepBuffer && max(n, have) <= keepBuffer/4 {
		r.buf = make([]byte, keepBuffer/4)
	}
	r.end = copy(r.buf, buf[r.start:r.end])
	r.start = 0
}

// grow doubles the buffer, which is full, on the way to n bytes. It grows by what has come and not by what was
// announced: four bytes must not cost MaxPacket.
func (r *Reader) grow(n int) {
	grown := make([]byte, min(max(n, keepBuffer/4), 2*len(r.buf)))
	copy(grown, r.buf)
	r.buf = grown
}
