package h1

import (
	"bytes"

	"backline"
)

// control collects the fields that frame the body and steer the connection, until the blank line allows to judge them
// together. For each name: how often it came and its last value.
type control struct {
	count   [controls]int
	value   [controls][]byte
	options connectionOptions
}

func (c *control) note(k Known, value []byte) {
	if k >= controls {
		return
	}
	c.count[k]++
	c.value[k] = value
	if k == Connection {
		c.options |= parseConnection(value)
	}
}

// judge completes r from what was collected, or says what is wrong with it.
func (c *control) judge(r *Request) *Error {
	if err := c.host(r); err != nil {
		return err
	}
	if err := c.framing(r); err != nil {
		return err
	}
	if c.count[ContentType] > 1 {
		// Which of them an application believes decides how it reads the body; a filter in front may believe the other.
		return bad("two Content-Type fields")
	}
	if err := c.expect(r); err != nil {
		return err
	}
	r.KeepAlive = c.options&optionClose == 0 && (r.Minor == 1 || c.options&optionKeepAlive != 0)
	// RFC 9110 7.8: not on HTTP/1.0, and not without Connection. A server may always ignore Upgrade, and does so where two
	// fields would need an order of preference.
	if c.count[Upgrade] == 1 && c.options&optionUpgrade != 0 && r.Minor == 1 {
		r.Upgrade = c.value[Upgrade]
	}
	return nil
}

// host applies RFC 9112 3.2 and 3.2.2, and more: RFC 9112 lets the authority of an absolute-form target win over Host,
// and a proxy that does not know this would have routed, or allowed, by Host.
func (c *control) host(r *Request) *Error {
	value := c.value[Host]
	switch {
	case c.count[Host] > 1:
		return bad("two Host fields")
	case c.count[Host] == 0 && r.Minor == 0:
		return nil
	case c.count[Host] == 0:
		return bad("no Host field")
	case r.Host != nil && !equalFold(r.Host, value):
		return bad("Host differs from the request target")
	case len(value) == 0 && r.Minor == 1 && r.Path[0] != '*':
		return bad("empty Host field")
	case len(value) > 0 && !ValidHost(value):
		return bad("invalid Host field")
	}
	r.Host = value
	return nil
}

// framing decides where the body ends (RFC 9112 6). Two opinions about that are what request smuggling is made of, so
// whatever could be read in two ways is refused.
func (c *control) framing(r *Request) *Error {
	lengths, codings := c.count[ContentLength], c.count[TransferEncoding]
	switch {
	case lengths > 1:
		return bad("two Content-Length fields")
	case codings > 1:
		return bad("two Transfer-Encoding fields")
	case lengths+codings > 1:
		return bad("both Content-Length and Transfer-Encoding")
	case codings == 1 && r.Minor == 0:
		return bad("Transfer-Encoding on HTTP/1.0") // RFC 9112 6.1: its framing is to be held for faulty
	case codings == 1:
		r.Chunked = true
		return checkCoding(c.value[TransferEncoding])
	case lengths == 1:
		n, ok := ParseContentLength(c.value[ContentLength])
		if !ok {
			return bad("Content-Length is not a number")
		}
		r.ContentLength = n
	}
	return nil
}

// checkCoding accepts "chunked" and nothing else. What ends in chunked after codings that are not implemented is 501
// (RFC 9112 6.1); a body whose end cannot be found is 400 (6.3).
func checkCoding(value []byte) *Error {
	if equalFold(value, "chunked") {
		return nil
	}
	last := bytes.LastIndexByte(value, ',')
	if last < 0 || !equalFold(trim(value[last+1:]), "chunked") {
		return bad("Transfer-Encoding does not end in chunked")
	}
	for rest, more := value[:last], true; more; {
		var coding []byte
		coding, rest, more = bytes.Cut(rest, []byte(","))
		coding = trim(coding)
		if !backline.ValidFieldName(coding) || equalFold(coding, "chunked") {
			return bad("malformed Transfer-Encoding")
		}
	}
	return &Error{Status: 501, Reason: "only the transfer coding chunked is supported"}
}

// expect applies RFC 9110 10.1.1. On HTTP/1.0 100-continue must be ignored; without a body nothing is waited for.
func (c *control) expect(r *Request) *Error {
	if c.count[Expect] == 0 {
		return nil
	}
	if c.count[Expect] > 1 || !equalFold(c.value[Expect], "100-continue") {
		return &Error{Status: 417, Reason: "only 100-continue can be expected"}
	}
	r.ExpectContinue = r.Minor == 1 && (r.Chunked || r.ContentLength > 0)
	return nil
}

type connectionOptions uint8

const (
	optionClose connectionOptions = 1 << iota
	optionKeepAlive
	optionUpgrade
)

// parseConnection reads a list of options (RFC 9110 7.6.1). Unknown ones do not matter: nothing is forwarded.
func parseConnection(value []byte) (options connectionOptions) {
	for len(value) > 0 {
		option := value
		if i := bytes.IndexByte(value, ','); i >= 0 {
			option, value = value[:i], value[i+1:]
		} else {
			value = nil
		}
		switch option = trim(option); {
		case equalFold(option, "close"):
			options |= optionClose
		case equalFold(option, "keep-alive"):
			options |= optionKeepAlive
		case equalFold(option, "upgrade"):
			options |= optionUpgrade
		}
	}
	return options
}
