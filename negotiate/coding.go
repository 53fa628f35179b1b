// Package negotiate reads which content codings a client accepts (RFC 9110 12.5.3): for static, which has files that
// were compressed beforehand, and for compress, which compresses answers as they pass.
package negotiate

import (
	"bytes"

	"backline"
)

// Coding is a content coding.
type Coding uint8

// The codings that are served. Identity is none.
const (
	Identity Coding = iota
	Gzip
	Brotli
	Zstd
	codings
)

// String gives the name that stands in Content-Encoding.
func (c Coding) String() string {
	return [...]string{Identity: "identity", Gzip: "gzip", Brotli: "br", Zstd: "zstd"}[c]
}

// Suffix is what the name of a file gets that holds another one in this coding: "app.js.br".
func (c Coding) Suffix() string {
	return [...]string{Identity: "", Gzip: ".gz", Brotli: ".br", Zstd: ".zst"}[c]
}

// Accepted is what a client accepts: a weight for each coding, 0 to 1000 as it stands in q, or notListed.
type Accepted [codings]int16

const notListed = -1

// AcceptEncoding reads the field Accept-Encoding, all lines of it. Without the field, identity alone is accepted: the
// RFC would allow any coding, but clients that do not ask are those that cannot decode.
func AcceptEncoding(fields []backline.Field) Accepted {
	accepted, others := Accepted{notListed, notListed, notListed, notListed}, int16(notListed)
	for _, f := range fields {
		if backline.EqualFold(f.Name, "accept-encoding") {
			for rest := f.Value; len(rest) > 0; {
				var item []byte
				item, rest, _ = bytes.Cut(rest, []byte{','})
				accepted.read(item, &others)
			}
		}
	}
	// What "*" says holds for codings that are not listed; of identity only that it is refused (12.5.3).
	for c := range accepted {
		if accepted[c] == notListed && (others != notListed && c != int(Identity) || others == 0) {
			accepted[c] = others
		}
	}
	return accepted
}

// read takes one element: a coding, perhaps with a weight. One whose weight cannot be read is left out.
func (a *Accepted) read(item []byte, others *int16) {
	name, parameters, _ := bytes.Cut(item, []byte{';'})
	q, ok := weight(bytes.TrimSpace(parameters))
	if !ok {
		return
	}
	switch name = bytes.TrimSpace(name); {
	case string(name) == "*":
		*others = q
	case backline.EqualFold(name, "gzip"), backline.EqualFold(name, "x-gzip"):
		a[Gzip] = q
	case backline.EqualFold(name, "br"):
		a[Brotli] = q
	case backline.EqualFold(name, "zstd"):
		a[Zstd] = q
	case backline.EqualFold(name, "identity"):
		a[Identity] = q
	}
}

// weight reads "q=0.5", or nothing, in thousandths (RFC 9110 12.4.2).
func weight(text []byte) (thousandths int16, ok bool) {
	if len(text) == 0 {
		return 1000, true
	}
	if len(text) < 3 || text[0]|0x20 != 'q' || text[1] != '=' || len(text) > len("q=0.123") {
		return 0, false
	}
	digits := text[2:] // "1", "0.5": at most three digits behind the dot, and no other before it
	if len(digits) > 1 && digits[1] != '.' {
		return 0, false
	}
	unit := int16(1000)
	for i, d := range digits {
		if i == 1 {
			continue
		}
		if d < '0' || d > '9' {
			return 0, false
		}
		thousandths += unit * int16(d-'0')
		unit /= 10
	}
	return thousandths, thousandths <= 1000
}

// Best gives the coding of order that the client likes best; of those it likes equally the first. It is Identity where
// the client prefers that by name, or accepts none: a client that refuses even identity gets what there is, because the
// alternative, 406, would help nobody.
func (a *Accepted) Best(order []Coding) Coding {
	best, most := Identity, max(a[Identity], 0)
	for _, c := range order {
		if a[c] > 0 && (a[c] > most || best == Identity && a[c] == most) {
			best, most = c, a[c]
		}
	}
	return best
}
