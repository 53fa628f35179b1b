package static

import (
	"strings"

	"backline"
)

// Answer is what to answer. Whoever sends it calls Close when the last byte has left, or when no more will.
type Answer struct {
	Status int
	// Fields are the header fields but for those of the connection, Date, Server and Content-Length. They must not be
	// changed, and may be kept.
	Fields []backline.Field
	// Length is how long the body is, or would be if the request were not HEAD; -1 where the status allows none.
	Length int64
	// Parts make up the body, in order; none for HEAD.
	Parts []Part

	file *File
	one  [1]Part
}

// Part is a piece of a body: bytes, or where File is set, Length bytes of it from Offset on.
type Part struct {
	Data   []byte
	File   *File
	Offset int64
	Length int64
}

// Close lets go of the file. It may be called for nil, and twice.
func (a *Answer) Close() {
	if a != nil && a.file != nil {
		a.file.release()
		a.file, a.Parts = nil, nil
	}
}

// whole makes the file, from offset on, the body.
func (a *Answer) whole(offset, length int64) {
	a.Length = length
	a.one[0] = Part{File: a.file, Offset: offset, Length: length}
	a.Parts = a.one[:]
}

// find gives the value of the field of that name (lower case); nil where there is none.
func (a *Answer) find(name string) []byte {
	for _, f := range a.Fields {
		if backline.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return nil
}

// set gives the answer a field of its own, in the place of one that it may share with others.
func (a *Answer) set(name string, value []byte) {
	fields := make([]backline.Field, 0, len(a.Fields)+1)
	for _, f := range a.Fields {
		if !backline.EqualFold(f.Name, strings.ToLower(name)) {
			fields = append(fields, f)
		}
	}
	fields = append(fields, backline.Field{Name: []byte(name), Value: value})
	a.Fields = fields
}

// instead makes the answer another one, which has no file.
func (a *Answer) instead(other *Answer) {
	a.Close()
	*a = *other
	a.Parts = a.one[:]
}

// plain is an answer of our own, with a sentence for people.
func plain(status int, text string, more ...backline.Field) *Answer {
	a := &Answer{Status: status, Fields: more, Length: int64(len(text))}
	a.Fields = append(a.Fields, backline.Field{Name: []byte("Content-Type"), Value: []byte("text/plain; charset=utf-8")})
	a.one[0] = Part{Data: []byte(text), Length: a.Length}
	a.Parts = a.one[:]
	return a
}
