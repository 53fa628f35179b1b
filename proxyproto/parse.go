// Package proxyproto reads the header of the PROXY protocol, versions 1 and 2: the few bytes with which a proxy that
// passes connections on unread begins each of them, to tell who is at the other end. Bytes in, values out; it touches
// no socket.
//
// Both versions are described in proxy-protocol.txt, which comes with HAProxy. Read Parse, then v1.go and v2.go.
package proxyproto

import (
	"backline"
)

// Header is what a proxy tells about a connection.
type Header struct {
	// Local: the connection is the proxy's own, a health check mostly, or it does not know whose. The addresses are empty
	// then, and those of the connection itself count.
	Local bool
	// Source is the client, Destination where it connected to. For a Unix socket Host is its path and Port 0; the path of
	// a client is mostly empty.
	Source, Destination backline.Addr
	// TLS: the client's connection is encrypted and the proxy has taken the encryption off. Version 2 alone can say so.
	TLS bool
}

// MaxHeader bounds a header, in bytes. One with addresses has 216 at most; what proxies add about TLS (names, a cipher)
// is a few hundred, and a client's certificate, which nobody here reads, seldom more than two thousand.
const MaxHeader = 4096

// Error is why something is no header that can be believed.
type Error struct{ Reason string }

// Error gives the reason.
func (e *Error) Error() string { return "PROXY protocol: " + e.Reason }

func bad(reason string) error { return &Error{Reason: reason} }

// ErrAbsent says that the bytes are the beginning of something else, of neither version.
var ErrAbsent error = &Error{Reason: "the connection does not begin with a PROXY header"}

// Parse reads the header at the start of buf. With n == 0 and err == nil it is incomplete: call again with the same
// bytes and more after them; MaxHeader bytes are always enough. n > 0 is the number of bytes that the header takes up;
// what follows is the client's. The error is ErrAbsent at the first byte that is neither version's, else an *Error.
func Parse(buf []byte) (h Header, n int, err error) {
	switch {
	case begins(buf, signature1):
		return parse1(buf)
	case begins(buf, signature2):
		return parse2(buf)
	}
	return Header{}, 0, ErrAbsent
}

// begins tells whether buf begins with signature, as far as there is any of it.
func begins(buf []byte, signature string) bool {
	n := min(len(buf), len(signature))
	return string(buf[:n]) == signature[:n]
}
