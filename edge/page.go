package edge

import (
	"errors"
	"strconv"

	"backline"
	"backline/h1"
	"backline/wire"
)

// page answers for the server itself.
func (c *conn) page(status int, reason string, wait int, more ...backline.Field) {
	m := newPage(status, reason, wait, more)
	dst := c.appendHead(nil, &m, int64(len(m.Data)))
	c.write(c.appendBody(dst, m.Data))
}

// newPage is an answer of the server's own: a status and one sentence of plain text.
func newPage(status int, reason string, wait int, more []backline.Field) wire.Message {
	m := wire.Message{Kind: wire.KindAnswer, Status: status, Data: []byte(reason + "\n")}
	m.Fields = append(m.Fields, backline.Field{Name: []byte("Content-Type"), Value: []byte("text/plain; charset=utf-8")})
	m.Fields = append(m.Fields, more...)
	if wait > 0 {
		seconds := strconv.AppendInt(nil, int64(wait), 10)
		m.Fields = append(m.Fields, backline.Field{Name: []byte("Retry-After"), Value: seconds})
	}
	return m
}

// refuse answers a request that is well formed and yet not served.
func (c *conn) refuse(no *refusal) operation {
	c.phase = phaseAnswer
	c.page(no.status, no.reason, no.wait, no.fields...)
	c.answer.failed = "refused"
	c.endAnswer()
	return opNone
}

// reject answers a request that breaks HTTP's rules and ends the connection: where its next request would begin cannot
// be known (RFC 9112 2.2, 9.6).
func (c *conn) reject(err *h1.Error) {
	minor, head := c.answer.minor, c.answer.head
	c.answer = outgoing{minor: max(minor, 1), head: head}
	c.body.reset(c.server)
	c.page(err.Status, reasonFor(err), 0)
	c.answer.failed = "client"
	c.phase = phaseFlush
	c.answer.keepAlive = false
}

func reasonFor(err *h1.Error) string {
	return "This request cannot be served: " + err.Reason + "."
}

// asH1Error gives err as the client's mistake that it is.
func asH1Error(err error) *h1.Error {
	if err == nil {
		return nil
	}
	if found, ok := errors.AsType[*h1.Error](err); ok {
		return found
	}
	return &h1.Error{Status: 400, Reason: err.Error()}
}
