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
	a.begin(m.Status)
	dst = h1.AppendStatusLine(dst, m.Status, m.Reason)
	var seen seenFields
	for _, f := range m.Fields {
		if a.admit(f, &seen) {
			dst = h1.AppendField(dst, f.Name, f.Value)
		}
	}
	dst = c.appendOwn(dst, seen)
	switch a.frame(seen, known) {
	case framedAlready:
	case framedByLength:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, known, 10)
		dst = append(dst, "\r\n"...)
	case framedByEnd:
		if a.minor > 0 {
			dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
			a.chunked = true
		} else {
			a.keepAlive = false // an HTTP/1.0 client knows the end by the end of the connection
		}
	}
	if c.server.retiring.Load() || c.server.draining.Load() || !c.body.done && !c.body.spooled {
		a.keepAlive = false
	}
	switch {
	case !a.keepAlive:
		dst = append(dst, "Connection: close\r\n"...)
	case a.minor == 0:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	if c.server.needsAnswer {
		c.answer.keep(m)
	}
	return append(dst, "\r\n"...)
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
	if told := s.http3.told(c.local.Port); told != "" && c.secure != nil {
		dst = h1.AppendField(dst, "Alt-Svc", told)
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
