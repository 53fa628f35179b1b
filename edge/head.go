package edge

import (
	"strconv"
	"time"

	"backline/h1"
	"backline/wire"
)

// appendHead writes the status line and the header fields of an answer, and decides how its body is framed (RFC 9112
// 6.3). known is the body's whole length, -1 where it is not known.
func (c *conn) appendHead(dst []byte, m *wire.Message, known int64) []byte {
	a := &c.answer
	a.begun, a.status, a.left = true, m.Status, -1
	a.bodiless = a.head || h1.BodyForbidden(m.Status)
	dst = h1.AppendStatusLine(dst, m.Status, m.Reason)
	dst, seen := c.appendFields(dst, m)
	dst = c.appendOwn(dst, seen)
	switch {
	case seen.length && h1.BodyForbidden(m.Status) && m.Status != 304:
	case seen.length:
	case h1.BodyForbidden(m.Status):
	case known >= 0 && (!a.head || known > 0):
		// The answer to HEAD has the length of GET's body; an application that left the body out did not mean 0.
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, known, 10)
		dst = append(dst, "\r\n"...)
		a.left = known
	case a.head:
	case a.minor > 0:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
		a.chunked = true
	default:
		a.keepAlive = false // an HTTP/1.0 client knows the end by the end of the connection
	}
	if c.server.draining.Load() || !c.body.done && !c.body.spooled {
		a.keepAlive = false
	}
	switch {
	case !a.keepAlive:
		dst = append(dst, "Connection: close\r\n"...)
	case a.minor == 0:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	if c.server.needsAnswer {
		c.keepFields(m)
	}
	return append(dst, "\r\n"...)
}

// seenFields are the fields that the application gave itself.
type seenFields struct{ length, date, server bool }

// appendFields writes the application's fields but for those that concern the connection, which are the edge's business
// (PEP 3333, "Other HTTP Features"; ASGI www 2.3.2): of them only "Connection: close" is understood.
func (c *conn) appendFields(dst []byte, m *wire.Message) (out []byte, seen seenFields) {
	a := &c.answer
	for _, f := range m.Fields {
		switch h1.Lookup(f.Name) {
		case h1.ContentLength:
			n, ok := h1.ParseContentLength(f.Value)
			if !ok || seen.length || m.Status < 200 || m.Status == 204 {
				continue
			}
			seen.length = true
			if !a.bodiless {
				a.left = n
			}
		case h1.TransferEncoding, h1.KeepAlive, h1.Upgrade, h1.Trailer:
			continue
		case h1.Connection:
			if isClose(f.Value) {
				a.keepAlive = false
			}
			continue
		case h1.Date:
			seen.date = true
		case h1.Server:
			seen.server = true
		}
		dst = h1.AppendField(dst, f.Name, f.Value)
	}
	return dst, seen
}

// appendOwn adds Date and Server where the application has not (RFC 9110 6.6.1, 10.2.4).
func (c *conn) appendOwn(dst []byte, seen seenFields) []byte {
	s := c.server
	if !seen.date && !s.options.HideDate {
		dst = append(dst, "Date: "...)
		dst = s.date.Append(dst, time.Unix(0, s.clock.Load()))
		dst = append(dst, "\r\n"...)
	}
	if !seen.server && !s.options.HideServer {
		dst = append(dst, "Server: "+serverName+"\r\n"...)
	}
	return dst
}

func isClose(value []byte) bool {
	if len(value) != len("close") {
		return false
	}
	for i, b := range value {
		if b|0x20 != "close"[i] {
			return false
		}
	}
	return true
}
