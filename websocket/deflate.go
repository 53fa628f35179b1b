package websocket

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/klauspost/compress/flate"
)

// flushed is what every sync flush ends in, and what is cut off the end of a compressed message (RFC 7692 7.2.1).
// closing is an empty last block, without which flate would see the data end too early.
const (
	flushed = "\x00\x00\xff\xff"
	closing = "\x01\x00\x00\xff\xff"
)

// inflater is flate's reader with what it reads from.
type inflater struct {
	source bytes.Reader
	reader resetReader
}

// resetReader is what flate.NewReader gives, which says less.
type resetReader interface {
	io.Reader
	flate.Resetter
}

func (c *Codecs) inflater() *inflater {
	if found, ok := c.inflaters.Get().(*inflater); ok {
		return found
	}
	made := &inflater{}
	made.reader, _ = flate.NewReader(&made.source).(resetReader) // as flate documents
	return made
}

// maxStreams is how many last blocks one message may have. They are legal anywhere (RFC 7692 7.2.1), but what follows
// one is a stream of its own, and beginning one costs far more than the two bytes that it takes to ask for it.
const maxStreams = 64

// inflate appends to dst what compressed, to which it may append, holds; at most limit bytes of it.
func (i *inflater) inflate(dst, compressed []byte, limit int) ([]byte, *CloseError) {
	if len(compressed) == 0 {
		return dst, nil // lacks the one byte of an empty block, which nobody who inflates by zlib misses
	}
	i.source.Reset(append(compressed, flushed+closing...))
	defer i.source.Reset(nil)
	for range maxStreams {
		// Data may refer to what came before a last block.
		window := dst[max(len(dst)-1<<maxWindowBits, 0):]
		_ = i.reader.Reset(&i.source, window) // never fails
		var err *CloseError
		if dst, err = i.stream(dst, limit); err != nil || i.source.Len() <= len(flushed+closing) {
			return dst, err
		}
	}
	return dst, invalid("message has too many last blocks")
}

// stream inflates up to the end of a last block.
func (i *inflater) stream(dst []byte, limit int) ([]byte, *CloseError) {
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, min(max(len(dst), 512), limit+1-len(dst))) // one more shows what is too large
		}
		n, err := i.reader.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, tooBig("message is larger when inflated than the server takes")
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, invalid("message does not inflate")
		}
	}
}

// deflater is flate's writer with what it writes to.
type deflater struct {
	buffer []byte
	writer *flate.Writer
}

// Write takes compressed bytes from flate.
func (d *deflater) Write(p []byte) (int, error) {
	d.buffer = append(d.buffer, p...)
	return len(p), nil
}

func (c *Codecs) deflater(windowBits uint8) *deflater {
	pool := &c.deflaters[windowBits-minWindowBits]
	found, ok := pool.Get().(*deflater)
	if ok {
		found.writer.Reset(found)
		return found
	}
	made := &deflater{}
	// Neither can fail: level and window have been brought into range.
	if windowBits < maxWindowBits {
		made.writer, _ = flate.NewWriterWindow(made, 1<<windowBits)
	} else {
		made.writer, _ = flate.NewWriter(made, c.level)
	}
	return made
}

// deflate compresses one part of a message up to a boundary of bytes. The result is valid until the next call.
func (d *deflater) deflate(part []byte) []byte {
	d.buffer = d.buffer[:0]
	_, _ = d.writer.Write(part) // fails only where Write above does
	_ = d.writer.Flush()
	return d.buffer
}

func (c *Codecs) putDeflater(d *deflater, windowBits uint8) {
	if cap(d.buffer) > maxIdleBuffer {
		d.buffer = nil
	}
	c.deflaters[windowBits-minWindowBits].Put(d)
}
