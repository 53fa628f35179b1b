// Package compress compresses answers as they pass, for clients that accept it: which answers (plan.go) and how
// (encoder.go). It works on header fields and bytes; sending is somebody else's.
//
// It is for answers that an application makes. Files are compressed beforehand, once, and package static finds them.
package compress

import (
	"bytes"
	"strings"

	"backline"
	"backline/negotiate"
)

// Options are what a Compressor is made of. The zero value of each has a meaning; there are no defaults here.
type Options struct {
	// Codings are those that are used, the best first: of those that a client likes equally, the first is taken.
	Codings []negotiate.Coding
	// Types are the media types worth compressing: "application/json", "text/*", "*+xml". "text/*" leaves
	// text/event-stream out, because each such stream would hold an encoder for as long as it lasts.
	Types []string
	// MinSize is how long a body must be, in bytes, where its length is known. What fits a packet anyway is not worth it.
	MinSize int64
	// Level is how much time is taken for how small a result.
	Level Level
	// Encoders is how many answers are compressed at a time; further ones go out as they are. Each takes one to five MiB.
	Encoders int
}

// Level is a choice between time and size.
type Level uint8

// The levels. What they mean for each coding was chosen by measuring pages and JSON (docs/static-files.md).
const (
	Fast Level = iota
	Balanced
	Small
)

// Plan is what is done about one answer.
type Plan struct {
	// Coding is that of the body as the client gets it; Identity: it stays as it is.
	Coding negotiate.Coding
	// Length is how long the body is before it is compressed; -1: not known.
	Length int64

	varies bool // another client might get it compressed, and caches have to know
}

// Plan decides about an answer by its status, its fields and the length of its body, -1 where it is not known.
func (c *Compressor) Plan(scope *backline.Scope, status int, fields []backline.Field, length int64) Plan {
	plan := Plan{Length: length}
	if status < 200 || status == 204 || status == 205 || status == 206 || status == 304 {
		return plan
	}
	compressible := false
	for _, f := range fields {
		switch {
		case backline.EqualFold(f.Name, "content-type"):
			compressible = c.isWorth(f.Value)
		case backline.EqualFold(f.Name, "content-length"):
			if plan.Length = agreed(f.Value, length, scope); plan.Length < 0 {
				return plan
			}
		case forbids(f):
			return plan
		}
	}
	if !compressible || plan.Length >= 0 && plan.Length < max(c.options.MinSize, 1) {
		return plan
	}
	plan.varies = true // from here on it depends on the client alone
	if string(scope.Method) == "HEAD" && plan.Length < 0 {
		return plan // whether GET's body would be long enough, nobody knows
	}
	accepted := negotiate.AcceptEncoding(scope.Fields)
	plan.Coding = accepted.Best(c.options.Codings)
	return plan
}

// agreed gives the length that Content-Length says; -1 where it is none, or not that of the body: then the answer is
// wrong, and whoever sends it has to notice.
func agreed(value []byte, length int64, scope *backline.Scope) int64 {
	said := int64(0)
	for _, d := range value {
		if d < '0' || d > '9' || said > 1<<53 {
			return -1
		}
		said = 10*said + int64(d-'0')
	}
	if len(value) == 0 || length >= 0 && said != length && string(scope.Method) != "HEAD" {
		return -1
	}
	return said
}

// forbids tells whether a field says that the body must stay as it is: it is compressed already, or a part, or has a
// sum over its bytes, or nobody may touch it (RFC 9111 5.2.2.6).
func forbids(f backline.Field) bool {
	switch {
	case backline.EqualFold(f.Name, "content-encoding"):
		return !backline.EqualFold(bytes.TrimSpace(f.Value), "identity")
	case backline.EqualFold(f.Name, "cache-control"):
		return bytes.Contains(bytes.ToLower(f.Value), []byte("no-transform"))
	case backline.EqualFold(f.Name, "content-range"), backline.EqualFold(f.Name, "content-md5"),
		backline.EqualFold(f.Name, "digest"), backline.EqualFold(f.Name, "content-digest"),
		backline.EqualFold(f.Name, "repr-digest"):
		return true
	}
	return false
}

// isWorth tells whether a media type is one of Types.
func (c *Compressor) isWorth(contentType []byte) bool {
	name, _, _ := bytes.Cut(contentType, []byte{';'})
	given := strings.ToLower(string(bytes.TrimSpace(name)))
	for _, pattern := range c.options.Types {
		before, after, wild := strings.Cut(pattern, "*")
		switch {
		case !wild && given == pattern:
			return true
		case wild && given != "text/event-stream" && len(given) > len(before)+len(after) &&
			strings.HasPrefix(given, before) && strings.HasSuffix(given, after):
			return true
		}
	}
	return false
}

// Fields gives the answer's fields as the plan wants them: a new slice where they change.
func (p *Plan) Fields(fields []backline.Field) []backline.Field {
	if !p.varies {
		return fields
	}
	compressed := p.Coding != negotiate.Identity
	out, varies := make([]backline.Field, 0, len(fields)+2), false
	for _, f := range fields {
		switch {
		case backline.EqualFold(f.Name, "vary"):
			if varies = true; !bytes.Contains(f.Value, []byte("*")) && !hasToken(f.Value, "accept-encoding") {
				f.Value = append(bytes.Clone(f.Value), ", Accept-Encoding"...)
			}
		case !compressed:
		case backline.EqualFold(f.Name, "content-length"), backline.EqualFold(f.Name, "content-encoding"),
			backline.EqualFold(f.Name, "accept-ranges"): // ranges would be those of the other body
			continue
		case backline.EqualFold(f.Name, "etag") && !bytes.HasPrefix(f.Value, []byte("W/")):
			// The same page, but not the same bytes (RFC 9110 8.8.1).
			f.Value = append([]byte("W/"), f.Value...)
		}
		out = append(out, f)
	}
	if compressed {
		out = append(out, backline.Field{Name: []byte("Content-Encoding"), Value: []byte(p.Coding.String())})
	}
	if !varies {
		out = append(out, backline.Field{Name: []byte("Vary"), Value: []byte("Accept-Encoding")})
	}
	return out
}

// hasToken tells whether a list has an element, which is given in lower case.
func hasToken(list []byte, token string) bool {
	for item := range bytes.SplitSeq(list, []byte{','}) {
		if backline.EqualFold(bytes.TrimSpace(item), token) {
			return true
		}
	}
	return false
}
