package forwarded

import (
	"bytes"
	"net/netip"

	"backline"
)

// node is an end of a connection as a proxy writes it.
type node struct {
	addr netip.Addr
	port int // 0: not told
}

// maxNode is longer than any address with its port; what is longer is not looked at.
const maxNode = 64

// parseNode reads "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]", "[2001:db8::1]:80" (RFC 7239 6) and, as X-Forwarded-For
// has it, "2001:db8::1". The port may be hidden ("_gazonk"). ok is false for everything else, "unknown" and hidden
// names among it: nobody can be found by those.
func parseNode(b []byte) (n node, ok bool) {
	if len(b) == 0 || len(b) > maxNode {
		return node{}, false
	}
	host, port := b, []byte(nil)
	bracketed := b[0] == '['
	if bracketed {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return node{}, false
		}
		host, port = b[1:end], b[end+1:]
	} else if colon := bytes.IndexByte(b, ':'); colon >= 0 && bytes.IndexByte(b[colon+1:], ':') < 0 {
		host, port = b[:colon], b[colon:]
	}
	addr, err := netip.ParseAddr(string(host))
	if err != nil || addr.Zone() != "" || bracketed && !addr.Is6() {
		return node{}, false
	}
	n.addr = addr.Unmap()
	n.port, ok = nodePort(port)
	return n, ok
}

// nodePort reads what follows a node's name: nothing, or ":" and a number or a hidden port.
func nodePort(b []byte) (port int, ok bool) {
	switch {
	case len(b) == 0:
		return 0, true
	case b[0] != ':' || len(b) < 2:
		return 0, false
	case b[1] == '_':
		return 0, len(b) > 2
	}
	return parsePort(b[1:])
}

// parsePort reads a port that something can be reached at.
func parsePort(b []byte) (port int, ok bool) {
	if len(b) == 0 || len(b) > 5 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		port = port*10 + int(c-'0')
	}
	return port, port > 0 && port < 1<<16
}

// element is one proxy's part of a Forwarded field: what it says about the connection that came to it.
type element struct {
	node, proto, host []byte
}

// parseElement reads forwarded-element (RFC 7239 4): pairs of a token and a value, separated by semicolons. More than
// the RFC is taken in two places, because senders do so: blanks around the semicolons, and values with ":" or brackets
// without quotes. Less is taken in one: no backslash in quoted strings, which no address, name or scheme needs and
// which cannot be read from the right.
func parseElement(b []byte) (e element, ok bool) {
	for b = trimPair(b); len(b) > 0; b = trimPair(b) {
		name, rest, found := bytes.Cut(b, []byte{'='})
		if !found || !backline.ValidFieldName(name) {
			return element{}, false
		}
		value, after, ok := parseValue(rest)
		if !ok {
			return element{}, false
		}
		if target := e.parameter(name); target != nil {
			if *target != nil {
				return element{}, false // each may come once (RFC 7239 4)
			}
			*target = value
		}
		b = after
	}
	return e, true
}

// trimPair removes what may stand before a pair: the semicolon after the last one, others with nothing between, blanks.
func trimPair(b []byte) []byte { return bytes.TrimLeft(b, "; \t") }

// parameter is where a pair's value goes; nil for "by" and extensions. The node's name is "for" on the wire.
func (e *element) parameter(name []byte) *[]byte {
	switch {
	case isFold(name, "for"):
		return &e.node
	case isFold(name, "proto"):
		return &e.proto
	case isFold(name, "host"):
		return &e.host
	}
	return nil
}

// parseValue reads a token or a quoted string up to the semicolon after it, or the end. The value is never nil.
func parseValue(b []byte) (value, after []byte, ok bool) {
	if len(b) > 0 && b[0] == '"' {
		end := bytes.IndexByte(b[1:], '"')
		if end < 0 {
			return nil, nil, false
		}
		value, after = b[1:1+end], bytes.TrimLeft(b[end+2:], " \t")
		if bytes.IndexByte(value, '\\') >= 0 || len(after) > 0 && after[0] != ';' {
			return nil, nil, false
		}
	} else {
		end := bytes.IndexByte(b, ';')
		if end < 0 {
			end = len(b)
		}
		value, after = trim(b[:end]), b[end:]
		if len(value) == 0 || bytes.ContainsAny(value, "\" \t\\=") {
			return nil, nil, false
		}
	}
	return value, after, true
}
