package static

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"

	"backline"
)

// span is a range of a file: length bytes from start on, length above 0.
type span struct{ start, length int64 }

// mostRanges is how many ranges are answered one by one. Readers of PDF files ask for a dozen; who asks for more, or
// for more bytes together than the file has (overlapping ranges: CVE-2011-3192), gets the whole file (RFC 9110 14.2).
const mostRanges = 32

// parseRanges reads the field Range for a file of that size. ok is false where the field is to be ignored: another unit
// than bytes, bad form, too much asked for. No span and ok: nothing of what was asked for is there (416).
func parseRanges(field []byte, size int64) (spans []span, ok bool) {
	set, isBytes := cutUnit(field)
	if !isBytes || size == 0 { // some clients ask for bytes=0- of everything, and an empty file is no error
		return nil, false
	}
	total := int64(0)
	for count := 0; len(set) > 0; {
		var item []byte
		item, set, _ = bytes.Cut(set, []byte{','})
		if item = bytes.Trim(item, " \t"); len(item) == 0 {
			continue // lists may have empty elements (5.6.1)
		}
		one, valid := parseRange(item, size)
		if count++; !valid || count > mostRanges {
			return nil, false
		}
		if one.length > 0 { // those beyond the end are left out, as long as another is there
			spans = append(spans, one)
			total += one.length
		}
		ok = true
	}
	return spans, ok && total <= size
}

// cutUnit separates "bytes" from what follows. Other units exist in specifications only.
func cutUnit(field []byte) (set []byte, isBytes bool) {
	unit, set, found := bytes.Cut(field, []byte{'='})
	return set, found && backline.EqualFold(unit, "bytes")
}

// parseRange reads "0-499", "500-" or "-500". A length of 0 says that this one cannot be satisfied.
func parseRange(item []byte, size int64) (one span, valid bool) {
	left, right, found := bytes.Cut(item, []byte{'-'})
	if !found || len(left) == 0 && len(right) == 0 {
		return span{}, false
	}
	first, validFirst := parsePosition(left)
	last, validLast := parsePosition(right)
	switch {
	case !validFirst || !validLast:
		return span{}, false
	case len(left) == 0: // the last bytes; all of them where there are fewer, none for "-0"
		n := min(last, size)
		return span{size - n, n}, true
	case len(right) == 0:
		last = size - 1
	case last < first:
		return span{}, false
	}
	if first >= size {
		return span{}, true
	}
	return span{first, min(last, size-1) - first + 1}, true
}

// parsePosition reads digits; 0 for none. What does not fit is beyond the end of every file.
func parsePosition(digits []byte) (n int64, valid bool) {
	const beyond = 1 << 62
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		if n = 10*n + int64(d-'0'); n > beyond/10-1 {
			n = beyond / 10
		}
	}
	return n, true
}

// contentRange is the field's value for a span.
func (s span) contentRange(size int64) []byte {
	return fmt.Appendf(nil, "bytes %d-%d/%d", s.start, s.start+s.length-1, size)
}

// partial makes the body the spans of the file: one by itself, several as multipart/byteranges (14.6).
func (a *Answer) partial(spans []span, size int64) {
	a.Status = 206
	if len(spans) == 1 {
		a.set("Content-Range", spans[0].contentRange(size))
		a.whole(spans[0].start, spans[0].length)
		return
	}
	kind := a.find("content-type")
	// A random one need not be looked for in the file (RFC 2046 5.1.1): 128 bits that nobody can know beforehand.
	boundary := strconv.FormatUint(rand.Uint64(), 36) + strconv.FormatUint(rand.Uint64(), 36)
	a.set("Content-Type", []byte("multipart/byteranges; boundary="+boundary))
	for i, s := range spans {
		head := []byte("\r\n--" + boundary)
		if i == 0 {
			head = head[2:]
		}
		head = fmt.Appendf(head, "\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n", kind, s.contentRange(size))
		a.append(Part{Data: head, Length: int64(len(head))})
		a.append(Part{File: a.file, Offset: s.start, Length: s.length})
	}
	tail := []byte("\r\n--" + boundary + "--\r\n")
	a.append(Part{Data: tail, Length: int64(len(tail))})
}

// append adds a part of the body.
func (a *Answer) append(p Part) {
	a.Parts = append(a.Parts, p)
	a.Length += p.Length
}
