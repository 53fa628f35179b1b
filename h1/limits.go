package h1

import "strconv"

// Defaults of Limits: what nginx, Apache and h2o settle near, so that what passes a usual proxy passes here.
const (
	DefaultRequestLine  = 8 << 10
	DefaultHeaderBlock  = 64 << 10
	DefaultHeaderFields = 100
)

const (
	// maxEmptyLines is how many empty lines may come before a request line. RFC 9112 2.2 asks for one at least, because
	// old clients send a CRLF after a body; without a bound they would be a way to keep a parser busy for nothing.
	maxEmptyLines = 4
	// maxMethod bounds method names in bytes. The longest registered one is UPDATEREDIRECTREF with 17.
	maxMethod = 32
	// maxSizeDigits keeps a chunk size below 2^60, so that no sum of sizes a peer can send overflows an int64.
	maxSizeDigits = 15
	// maxExtensions bounds all chunk extensions of one body, in bytes. Nobody uses them; net/http's allowance of 16 KiB
	// beyond the data came from CVE-2023-39326, where they multiplied the traffic that a body costs.
	maxExtensions = 4 << 10
	// maxTrailers bounds the trailer section in bytes, its line ends included.
	maxTrailers = 8 << 10
)

// Limits bound a request head. Zero means the default; a value too small refuses real clients, one too large lets each
// connection pin that much memory before anything is known about it.
type Limits struct {
	RequestLine  int // bytes of the request line without its CRLF; default 8192; beyond: 414
	HeaderBlock  int // bytes from the first field line through the blank line; default 65536; beyond: 431
	HeaderFields int // field lines, dropped ones included; default 100; beyond: 431
}

func (l Limits) requestLine() int  { return orDefault(l.RequestLine, DefaultRequestLine) }
func (l Limits) headerBlock() int  { return orDefault(l.HeaderBlock, DefaultHeaderBlock) }
func (l Limits) headerFields() int { return orDefault(l.HeaderFields, DefaultHeaderFields) }

func orDefault(value, fallback int) int {
	if value > 0 {
		return value
	}
	return fallback
}

// Error is a mistake of the client: the status to answer and a short reason, fit for the client ("two Content-Length
// fields"). The connection must be closed after the answer.
type Error struct {
	Status int
	Reason string
}

// Error gives status and reason: "400 two Content-Length fields".
func (e *Error) Error() string { return strconv.Itoa(e.Status) + " " + e.Reason }

// bad is the usual mistake, a message that is not HTTP (RFC 9110 15.5.1).
func bad(reason string) *Error { return &Error{Status: 400, Reason: reason} }
