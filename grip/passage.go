package grip

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"backline"
	"backline/channel"
)

// The filters that ask somebody about each publication, and where a listener's meta says whom.
const (
	httpCheck  = "http-check"
	httpModify = "http-modify"
	metaURL    = "url"
)

// Asks tells whether a filter of the channel asks about what is published to it.
func (c *Channel) Asks() bool {
	for _, f := range c.Filters {
		if f == httpCheck || f == httpModify {
			return true
		}
	}
	return false
}

// Asks tells the same of a channel's name.
func (l *Listener) Asks(name string) bool {
	c := l.find(name)
	return c != nil && c.Asks()
}

// Passage is a publication's content on its way through the filters of a channel, one after the other, because some ask
// and have to be waited for.
type Passage struct {
	Content []byte

	left   []string // the filters that it has not come to
	modify bool     // the one that asks may put other content in its place
}

// Question is a POST with which a filter asks.
type Question struct {
	URL    string
	Fields [][2]string
	Body   []byte
	Modify bool // the answer's body counts
}

// Enter begins a passage. Whether the publication is for the listener at all, Wants tells.
func (l *Listener) Enter(name string, content []byte) Passage {
	p := Passage{Content: content}
	if c := l.find(name); c != nil {
		p.left = c.Filters
	}
	return p
}

// Next goes on to the next filter that asks, and gives what it asks with; asks is false where the content has come
// through all. An error means that the publication is not delivered.
func (p *Passage) Next(l *Listener, what *channel.Publication) (q Question, asks bool, err error) {
	for len(p.left) > 0 {
		name := p.left[0]
		if name == httpCheck || name == httpModify {
			p.modify = name == httpModify
			q, err = p.question(l, what)
			return q, true, err
		}
		p.left = p.left[1:]
		if p.Content, err = l.render([]string{name}, p.Content); err != nil {
			return q, false, err
		}
	}
	return q, false, nil
}

func (p *Passage) question(l *Listener, what *channel.Publication) (Question, error) {
	q := Question{URL: l.Meta[metaURL], Modify: p.modify}
	if q.URL == "" {
		return q, fmt.Errorf("the filter %s has no URL: Grip-Set-Meta has no %s", p.left[0], metaURL)
	}
	if p.modify {
		q.Body = p.Content
	}
	q.Fields = [][2]string{{"Sub-Meta", object(l.Meta)}, {"Pub-Meta", object(what.Meta)}}
	return q, nil
}

// Take goes on with the answer to the last question. sent is false where the publication is to be left out; an error
// means the same, and that it was no answer to the question.
func (p *Passage) Take(status int, fields []backline.Field, body []byte) (sent bool, err error) {
	if status != 200 && status != 204 {
		return false, fmt.Errorf("it is answered with %d; expected 200 or 204", status)
	}
	if len(p.left) == 0 {
		return false, errors.New("nothing was asked")
	}
	p.left = p.left[1:]
	for _, f := range fields {
		if backline.EqualFold(f.Name, "action") && string(f.Value) == "drop" {
			return false, nil
		}
	}
	if p.modify && status == 200 {
		p.Content = body
	}
	return true, nil
}

// object writes names and values as JSON of nothing but printable ASCII, to stand in a header field.
func object(values map[string]string) string {
	if len(values) == 0 {
		return "{}"
	}
	data, err := json.Marshal(values)
	if err != nil {
		return "{}" // it has nothing but strings, of which JSON can write every one
	}
	out := make([]byte, 0, len(data))
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		data = data[n:]
	}
	return string(out)
}
