package static

import (
	"bytes"
	"time"

	"backline"
)

// conditions are the fields of a request that decide which answer a file gives.
type conditions struct {
	ifMatch, ifNoneMatch               []byte
	ifModifiedSince, ifUnmodifiedSince []byte
	ranges, ifRange                    []byte
}

// readConditions looks for them. Lines of a list are joined; of a field that is none, Range above all, a second line
// makes the first worthless.
func readConditions(fields []backline.Field) (c conditions) {
	for _, f := range fields {
		// All of them begin with an i or an r; a browser's twenty others are passed over quickly.
		if len(f.Name) == 0 || f.Name[0]|0x20 != 'i' && f.Name[0]|0x20 != 'r' {
			continue
		}
		switch {
		case backline.EqualFold(f.Name, "if-none-match"):
			c.ifNoneMatch = join(c.ifNoneMatch, f.Value)
		case backline.EqualFold(f.Name, "if-match"):
			c.ifMatch = join(c.ifMatch, f.Value)
		case backline.EqualFold(f.Name, "if-modified-since"):
			c.ifModifiedSince = f.Value
		case backline.EqualFold(f.Name, "if-unmodified-since"):
			c.ifUnmodifiedSince = f.Value
		case backline.EqualFold(f.Name, "range"):
			c.ranges = join(c.ranges, f.Value)
		case backline.EqualFold(f.Name, "if-range"):
			c.ifRange = f.Value
		}
	}
	return c
}

// join adds a line to a list.
func join(list, line []byte) []byte {
	if list == nil {
		return line
	}
	return append(append(bytes.Clone(list), ','), line...)
}

// validators are what a client's conditions are held against. Both are empty where nothing identifies the version.
type validators struct {
	etag         []byte // as in the field ETag, "W/" included
	lastModified []byte // as in the field Last-Modified
	modified     time.Time
}

// status gives the answer that the conditions ask for, in the order of RFC 9110 13.2.2: 412, 304, or 200 where they let
// the request through.
func (c *conditions) status(v *validators) int {
	switch {
	case c.ifMatch != nil && !listed(c.ifMatch, v.etag, strongly),
		c.ifMatch == nil && c.ifUnmodifiedSince != nil && v.modifiedSince(c.ifUnmodifiedSince):
		return 412
	case c.ifNoneMatch != nil && listed(c.ifNoneMatch, v.etag, weakly),
		c.ifNoneMatch == nil && c.ifModifiedSince != nil && v.unmodifiedSince(c.ifModifiedSince):
		return 304
	}
	return 200
}

// wantsRange tells whether the field Range counts: If-Range, where there is one, must name this very version (13.1.5).
func (c *conditions) wantsRange(v *validators) bool {
	switch {
	case c.ranges == nil:
		return false
	case c.ifRange == nil:
		return true
	case bytes.HasPrefix(c.ifRange, []byte{'"'}):
		return bytes.Equal(c.ifRange, v.etag)
	}
	return len(v.lastModified) > 0 && bytes.Equal(c.ifRange, v.lastModified) // a weak tag equals no date
}

// modifiedSince and unmodifiedSince hold a date of the client against the file's. A date that is none makes the whole
// condition void, so both are false then (13.1.3, 13.1.4).
func (v *validators) modifiedSince(date []byte) bool {
	limit, ok := parseDate(date)
	return ok && len(v.lastModified) > 0 && v.modified.Unix() > limit.Unix()
}

func (v *validators) unmodifiedSince(date []byte) bool {
	if len(v.lastModified) > 0 && bytes.Equal(date, v.lastModified) {
		return true // what nearly all clients send
	}
	limit, ok := parseDate(date)
	return ok && len(v.lastModified) > 0 && v.modified.Unix() <= limit.Unix()
}

// parseDate reads the three forms of RFC 9110 5.6.7.
func parseDate(text []byte) (time.Time, bool) {
	for _, layout := range [...]string{imfFixdate, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if date, err := time.Parse(layout, string(text)); err == nil {
			return date, true
		}
	}
	return time.Time{}, false
}

// The two ways to compare entity tags (8.8.3.2).
const (
	weakly   = true
	strongly = false
)

// listed tells whether tag is in a list of entity tags, or the list is "*", which stands for whatever exists.
func listed(list, tag []byte, weak bool) bool {
	list = bytes.Trim(list, " \t")
	if len(list) == 1 && list[0] == '*' {
		return true
	}
	for len(tag) > 0 {
		list = bytes.TrimLeft(list, " \t,")
		one := entityTag(list)
		if one == nil {
			return false // the end, or something that is no tag: what follows it cannot be told apart
		}
		if sameTag(one, tag, weak) {
			return true
		}
		list = list[len(one):]
	}
	return false
}

// entityTag gives the tag at the beginning of text, nil where there is none. What is between the quotes has no quotes.
func entityTag(text []byte) []byte {
	start := 0
	if bytes.HasPrefix(text, []byte("W/")) {
		start = 2
	}
	if start >= len(text) || text[start] != '"' {
		return nil
	}
	end := bytes.IndexByte(text[start+1:], '"')
	if end < 0 {
		return nil
	}
	return text[:start+end+2]
}

func sameTag(a, b []byte, weak bool) bool {
	if weak {
		a, b = bytes.TrimPrefix(a, []byte("W/")), bytes.TrimPrefix(b, []byte("W/"))
	}
	return bytes.Equal(a, b) && a[0] == '"'
}
