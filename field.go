package backline

import "encoding/binary"

// EqualFold compares as field names and coding names compare: ASCII letters without their case. lower is in lower case.
// bytes.EqualFold would also take the Kelvin sign for a k.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// ValidFieldName tells whether b may be a field's name: a token (RFC 9110 5.1, 5.6.2).
func ValidFieldName(b []byte) bool {
	for _, c := range b {
		if !tokens[c] {
			return false
		}
	}
	return len(b) > 0
}

// ValidFieldValue tells whether b may stand in a field's value or a reason phrase: no control byte but HTAB; obs-text,
// the bytes above 0x7f, is allowed (RFC 9110 5.5). Whitespace at its ends is allowed too.
func ValidFieldValue(b []byte) bool {
	if Printable(b) {
		return true
	}
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

const eachByte = 0x0101010101010101

// Printable tells whether b is certainly nothing but printable ASCII and spaces, eight bytes at a time. In each byte of
// suspicious the top bit is set by x itself above 0x7f, by the first subtraction's borrow below 0x20, and by the
// second's for 0x7f. A borrow only spreads from a byte that is flagged, so a wrong answer can only be false.
func Printable(b []byte) bool {
	flags := uint64(0)
	if len(b) < 8 {
		for _, c := range b {
			flags |= suspicious(uint64(c))
		}
		return flags&0x80 == 0
	}
	for at := 0; at < len(b)-8; at += 8 {
		flags |= suspicious(binary.LittleEndian.Uint64(b[at:]))
	}
	flags |= suspicious(binary.LittleEndian.Uint64(b[len(b)-8:])) // may overlap the one before
	return flags&(0x80*eachByte) == 0
}

func suspicious(x uint64) uint64 {
	return x | (x - 0x20*eachByte) | ((x ^ 0x7f*eachByte) - eachByte)
}

// tokens has the bytes of a field's name (RFC 9110 5.6.2, tchar).
//
//nolint:gochecknoglobals // nothing writes to it; Go has no constant arrays
var tokens = tokenTable()

func tokenTable() (table [256]bool) {
	for c := range 256 {
		table[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		table[c] = true
	}
	return table
}
