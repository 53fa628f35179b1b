package websocket

// Writer turns the messages for one client into frames, compressed where that was negotiated and is worth it.
//
// It holds no deflater between the parts of a message: a client that stops reading in the middle of one would hold it
// too, 0.8 MB for each such client. Each part is compressed for itself and flushed, and a deflate stream is just such
// pieces in a row; all that is lost are matches across their borders.
type Writer struct {
	codecs     *Codecs
	windowBits uint8 // 0: no compression was negotiated
	continues  bool  // parts of a message have been written, its last has not
	packed     bool  // that message is compressed
}

// NewWriter makes the writer of one connection.
func NewWriter(codecs *Codecs, deflate Deflate) Writer {
	w := Writer{codecs: codecs}
	if deflate.On {
		w.windowBits = deflate.windowBits
	}
	return w
}

// Framings is how many kinds of writers there are, as Framing tells them apart.
const Framings = maxWindowBits - minWindowBits + 2

// Framing tells writers apart by what they make of whole messages: two from the same Codecs for which it gives the same
// make the same bytes, because no message refers to one before it. It is below Framings.
func (w *Writer) Framing() int {
	if w.windowBits == 0 {
		return 0
	}
	return int(w.windowBits) - minWindowBits + 1
}

// Within tells whether a message has begun and not ended: until then no other may begin (RFC 6455 5.4).
func (w *Writer) Within() bool { return w.continues }

// AppendWhole appends a whole message in one frame, as a writer does that is within none.
func (w *Writer) AppendWhole(dst []byte, kind Kind, data []byte) []byte {
	other := Writer{codecs: w.codecs, windowBits: w.windowBits}
	return other.Append(dst, kind, data, true)
}

// Append appends one frame: a message, or a part of one that goes on unless last is true. Of the parts' kinds only the
// first one's counts. Control frames (AppendFrame, AppendClose) may come between parts.
func (w *Writer) Append(dst []byte, kind Kind, part []byte, last bool) []byte {
	first, whole := byte(0), last && !w.continues
	if !w.continues {
		first = byte(kind)
		w.packed = w.windowBits > 0 && (!last || len(part) >= w.codecs.minSize)
		if w.packed {
			first |= rsv1Bit
		}
	}
	if last {
		first |= finBit
	}
	w.continues = !last
	if !w.packed {
		return append(appendHeader(dst, first, len(part)), part...)
	}
	d := w.codecs.deflater(w.windowBits)
	defer w.codecs.putDeflater(d, w.windowBits)
	packed := d.deflate(part)
	if last {
		packed = packed[:len(packed)-len(flushed)] // RFC 7692 7.2.1
	}
	if whole && len(packed) >= len(part) {
		first, packed = first&^rsv1Bit, part // nothing was won, and the client is spared the work
	}
	return append(appendHeader(dst, first, len(packed)), packed...)
}
