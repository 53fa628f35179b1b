package h1

// Chunked decodes a chunked body (RFC 9112 7.1). The zero value is ready for one body. It takes every byte once, so a
// body that arrives byte by byte costs linear time and nothing but the data needs to be kept.
type Chunked struct {
	state      chunkState
	digits     int   // of the chunk size so far
	left       int64 // of the chunk's data; while its size is read, the size so far
	extensions int   // bytes of extensions in the whole body
	trailers   int   // bytes of the trailer section

	name    [len("transfer-encoding")]byte // start of a trailer's name, enough to know the forbidden ones
	nameLen int
	err     *Error // sticky: nothing that follows a mistake may be taken for a request
}

// chunkState names what the next byte must be; the order is that of the bytes.
type chunkState uint8

const (
	atSize      chunkState = iota // first digit of chunk-size
	inSize                        // another digit, ";" or CR
	atExtName                     // first byte of chunk-ext-name
	inExtName                     // more of it, "=", ";" or CR
	atExtValue                    // first byte of a token or a quote
	inExtValue                    // more of a token, ";" or CR
	inQuoted                      // inside a quoted-string
	inEscape                      // after its backslash
	afterQuoted                   // ";" or CR
	atSizeLF
	inData
	atDataCR
	atDataLF
	atTrailer      // CR of the last line, or first byte of a trailer's name
	inTrailerName  // more of it, or ":"
	inTrailerValue // more of it, or CR
	atTrailerLF
	atLastLF
	chunkedDone
)

// Next consumes from src: data is the next piece of body (aliases src, may be empty), n the bytes consumed, done true
// after the last chunk and its trailers, which are checked and discarded. n == 0 with done == false asks for more
// input. Call it in a loop, with what is left of src. err is an *Error and stays.
func (c *Chunked) Next(src []byte) (data []byte, n int, done bool, err error) {
	if c.err != nil {
		return nil, 0, false, c.err
	}
	for n < len(src) && c.state != chunkedDone {
		if c.state == inData {
			data = src[n:]
			if int64(len(data)) >= c.left {
				data, c.state = data[:c.left], atDataCR
			}
			c.left -= int64(len(data))
			return data, n + len(data), false, nil
		}
		if c.err = c.step(src[n]); c.err != nil {
			return nil, n, false, c.err
		}
		n++
	}
	return nil, n, c.state == chunkedDone, nil
}

// step takes one byte that is not data.
func (c *Chunked) step(b byte) *Error {
	switch c.state {
	case atSize, inSize:
		return c.size(b)
	case atSizeLF:
		if c.left == 0 {
			return c.expect(b, '\n', atTrailer)
		}
		return c.expect(b, '\n', inData)
	case atDataCR:
		return c.expect(b, '\r', atDataLF)
	case atDataLF:
		c.digits = 0
		return c.expect(b, '\n', atSize)
	case atTrailer, inTrailerName, inTrailerValue, atTrailerLF, atLastLF:
		return c.trailer(b)
	default:
		return c.extension(b)
	}
}

// expect takes one half of a CRLF. A recipient that looks for one half only reads other chunks than its neighbour does.
func (c *Chunked) expect(b, want byte, next chunkState) *Error {
	if b != want {
		if c.state == atDataCR {
			return bad("chunk data does not end where its size says")
		}
		return bad("line does not end in CRLF in a chunked body")
	}
	c.state = next
	return nil
}

// size takes a byte of chunk-size, which is 1*HEXDIG and nothing else: no sign, no "0x", no "_", no whitespace.
func (c *Chunked) size(b byte) *Error {
	d := hexDigit(b)
	switch {
	case d < 16 && c.digits == maxSizeDigits:
		return bad("chunk size too large")
	case d < 16:
		c.left = c.left<<4 | int64(d)
		c.digits++
		c.state = inSize
	case c.state == inSize && b == '\r':
		c.state = atSizeLF
	case c.state == inSize && b == ';':
		c.state = atExtName
	default:
		return bad("chunk size is not a hexadecimal number")
	}
	return nil
}

// extension takes a byte of chunk-ext (RFC 9112 7.1.1). Extensions mean nothing here, but one that is not checked is
// room for bytes that another recipient takes for a line end. The grammar's "bad whitespace" is refused.
func (c *Chunked) extension(b byte) *Error {
	if c.extensions++; c.extensions > maxExtensions {
		return bad("chunk extensions too large")
	}
	token := class[b]&tokenByte != 0
	text := b >= ' ' && b != 0x7f || b == '\t' // qdtext and quoted-pair, RFC 9110 5.6.4
	ends := c.state == inExtName || c.state == inExtValue || c.state == afterQuoted
	switch {
	case c.state == inQuoted && b == '"':
		c.state = afterQuoted
	case c.state == inQuoted && b == '\\':
		c.state = inEscape
	case (c.state == inQuoted || c.state == inEscape) && text:
		c.state = inQuoted
	case (c.state == atExtName || c.state == inExtName) && token:
		c.state = inExtName
	case (c.state == atExtValue || c.state == inExtValue) && token:
		c.state = inExtValue
	case c.state == inExtName && b == '=':
		c.state = atExtValue
	case c.state == atExtValue && b == '"':
		c.state = inQuoted
	case ends && b == ';':
		c.state = atExtName
	case ends && b == '\r':
		c.state = atSizeLF
	default:
		return bad("malformed chunk extension")
	}
	return nil
}

// trailer takes a byte of the trailer section (RFC 9112 7.1.2), which is discarded: merged into the header it could
// undo what was checked there.
func (c *Chunked) trailer(b byte) *Error {
	if c.trailers++; c.trailers > maxTrailers {
		return &Error{Status: 431, Reason: "trailer fields too large"}
	}
	token := class[b]&tokenByte != 0
	switch {
	case c.state == atLastLF:
		return c.expect(b, '\n', chunkedDone)
	case c.state == atTrailerLF:
		return c.expect(b, '\n', atTrailer)
	case c.state == atTrailer && b == '\r':
		c.state = atLastLF
	case c.state == atTrailer && token:
		c.state, c.name[0], c.nameLen = inTrailerName, b, 1
	case c.state == inTrailerName && token:
		if c.nameLen < len(c.name) {
			c.name[c.nameLen] = b
		}
		c.nameLen++
	case c.state == inTrailerName && b == ':':
		c.state = inTrailerValue
		return c.checkTrailerName()
	case c.state == inTrailerValue && b == '\r':
		c.state = atTrailerLF
	case c.state == inTrailerValue && (b >= ' ' && b != 0x7f || b == '\t'):
	default:
		return bad("malformed trailer field")
	}
	return nil
}

// checkTrailerName refuses fields whose only use in a trailer is to mislead a recipient that merges them (RFC 9110
// 6.5.1).
func (c *Chunked) checkTrailerName() *Error {
	if c.nameLen > len(c.name) {
		return nil
	}
	switch Lookup(c.name[:c.nameLen]) {
	case ContentLength, TransferEncoding, Host:
		return bad("framing or routing field in the trailers")
	default:
		return nil
	}
}
