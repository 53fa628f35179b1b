package forwarded

import (
	"bytes"
	"slices"

	"backline"
)

// list gives the elements of a comma-separated field (RFC 9110 5.6.1) from the last to the first. Several fields of the
// name are one list, in their order.
type list struct {
	fields []backline.Field // those that have not been begun
	name   name
	rest   []byte // of the field under way
	given  int
}

// maxElements is how far a list is followed: longer chains of proxies do not exist, but a head of 64 KiB has room for
// 30,000 elements, which a client could make us look up with every request where everybody is believed.
const maxElements = 100

// next gives the element before the last one given; ok is false at the list's beginning. Empty elements are skipped, as
// RFC 9110 5.6.1.2 asks for. An element that no comma could be found for, because of an odd quote, is given with all
// that is before it: parsing it will fail.
func (l *list) next() (element []byte, ok bool) {
	for l.given < maxElements {
		for len(l.rest) == 0 {
			if ok := l.nextField(); !ok {
				return nil, false
			}
		}
		l.rest, element = cutLast(l.rest, l.name == rfc7239)
		if element = trim(element); len(element) > 0 {
			l.given++
			return element, true
		}
	}
	return nil, false
}

func (l *list) nextField() bool {
	for len(l.fields) > 0 {
		last := l.fields[len(l.fields)-1]
		l.fields = l.fields[:len(l.fields)-1]
		if lookup(last.Name) == l.name {
			l.rest = last.Value
			return true
		}
	}
	return false
}

// cutLast splits off what follows the last comma; with quotes, the last one that is not inside a quoted string.
func cutLast(b []byte, quotes bool) (rest, last []byte) {
	if !quotes {
		comma := bytes.LastIndexByte(b, ',')
		return b[:max(comma, 0)], b[comma+1:]
	}
	quoted := false
	for i, c := range slices.Backward(b) {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return b[:i], b[i+1:]
		}
	}
	return nil, b
}

// nth gives the element that n proxies have left to the right of it, or the first where the list is shorter. n counts
// from 1.
func nth(fields []backline.Field, field name, n int) (found []byte) {
	l := list{fields: fields, name: field}
	for range n {
		element, ok := l.next()
		if !ok {
			break
		}
		found = element
	}
	return found
}

// trim removes OWS (RFC 9110 5.6.3).
func trim(b []byte) []byte { return bytes.Trim(b, " \t") }
