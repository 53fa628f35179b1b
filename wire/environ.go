package wire

import (
	"bytes"
	"unicode/utf8"

	"backline"
)

// appendEnviron writes the entries of a WSGI environ that the worker cannot know (PEP 3333, "environ Variables"); the
// worker adds wsgi.* and what equals the defaults.
func (c Codec) appendEnviron(dst []byte, r *Request) []byte {
	s := r.Scope
	dst, at := c.beginMap(dst)
	dst = c.appendASCII(c.appendKey(dst, "REQUEST_METHOD"), s.Method)
	dst = c.appendLatin1(c.appendKey(dst, "PATH_INFO"), pathInfo(s))
	dst = c.appendASCII(c.appendKey(dst, "RAW_URI"), s.Target)
	dst, n := c.appendPeers(dst, s)
	n += 3
	if len(s.Query) > 0 {
		dst, n = c.appendASCII(c.appendKey(dst, "QUERY_STRING"), s.Query), n+1
	}
	if s.Version != "1.1" {
		dst, n = append(c.appendASCIIHeader(c.appendKey(dst, "SERVER_PROTOCOL"), 5+len(s.Version)), "HTTP/"...), n+1
		dst = append(dst, s.Version...)
	}
	if s.Scheme != r.Default.Scheme {
		dst, n = c.appendKey(c.appendKey(dst, "wsgi.url_scheme"), s.Scheme), n+1
	}
	if s.RootPath != r.Default.RootPath {
		dst, n = c.appendLatin1(c.appendKey(dst, "SCRIPT_NAME"), []byte(s.RootPath)), n+1
	}
	dst, servers := c.appendServerName(dst, r)
	dst, certificates := c.appendClientCertificate(dst, s.TLS)
	if s.Cursor != 0 {
		dst, n = c.appendInt64(c.appendKey(dst, "backline.cursor"), int64(s.Cursor)), n+1
	}
	if s.WebSocket {
		dst, n = c.appendKey(c.appendKey(dst, "wsgi.websocket_version"), "13"), n+1
	}
	dst, more := c.appendVariables(dst, r)
	return c.endMap(dst, at, n+servers+certificates+more)
}

// appendPeers writes where the client is. REMOTE_ADDR is always there, as applications expect; it is empty for a Unix
// socket, as gunicorn has it.
func (c Codec) appendPeers(dst []byte, s *backline.Scope) ([]byte, int) {
	host := s.Client.Host
	if !hasAddress(s.Client) {
		host = ""
	}
	dst = c.appendHost(c.appendKey(dst, "REMOTE_ADDR"), host)
	if host == "" || s.Client.Port == 0 {
		return dst, 1
	}
	return c.appendNumber(c.appendKey(dst, "REMOTE_PORT"), int64(s.Client.Port)), 2
}

// appendServerName writes SERVER_NAME and SERVER_PORT where they are not the default's. Neither may be empty (PEP 3333,
// "environ Variables"), but a Unix socket has no port: then they are what the client called the server, else localhost
// and the scheme's port.
func (c Codec) appendServerName(dst []byte, r *Request) ([]byte, int) {
	s := r.Scope
	switch {
	case s.Server.Port == 0:
		name, port := calledServer(s)
		dst = c.appendASCII(c.appendKey(dst, "SERVER_NAME"), name)
		return c.appendASCII(c.appendKey(dst, "SERVER_PORT"), port), 2
	case s.Server != r.Default.Server:
		dst = c.appendHost(c.appendKey(dst, "SERVER_NAME"), s.Server.Host)
		return c.appendNumber(c.appendKey(dst, "SERVER_PORT"), int64(s.Server.Port)), 2
	default:
		return dst, 0
	}
}

// calledServer splits the Host field.
func calledServer(s *backline.Scope) (name, port []byte) {
	name, port = []byte("localhost"), []byte("80")
	if s.Scheme == "https" {
		port = []byte("443")
	}
	for _, f := range s.Fields {
		if !equalFold(f.Name, "host") || len(f.Value) == 0 || !isPrintable(f.Value) {
			continue
		}
		name = f.Value
		// The colons of an IPv6 address are inside its brackets.
		if colon := bytes.LastIndexByte(name, ':'); colon > 0 && bytes.IndexByte(name[colon:], ']') < 0 {
			if colon+1 < len(name) {
				port = name[colon+1:]
			}
			name = name[:colon]
		}
		break
	}
	return name, port
}

// appendVariables writes the header fields: CONTENT_TYPE and CONTENT_LENGTH without, all others with HTTP_ before the
// name. Fields of one name are joined.
func (c Codec) appendVariables(dst []byte, r *Request) ([]byte, int) {
	n, seen := 0, uint64(0)
	for i, f := range r.Scope.Fields {
		// A bit per (length, first letter): where it is clear, no earlier field has this name and nothing is compared.
		bit := uint64(1) << ((uint(len(f.Name))*7 + uint(lower[f.Name[0]])) & 63)
		if seen&bit != 0 && isRepeated(r.Scope.Fields[:i], f.Name) {
			continue
		}
		seen |= bit
		if equalFold(f.Name, "content-length") {
			if r.Length < 0 {
				dst, n = c.appendASCII(c.appendKey(dst, "CONTENT_LENGTH"), f.Value), n+1
			}
			continue
		}
		if isDropped(f.Name) {
			continue
		}
		dst = c.appendVariable(dst, r.Scope.Fields[i:])
		n++
	}
	if r.Length >= 0 {
		dst, n = c.appendNumber(c.appendKey(dst, "CONTENT_LENGTH"), r.Length), n+1
	}
	return dst, n
}

// isDropped tells whether a field does not become a variable. A body that came in chunks has been decoded: an
// application that looked at Transfer-Encoding would decode it again. Proxy would become HTTP_PROXY, by which many
// libraries learn where to send the application's own requests (CVE-2016-5385, "httpoxy"). There is no such field.
func isDropped(name []byte) bool {
	switch len(name) {
	case len("transfer-encoding"):
		return equalFold(name, "transfer-encoding")
	case len("proxy"):
		return equalFold(name, "proxy")
	}
	return false
}

// appendVariable writes the first of fields with all its later namesakes.
func (c Codec) appendVariable(dst []byte, fields []backline.Field) []byte {
	name := fields[0].Name
	if equalFold(name, "content-type") {
		dst = c.appendKey(dst, "CONTENT_TYPE")
	} else {
		dst = append(c.appendNameHeader(dst, len("HTTP_")+len(name)), "HTTP_"...)
		for _, b := range name {
			dst = append(dst, upper[b])
		}
	}
	joined, cloned := fields[0].Value, false
	for _, f := range fields[1:] {
		if len(f.Name) == len(name) && equalFoldBytes(f.Name, name) {
			if !cloned {
				joined, cloned = bytes.Clone(joined), true // the value aliases the request's own bytes
			}
			joined = append(append(joined, glue(name)...), f.Value...)
		}
	}
	return c.appendLatin1(dst, joined)
}

// glue joins the values of one name: RFC 9110 5.3, and RFC 9113 8.2.3 for cookies, which are no list.
func glue(name []byte) string {
	if equalFold(name, "cookie") {
		return "; "
	}
	return ","
}

// appendNameHeader is appendKey's header for a name of n bytes that is written piece by piece.
func (c Codec) appendNameHeader(dst []byte, n int) []byte {
	if c == Marshal && n < shortString {
		return append(dst, 'Z', byte(n))
	}
	return c.appendASCIIHeader(dst, n)
}

func isRepeated(earlier []backline.Field, name []byte) bool {
	for _, f := range earlier {
		if len(f.Name) == len(name) && equalFoldBytes(f.Name, name) {
			return true
		}
	}
	return false
}

// pathInfo is the decoded path without the root path. It is empty or begins with a slash, so the "*" of OPTIONS is
// empty: the application as a whole.
func pathInfo(s *backline.Scope) []byte {
	path := s.Path
	if len(path) == 1 && path[0] == '*' {
		return nil
	}
	if hasEscape(path) {
		path = DecodePath(nil, path)
	}
	if underRoot(path, s.RootPath) {
		path = path[len(s.RootPath):]
	}
	return path
}

// underRoot tells whether path is root or below it: "/shop" and "/shop/cart" are under "/shop", "/shopping" is not.
func underRoot(path []byte, root string) bool {
	return len(path) >= len(root) && string(path[:len(root)]) == root &&
		(len(path) == len(root) || root == "" || path[len(root)] == '/')
}

func isPrintable(b []byte) bool {
	for _, each := range b {
		if each <= ' ' || each >= 0x7f {
			return false
		}
	}
	return true
}

func hasEscape(path []byte) bool { return bytes.IndexByte(path, '%') >= 0 }

// DecodePath appends path with %XX decoded. What is not two hexadecimal digits stays as it is, as urllib's unquote
// leaves it.
func DecodePath(dst, path []byte) []byte {
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) && unhex[path[i+1]] < 16 && unhex[path[i+2]] < 16 {
			dst = append(dst, unhex[path[i+1]]<<4|unhex[path[i+2]])
			i += 2
		} else {
			dst = append(dst, path[i])
		}
	}
	return dst
}

// validUTF8 replaces what is not UTF-8 by U+FFFD, as uvicorn and Django's own decoding do.
func validUTF8(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return bytes.ToValidUTF8(b, []byte("\uFFFD"))
}

// Tables of bytes: names of header fields in lower case, in upper case with "-" as "_", and values of hex digits.
//
//nolint:gochecknoglobals // nothing writes to them; Go has no constant arrays
var (
	lower = byteTable(func(b byte) byte {
		if b >= 'A' && b <= 'Z' {
			return b + 'a' - 'A'
		}
		return b
	})
	upper = byteTable(func(b byte) byte {
		switch {
		case b >= 'a' && b <= 'z':
			return b - 'a' + 'A'
		case b == '-':
			return '_'
		}
		return b
	})
	unhex = byteTable(func(b byte) byte {
		switch {
		case b >= '0' && b <= '9':
			return b - '0'
		case b >= 'a' && b <= 'f':
			return b - 'a' + 10
		case b >= 'A' && b <= 'F':
			return b - 'A' + 10
		}
		return 0xff
	})
)

func byteTable(f func(byte) byte) (table [256]byte) {
	for i := range table {
		table[i] = f(byte(i))
	}
	return table
}

// equalFold compares a name with one that is already in lower case.
func equalFold(name []byte, want string) bool {
	if len(name) != len(want) {
		return false
	}
	for i, b := range name {
		if lower[b] != want[i] {
			return false
		}
	}
	return true
}

func equalFoldBytes(a, b []byte) bool {
	for i := range a {
		if lower[a[i]] != lower[b[i]] {
			return false
		}
	}
	return true
}
