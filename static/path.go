package static

import (
	"bytes"
	"unicode/utf8"
)

// decode undoes the percent-encoding of a path, once. What it gives may alias path or buffer. It refuses escapes that
// are none, and those of bytes that would mean something else once decoded: a slash, a backslash, a zero byte.
func decode(buffer, path []byte) (decoded []byte, ok bool) {
	if bytes.IndexByte(path, '%') < 0 {
		return path, true
	}
	// Once and no more: what is still an escape afterwards ("%252e") is a name with a percent sign in it.
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if i+2 >= len(path) {
				return nil, false
			}
			high, low := unhex(path[i+1]), unhex(path[i+2])
			c = high<<4 | low
			if high > 15 || low > 15 || c == '/' || c == '\\' || c == 0 {
				return nil, false
			}
			i += 2
		}
		buffer = append(buffer, c)
	}
	return buffer, true
}

// unhex gives a hexadecimal digit's value, and 16 for what is none.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

// servable tells whether a decoded name may be looked for at all. Every element must be plain: not empty, as it is
// twice in "a//b" and at the end of "a/"; no "." or ".."; and no name that begins with a dot, which covers .git, .env
// and .htpasswd. (Files in /.well-known/ are served by a mount of their own with that prefix.) Overlong UTF-8 is not
// valid UTF-8; control bytes and backslashes stand in no name that is meant for the web.
func servable(name []byte) bool {
	start := true
	for _, c := range name {
		switch {
		case c < ' ' || c == 0x7f || c == '\\', start && (c == '.' || c == '/'):
			return false
		}
		start = c == '/'
	}
	return !start && utf8.Valid(name)
}
