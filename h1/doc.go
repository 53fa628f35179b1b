// Package h1 is HTTP/1.1 on the server's side as functions of bytes (RFC 9112, RFC 9110): a request head in, a Request
// out; chunks in, body out; an answer's parts in, bytes out. It owns no socket, no goroutine and no buffer, so the same
// code serves a goroutine per connection or an epoll loop, and allocates nothing per request once a Request is reused.
//
// Read parse.go (lines), then fields.go (one field line), control.go (the fields that frame the body and steer the
// connection), host.go, chunked.go (bodies) and answer.go.
//
// # How strict
//
// A parser in front of other parsers is attacked through whatever it tolerates, so where the RFCs let a recipient
// choose, this one refuses. Every mistake is an *Error with a status; after one the connection must close, because
// where the next request would begin is unknown. Results depend on the bytes alone, never on how they were split into
// reads: a line is judged when its LF has arrived, what takes several lines to judge (Host, framing, Expect) at the
// blank line.
//
//   - Lines end in CRLF; a bare LF or CR is refused (RFC 9112 2.2 allows LF). Up to maxEmptyLines pass before a
//     request.
//   - Exactly one SP between the parts of the request line; targets are printable ASCII without "#". Forms: "/path",
//     "http://host/path", and "*" with OPTIONS. CONNECT is 501: this is no proxy.
//   - HTTP/1.2 to 1.9 count as 1.1 (RFC 9110 2.5: a minor version is compatible); another major version is 505.
//   - Field names are tokens directly followed by ":"; folded lines are refused (RFC 9112 5.2).
//   - Values hold no control byte but HTAB. Bytes 0x80 to 0xff pass, since UTF-8 is common there, but 0x85 directly
//     after an ASCII byte cannot be UTF-8 and is a line end (NEL) to software that reads Latin-1: refused
//     (CVE-2026-44546).
//   - Names with "_" are checked, counted and dropped: CGI and WSGI cannot tell "X_User" from "X-User".
//   - One Content-Length of digits, or one "Transfer-Encoding: chunked" on HTTP/1.1, never both, never twice, never a
//     list.
//   - One Host on 1.1: uri-host [":" port] (RFC 9110 7.2), and equal to the authority of an absolute-form target. It
//     may be empty only where the target has no authority either: "OPTIONS *", and on HTTP/1.0, where it is optional.
//     Of what RFC 3986 has in reg-name, "," is refused, as it is how two Host fields look when something has joined
//     them, and so is percent-encoding, which gives one name many spellings.
//   - Chunk sizes are 1 to 15 hexadecimal digits; no whitespace, extensions checked and capped, trailers checked and
//     discarded, those named Content-Length, Transfer-Encoding or Host refused.
//
// What net/http's ReadRequest refuses and this accepts (the fuzz target holds the list): targets whose percent-encoding
// net/url does not like, empty lines before the request, and a Trailer field with a forbidden name.
package h1
