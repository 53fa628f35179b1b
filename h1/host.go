package h1

import (
	"bytes"
	"net/netip"
)

// ValidHost checks uri-host [":" port] (RFC 9110 7.2, RFC 3986 3.2.2). Userinfo ("@"), paths, spaces, lists (",") and
// empty hosts have no place in it: applications build links and check origins with it. Neither has percent-encoding,
// which RFC 3986 allows: it gives a name several spellings, and net/http decodes it in a target but not in Host.
func ValidHost(b []byte) bool {
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		return end > 0 && validIPv6(b[1:end]) && validPort(b[end+1:])
	}
	host, port := b, []byte(nil)
	if i := bytes.IndexByte(b, ':'); i >= 0 {
		host, port = b[:i], b[i:]
	}
	return len(host) > 0 && allOf(host, hostByte) && validPort(port)
}

// validIPv6 refuses zones and IPvFuture, which nobody can reach us by. The string is the package's one allocation on a
// valid request, and only for clients that use a literal address.
func validIPv6(b []byte) bool {
	addr, err := netip.ParseAddr(string(b))
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// validPort takes what follows the host: nothing, ":" (the port of RFC 3986 may be empty), or ":" and a port number.
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) > len(":65535") {
		return false
	}
	port, ok := ParseContentLength(b[1:])
	return len(b) == 1 || ok && port < 1<<16
}
