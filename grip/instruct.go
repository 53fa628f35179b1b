package grip

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"backline"
	"backline/channel"
)

// Mode is what becomes of an answer.
type Mode uint8

const (
	// Pass hands it on, once followed to its end if it has a next link.
	Pass Mode = iota
	// Response keeps all of it until something is published or time is up (a long poll).
	Response
	// Stream hands it on and leaves it open for what is published.
	Stream
)

// Instruct is what an answer tells the edge to do with it.
type Instruct struct {
	Mode      Mode
	Channels  []Channel
	Timeout   time.Duration // of a Response: then Answer is sent
	KeepAlive KeepAlive
	Next      Link // what comes behind the body, or is asked for when something has been missed
	Gone      string
	Meta      map[string]string
	Session   Session
	Cursor    uint64 // what was published after it counts as not yet seen; 0: the request's own
	Since     *Since // of a stream of events whose client may go on from where it was; nil: it begins now
	Answer    channel.Response
}

// Channel is one whose publications are waited for.
type Channel struct {
	Name, PrevID string
	Filters      []string
}

// KeepAlive is what is sent on a stream on which nothing happens.
type KeepAlive struct {
	Data     []byte
	Timeout  time.Duration // 0: nothing is sent
	Interval bool          // also when other things are sent meanwhile
}

// Link is a URI that the edge asks the application for by itself.
type Link struct {
	URI     string
	Timeout time.Duration // a stream on which nothing has happened for so long is brought up to date by it
}

// Defaults and limits, as Pushpin has them.
const (
	DefaultTimeout = 55 * time.Second
	LeastTimeout   = 5 * time.Second
	nextTimeout    = 120 * time.Second
	maxFilters     = 5
	longest        = 24 * time.Hour
)

// CursorField is the answer's field for a cursor of the application's own.
const CursorField = "Backline-Cursor"

// ContentType is that of an answer whose body is the instruction.
const ContentType = "application/grip-instruct"

// Present tells whether an answer says anything to the edge. It is asked for every answer, so it looks at first
// letters, and at what may be a Content-Type.
func Present(fields []backline.Field) bool {
	for i := range fields {
		name := fields[i].Name
		if len(name) < len("Grip-x") {
			continue
		}
		switch name[0] | 0x20 {
		case 'g':
			if Reserved(name) {
				return true
			}
		case 'c':
			if len(name) == len("Content-Type") && isInstruct(fields[i]) {
				return true
			}
		}
	}
	return false
}

// Reserved tells whether a field is between the application and the edge: clients neither send nor see it.
func Reserved(name []byte) bool {
	return len(name) > len("grip-") && backline.EqualFold(name[:len("grip-")], "grip-")
}

func isInstruct(f backline.Field) bool {
	value, _, _ := strings.Cut(string(f.Value), ";")
	return strings.EqualFold(strings.TrimSpace(value), ContentType) && backline.EqualFold(f.Name, "content-type")
}

// Read gives an answer's instruction, of which nothing aliases what it is made of. The error is the application's
// mistake.
func Read(status int, reason []byte, fields []backline.Field, body []byte) (*Instruct, error) {
	in := &Instruct{Answer: channel.Response{Status: status, Reason: string(reason)}}
	var expose []string
	instructed := false
	for _, f := range fields {
		if Reserved(f.Name) {
			name := strings.ToLower(string(f.Name[len("grip-"):]))
			if name == "expose-headers" {
				for _, e := range elements(string(f.Value)) {
					expose = append(expose, e.value)
				}
			} else if err := in.readField(name, string(f.Value)); err != nil {
				return nil, err
			}
			continue
		}
		if backline.EqualFold(f.Name, "backline-since") {
			in.Since = &Since{Last: string(f.Value)}
			continue
		}
		if backline.EqualFold(f.Name, "backline-cursor") {
			var err error
			if in.Cursor, err = strconv.ParseUint(string(f.Value), 10, 64); err != nil {
				return nil, fmt.Errorf("%s is %.40q; expected the number in backline.cursor", CursorField, f.Value)
			}
			continue
		}
		instructed = instructed || isInstruct(f)
		in.Answer.Header = append(in.Answer.Header, [2]string{string(f.Name), string(f.Value)})
	}
	in.expose(expose)
	if instructed {
		if err := in.readBody(status, body); err != nil {
			return nil, err
		}
	} else {
		in.Answer.Body = append([]byte(nil), body...)
	}
	return in, in.check()
}

// expose leaves only these fields in the answer, where any are named.
func (in *Instruct) expose(names []string) {
	if len(names) == 0 {
		return
	}
	kept := in.Answer.Header[:0]
	for _, f := range in.Answer.Header {
		for _, name := range names {
			if strings.EqualFold(f[0], name) {
				kept = append(kept, f)
				break
			}
		}
	}
	in.Answer.Header = kept
}

func (in *Instruct) readField(name, value string) (err error) {
	switch name {
	case "hold":
		in.Mode, err = mode(value)
	case "channel":
		for _, e := range elements(value) {
			in.Channels = append(in.Channels, e.channel())
		}
	case "session-id":
		in.Session.ID = value
	case "session-detect":
		err = in.readDetect(value)
	case "last":
		err = in.readLast(value)
	case "timeout":
		in.Timeout, err = seconds("Grip-Timeout", value)
	case "keep-alive":
		err = in.readKeepAlive(value)
	case "link":
		for _, e := range elements(value) {
			if err = in.readLink(&e); err != nil {
				return err
			}
		}
	case "status":
		code, reason, _ := strings.Cut(value, " ")
		in.Answer.Status, err = strconv.Atoi(code)
		in.Answer.Reason = reason
		if err != nil {
			err = fmt.Errorf("Grip-Status is %.40q; expected a status code, and a reason behind it", value)
		}
	case "set-meta":
		for _, part := range split(value, ',', false) {
			key, text, found := strings.Cut(part, "=")
			if !found {
				return fmt.Errorf("Grip-Set-Meta is %.80q; expected name=\"value\"", value)
			}
			in.setMeta(strings.TrimSpace(key), unquote(strings.TrimSpace(text)))
		}
	}
	return err // of other fields nothing is known, and nothing goes to the client
}

func (in *Instruct) setMeta(key, value string) {
	if in.Meta == nil {
		in.Meta = map[string]string{}
	}
	in.Meta[key] = value
}

func mode(text string) (Mode, error) {
	switch text {
	case "response":
		return Response, nil
	case "stream":
		return Stream, nil
	}
	return Pass, fmt.Errorf("the hold is %.40q; expected response or stream", text)
}

func seconds(what, text string) (time.Duration, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s is %.40q; expected a number of seconds", what, text)
	}
	return min(time.Duration(n)*time.Second, longest), nil
}

func (e *element) channel() Channel {
	c := Channel{Name: e.value}
	c.PrevID, _ = e.param("prev-id")
	for _, p := range e.params {
		if p[0] == "filter" {
			c.Filters = append(c.Filters, p[1])
		}
	}
	return c
}

func (in *Instruct) readKeepAlive(value string) (err error) {
	e := parseElement(value, false)
	k := &in.KeepAlive
	switch format, _ := e.param("format"); format {
	case "", "raw":
		k.Data = []byte(e.value)
	case "cstring":
		k.Data, err = cstring(e.value)
	case "base64":
		k.Data, err = base64.StdEncoding.DecodeString(e.value)
	default:
		err = fmt.Errorf("Grip-Keep-Alive has the format %.40q; expected raw, cstring or base64", format)
	}
	if err != nil {
		return err
	}
	switch mode, _ := e.param("mode"); mode {
	case "", "idle":
	case "interval":
		k.Interval = true
	default:
		return fmt.Errorf("Grip-Keep-Alive has the mode %.40q; expected idle or interval", mode)
	}
	k.Timeout = DefaultTimeout
	if text, has := e.param("timeout"); has {
		k.Timeout, err = seconds("the timeout of Grip-Keep-Alive", text)
	}
	if len(k.Data) == 0 && err == nil {
		err = errors.New("Grip-Keep-Alive has nothing to send")
	}
	return err
}

func (in *Instruct) readLink(e *element) (err error) {
	uri := e.value
	if len(uri) <= 2 || uri[0] != '<' || uri[len(uri)-1] != '>' {
		return fmt.Errorf("Grip-Link is %.80q; expected </path>; rel=next", uri)
	}
	uri = uri[1 : len(uri)-1]
	switch rel, _ := e.param("rel"); rel {
	case "next":
		in.Next = Link{URI: uri, Timeout: nextTimeout}
		if text, has := e.param("timeout"); has {
			in.Next.Timeout, err = seconds("the timeout of Grip-Link", text)
		}
	case "gone":
		in.Gone = uri
	}
	return err
}

// check looks at the whole.
func (in *Instruct) check() error {
	if in.Timeout == 0 {
		in.Timeout = DefaultTimeout
	}
	in.Timeout = max(in.Timeout, LeastTimeout)
	if s := in.Answer.Status; s < 200 || s > 999 {
		return fmt.Errorf("the status is %d; expected a number of three digits, from 200 on", s)
	}
	if in.Mode != Pass && len(in.Channels) == 0 {
		return errors.New("an answer is to be held, and no Grip-Channel says for what")
	}
	for i := range in.Channels {
		if err := in.Channels[i].check(); err != nil {
			return err
		}
	}
	if err := in.checkSince(); err != nil {
		return err
	}
	for _, f := range in.Answer.Header {
		if !backline.ValidFieldName([]byte(f[0])) || !backline.ValidFieldValue([]byte(f[1])) {
			return fmt.Errorf("the header field %.80q: %.80q is not valid (RFC 9110 5.1, 5.5)", f[0], f[1])
		}
	}
	if !backline.ValidFieldValue([]byte(in.Answer.Reason)) {
		return fmt.Errorf("the reason %.80q has a control character", in.Answer.Reason)
	}
	return nil
}

func (c *Channel) check() error {
	if c.Name == "" {
		return errors.New("a channel has no name")
	}
	if len(c.Filters) > maxFilters {
		return fmt.Errorf("the channel %.80q has %d filters; at most %d are allowed", c.Name, len(c.Filters), maxFilters)
	}
	for _, f := range c.Filters {
		if !known(f) {
			return fmt.Errorf("the channel %.80q has the filter %.40q; known are %s",
				c.Name, f, strings.Join(filters[:], ", "))
		}
	}
	return nil
}

// Resumes tells whether a channel names what has been seen last. A stream must then have a Next too, its own or that of
// the one it goes on from.
func (in *Instruct) Resumes() bool {
	return slices.ContainsFunc(in.Channels, func(c Channel) bool { return c.PrevID != "" })
}

// Names gives the channels' names.
func (in *Instruct) Names() []string {
	names := make([]string, len(in.Channels))
	for i := range in.Channels {
		names[i] = in.Channels[i].Name
	}
	return names
}
