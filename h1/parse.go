package h1

import (
	"bytes"

	"backline"
)

// Request is a parsed head. Slices alias the buffer it was parsed from; the array behind Fields is reused by the next
// Parse into the same Request, so one that is kept and passed again costs no allocation.
type Request struct {
	Method, Target []byte
	Path           []byte           // percent-encoded as received, no query; "/" for "http://host"; "*" for OPTIONS *
	Query          []byte           // what follows the first "?", undecoded
	Minor          int              // of HTTP/1.Minor: 0, or 1 for every later one
	Fields         []backline.Field // in order, duplicates kept, names as spelled; without those with "_" in their name
	Host           []byte           // value of Host, or the authority of an absolute-form target (they are equal)
	ContentLength  int64            // -1 when there is none; then, unless Chunked, there is no body (RFC 9112 6.3)
	Chunked        bool
	KeepAlive      bool   // whether the client lets the connection stay open, by version and Connection
	ExpectContinue bool   // the client waits for 100 (Continue) before it sends the body there is
	Upgrade        []byte // value of Upgrade, when there is one on HTTP/1.1 and Connection names it
}

// Parser finds and parses one head. The zero value has the default limits. It remembers how far it has looked, so that
// a head that arrives byte by byte costs linear time.
type Parser struct {
	Limits Limits

	// Progress in a head that is not yet whole, as offsets into the buffer, which may move between calls.
	line   int    // where the line begins that is not yet whole
	seen   int    // up to where that line has been searched for its end
	block  int    // where the field lines begin; 0 while the request line is not yet whole
	empty  int    // empty lines skipped before the request line
	fields int    // field lines so far
	err    *Error // sticky: nothing that follows a mistake may be taken for a request
}

// Reset forgets progress and error, for a new connection.
func (p *Parser) Reset() { *p = Parser{Limits: p.Limits} }

// Parse looks for a whole head at the start of buf. With n == 0 and err == nil it is incomplete: call again with the
// same bytes and more after them (buf may have moved). n > 0 is the number of bytes consumed, the blank line included,
// and the parser is ready for the next head. err is an *Error and stays until Reset. Only with n > 0 does r mean
// anything.
func (p *Parser) Parse(buf []byte, r *Request) (n int, err error) {
	if p.err != nil {
		return 0, p.err
	}
	if len(buf) < p.seen { // not the bytes of the last call; start over rather than read beyond the end
		p.Reset()
	}
	resumed := p.seen > 0
	var c control
	n, fault := p.head(buf, r, &c)
	if n > 0 && resumed {
		// What was collected in earlier calls aliases buffers that are gone. A second pass over a whole head is simpler
		// and cheaper for the usual case than offsets for everything, and twice linear is linear.
		p.Reset()
		c = control{}
		n, fault = p.head(buf, r, &c)
	}
	if n > 0 {
		fault = c.judge(r)
	}
	switch {
	case fault != nil:
		p.err = fault
		return 0, fault
	case n > 0:
		p.Reset()
	}
	return n, nil
}

// head reads lines until the blank one and gives the offset after it, or 0 if buf ends before.
func (p *Parser) head(buf []byte, r *Request, c *control) (int, *Error) {
	if p.block == 0 {
		if whole, err := p.requestLine(buf, r); !whole {
			return 0, err
		}
	}
	most, limit := p.Limits.headerFields(), p.block+p.Limits.headerBlock()
	for {
		i := bytes.IndexByte(buf[p.seen:], '\n')
		next := p.seen + i + 1
		if i < 0 {
			p.seen, next = len(buf), len(buf)
		}
		if next > limit {
			return 0, &Error{Status: 431, Reason: "header fields too large"}
		}
		if i < 0 {
			return 0, nil
		}
		line, ok := cutCRLF(buf[p.line:next])
		if !ok {
			return 0, bad("line does not end in CRLF")
		}
		if len(line) == 0 {
			return next, nil
		}
		if p.fields++; p.fields > most {
			return 0, &Error{Status: 431, Reason: "too many header fields"}
		}
		name, value, keep, err := splitField(line)
		if err != nil {
			return 0, err
		}
		if keep {
			r.Fields = append(r.Fields, backline.Field{Name: name, Value: value})
			if k := Lookup(name); k != Other {
				c.note(k, value)
			}
		}
		p.line, p.seen = next, next
	}
}

// cutCRLF takes the line end off a line that ends in LF; ok is false if no CR precedes it.
func cutCRLF(line []byte) (rest []byte, ok bool) {
	end := len(line) - 2
	if end < 0 || line[end] != '\r' {
		return nil, false
	}
	return line[:end], true
}

// requestLine skips empty lines and parses the first other one; whole is false with an error, and until it is here.
func (p *Parser) requestLine(buf []byte, r *Request) (whole bool, err *Error) {
	limit := p.Limits.requestLine()
	for {
		if p.line < len(buf) && class[buf[p.line]]&tokenByte == 0 && buf[p.line] != '\r' {
			// Not left to parseRequestLine: a TLS hello on this port may hold no LF and would wait for the deadline.
			return false, bad("request does not start with a method")
		}
		i := bytes.IndexByte(buf[p.seen:], '\n')
		next := p.seen + i + 1
		if i < 0 {
			// The next byte could be the LF at best, and the last one here its CR.
			p.seen, next = len(buf), len(buf)+1
		}
		if next-p.line > limit+len("\r\n") {
			return false, &Error{Status: 414, Reason: "request line too long"}
		}
		if i < 0 {
			return false, nil
		}
		line, ok := cutCRLF(buf[p.line:next])
		if !ok {
			return false, bad("line does not end in CRLF")
		}
		p.line, p.seen = next, next
		if len(line) > 0 {
			p.block = next
			err = parseRequestLine(line, r)
			return err == nil, err
		}
		if p.empty++; p.empty > maxEmptyLines {
			return false, bad("too many empty lines before the request")
		}
	}
}

// parseRequestLine reads "method SP target SP version" (RFC 9112 3) and clears the rest of r.
func parseRequestLine(line []byte, r *Request) *Error {
	fields := r.Fields[:0]
	if cap(fields) == 0 {
		fields = make([]backline.Field, 0, 16) // a browser's request has about 15
	}
	*r = Request{Fields: fields, ContentLength: -1}
	end := 0
	for end < len(line) && class[line[end]]&tokenByte != 0 {
		end++
	}
	if end == 0 || end == len(line) || line[end] != ' ' {
		return bad("method is not a token followed by one space")
	}
	r.Method, line = line[:end], line[end+1:]
	end = 0
	for end < len(line) && class[line[end]]&targetByte != 0 {
		end++
	}
	if end == 0 || end == len(line) || line[end] != ' ' {
		return targetError(line, end)
	}
	r.Target = line[:end]
	if err := r.version(line[end+1:]); err != nil {
		return err
	}
	switch {
	case len(r.Method) > maxMethod:
		return &Error{Status: 501, Reason: "method too long"} // RFC 9112 3
	case string(r.Method) == "CONNECT":
		return &Error{Status: 501, Reason: "CONNECT is not supported"}
	default:
		return r.splitTarget()
	}
}

// targetError says why a target that ends before line[end] cannot be.
func targetError(line []byte, end int) *Error {
	switch {
	case end == len(line):
		return bad("request line without a version")
	case line[end] == '#':
		return bad("fragment in the request target")
	case end == 0 && line[end] == ' ':
		return bad("more than one space in the request line")
	default:
		return bad("byte that is not printable ASCII in the request target")
	}
}

// version reads HTTP-version (RFC 9112 2.3), which is eight bytes and case-sensitive.
func (r *Request) version(v []byte) *Error {
	if len(v) != len("HTTP/1.1") || string(v[:5]) != "HTTP/" || v[5]-'0' > 9 || v[6] != '.' || v[7]-'0' > 9 {
		return bad("malformed HTTP version")
	}
	if v[5] != '1' {
		return &Error{Status: 505, Reason: "only HTTP/1.0 and HTTP/1.1 are spoken here"}
	}
	r.Minor = min(int(v[7]-'0'), 1)
	return nil
}

// splitTarget tells the forms of a target apart (RFC 9112 3.2) and sets Path, Query and, for absolute-form, Host.
func (r *Request) splitTarget() *Error {
	r.Path = r.Target
	if r.Target[0] != '/' && (string(r.Target) != "*" || string(r.Method) != "OPTIONS") {
		start := schemeLength(r.Target)
		if start == 0 {
			return bad(`request target is neither a path, an http URL, nor "*" with OPTIONS`)
		}
		rest := r.Target[start:]
		end := 0
		for end < len(rest) && rest[end] != '/' && rest[end] != '?' {
			end++
		}
		r.Host, r.Path = rest[:end], rest[end:]
		if !ValidHost(r.Host) {
			return bad("invalid host in the request target")
		}
	}
	if i := bytes.IndexByte(r.Path, '?'); i >= 0 {
		r.Path, r.Query = r.Path[:i], r.Path[i+1:]
	}
	if len(r.Path) == 0 {
		// An empty path is "/" (RFC 9112 3.2.1); the scheme's own slash saves a constant that somebody could write to.
		i := bytes.IndexByte(r.Target, '/')
		r.Path = r.Target[i : i+1]
	}
	return nil
}

// schemeLength gives the length of "http://" or "https://" at the start of target, else 0.
func schemeLength(target []byte) int {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(target) > len(scheme) && equalFold(target[:len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}
