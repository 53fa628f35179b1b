package h1

import (
	"bytes"

	"backline"
)

// splitField takes one field line, without its CRLF, apart (RFC 9112 5). keep is false for a name with "_", which the
// caller drops: CGI's and WSGI's HTTP_X_USER may come from "X-User", which a proxy in front checked, and from "X_User",
// which it did not.
func splitField(line []byte) (name, value []byte, keep bool, err *Error) {
	end, seen := 0, uint8(0)
	for end < len(line) && class[line[end]]&tokenByte != 0 {
		seen |= class[line[end]]
		end++
	}
	if end == 0 || end == len(line) || line[end] != ':' {
		return nil, nil, false, nameError(line, end)
	}
	name, value = line[:end], trim(line[end+1:])
	if !backline.Printable(value) {
		if !backline.ValidFieldValue(value) {
			return nil, nil, false, bad("control byte in a field value")
		}
		if hasLoneNEL(value) {
			return nil, nil, false, bad("byte 0x85 (NEL) in a field value")
		}
	}
	return name, value, seen&underscoreByte == 0, nil
}

// nameError says why a line whose token ends at end has no valid field name.
func nameError(line []byte, end int) *Error {
	switch {
	case line[0] == ' ' || line[0] == '\t':
		return bad("field line starts with whitespace (folded lines are not accepted)") // RFC 9112 5.2
	case end == len(line):
		return bad("field line without a colon")
	case line[end] == ' ' || line[end] == '\t':
		return bad("whitespace between field name and colon") // RFC 9112 5.1: MUST be 400
	case line[end] == ':':
		return bad("empty field name")
	default:
		return bad("field name is not a token")
	}
}

// trim removes OWS, which is SP and HTAB and nothing else (RFC 9110 5.6.3). bytes.TrimSpace also takes 0x85 and 0xa0,
// which made servers read "\xa0chunked" as "chunked".
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// hasLoneNEL finds 0x85 where no UTF-8 sequence can have it: at the start or after an ASCII byte. As the second byte of
// "Å" (0xc3 0x85) it is text that single sign-on proxies really send.
func hasLoneNEL(b []byte) bool {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], 0x85)
		if i < 0 {
			return false
		}
		if from+i == 0 || b[from+i-1] < 0x80 {
			return true
		}
		from += i + 1
	}
}

// ParseContentLength reads 1*DIGIT (RFC 9110 8.6): no sign, no whitespace, no separators, nothing that overflows.
func ParseContentLength(b []byte) (int64, bool) {
	const limit = (1<<63 - 1) / 10
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' || n > limit {
			return 0, false
		}
		n = n*10 + int64(c-'0')
		if n < 0 { // 9223372036854775808 and 809 pass the limit above
			return 0, false
		}
	}
	return n, len(b) > 0
}
