package grip

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"backline"
)

// EventsType is the Content-Type of WebSocket-over-HTTP, in both directions.
const EventsType = "application/websocket-events"

// Event is one of WebSocket-over-HTTP: OPEN, TEXT, BINARY, PING, PONG, CLOSE (of two bytes of code and a reason) or
// DISCONNECT.
type Event struct {
	Type    string
	Content []byte // nil: it has none, which is not the same as an empty one
}

// eventTypes are those that there are.
//
//nolint:gochecknoglobals // never written; Go has no constant arrays
var eventTypes = [...]string{"OPEN", "TEXT", "BINARY", "PING", "PONG", "CLOSE", "DISCONNECT"}

// longestEventLine is of BINARY, a space and a length of 64 bits.
const longestEventLine = len("DISCONNECT") + 1 + 16

// ErrEvents says that what was to be read are no events.
var ErrEvents = errors.New("no WebSocket events")

// NextEvent reads the event at the beginning of data, "TYPE\r\n" or "TYPE hexlength\r\ncontent\r\n", and how long it
// is; 0 while it is not whole. What it gives points into data. most bounds a content.
func NextEvent(data []byte, most int) (e Event, used int, err error) {
	end := bytes.Index(data[:min(len(data), longestEventLine+2)], []byte("\r\n"))
	if end < 0 {
		if len(data) >= longestEventLine+2 {
			return e, 0, fmt.Errorf("%w: a line that does not end: %.40q", ErrEvents, data)
		}
		return e, 0, nil
	}
	name, length, sized := bytes.Cut(data[:end], []byte(" "))
	for _, known := range eventTypes {
		if string(name) == known {
			e.Type = known
		}
	}
	if e.Type == "" {
		return e, 0, fmt.Errorf("%w: there is no type %.40q", ErrEvents, name)
	}
	if !sized {
		return e, end + 2, nil
	}
	n, err := parseHex(length)
	if err != nil || n > uint64(most) {
		return Event{}, 0, fmt.Errorf("%w: the length %.40q is no hexadecimal number of at most %d", ErrEvents, length, most)
	}
	begin := end + 2
	stop := begin + int(n)
	if len(data) < stop+2 {
		if len(data) == stop+1 && data[stop] != '\r' {
			return Event{}, 0, fmt.Errorf("%w: a content of %d bytes is longer than that", ErrEvents, n)
		}
		return Event{}, 0, nil
	}
	if data[stop] != '\r' || data[stop+1] != '\n' {
		return Event{}, 0, fmt.Errorf("%w: a content of %d bytes is longer than that", ErrEvents, n)
	}
	e.Content = data[begin:stop:stop]
	return e, stop + 2, nil
}

// parseHex reads digits alone: strconv would take a sign and underscores too.
func parseHex(text []byte) (uint64, error) {
	for _, c := range text {
		if digit(c) < 0 {
			return 0, ErrEvents
		}
	}
	return strconv.ParseUint(string(text), 16, 63)
}

// ParseEvents reads a whole body, of which most bounds each content.
func ParseEvents(body []byte, most int) (all []Event, err error) {
	for len(body) > 0 {
		e, used, err := NextEvent(body, most)
		if err != nil {
			return nil, err
		}
		if used == 0 {
			return nil, fmt.Errorf("%w: the last one is not whole: %.40q", ErrEvents, body)
		}
		all, body = append(all, e), body[used:]
	}
	return all, nil
}

// AppendEvent writes one.
func AppendEvent(dst []byte, e Event) []byte {
	dst = append(dst, e.Type...)
	if e.Content != nil {
		dst = strconv.AppendInt(append(dst, ' '), int64(len(e.Content)), 16)
		dst = append(append(dst, "\r\n"...), e.Content...)
	}
	return append(dst, "\r\n"...)
}

// IsEvents tells whether a field says that a body is of EventsType.
func IsEvents(f backline.Field) bool {
	if len(f.Name) != len("content-type") || !backline.EqualFold(f.Name, "content-type") {
		return false
	}
	value, _, _ := bytes.Cut(f.Value, []byte(";"))
	return backline.EqualFold(bytes.TrimSpace(value), EventsType)
}

// LeastKeepAlive is the shortest Keep-Alive-Interval.
const LeastKeepAlive = 20 * time.Second

// EventsHead is what the header fields of an answer of EventsType say.
type EventsHead struct {
	Grip      bool          // messages may be controls, and others begin with Prefix
	Prefix    string        // "m:" unless the answer names another one
	KeepAlive time.Duration // ask again when nothing has happened for so long; 0: as before
	Accepted  int           // how many bytes of contents count as read; -1: all
	SetMeta   [][2]string   // names in lower case; an empty value takes one away
}

// ReadEventsHead reads them.
func ReadEventsHead(fields []backline.Field) (h EventsHead, err error) {
	h.Accepted = -1
	for _, f := range fields {
		switch name := string(bytes.ToLower(f.Name)); {
		case name == "sec-websocket-extensions":
			for _, e := range elements(string(f.Value)) {
				if e.value == "grip" {
					h.Grip, h.Prefix = true, "m:"
					if prefix, has := e.param("message-prefix"); has {
						h.Prefix = prefix
					}
				}
			}
		case name == "keep-alive-interval":
			if h.KeepAlive, err = seconds("Keep-Alive-Interval", string(f.Value)); err != nil {
				return h, err
			}
			h.KeepAlive = max(h.KeepAlive, LeastKeepAlive)
		case name == "content-bytes-accepted":
			n, err := strconv.ParseUint(string(f.Value), 10, 31)
			if err != nil {
				return h, fmt.Errorf("Content-Bytes-Accepted is %.40q; expected a number", f.Value)
			}
			h.Accepted = int(n)
		case len(name) > len("set-meta-") && name[:len("set-meta-")] == "set-meta-":
			h.SetMeta = append(h.SetMeta, [2]string{name[len("set-meta-"):], string(f.Value)})
		}
	}
	return h, nil
}

// Control is a message of the application's to the edge: TEXT that begins with "c:".
type Control struct {
	Type    string // subscribe, unsubscribe, detach, session, set-meta, keep-alive, send-delayed or flush-delayed
	Channel Channel
	Name    string // of set-meta
	Session string // of session
	Value   string
	Data    []byte        // of keep-alive and send-delayed: a message
	Kind    string        // text, binary, ping or pong: what Data is
	Timeout time.Duration // of the same
	Mode    string        // of keep-alive: idle or interval
}

type control struct {
	content
	Type        string   `json:"type"`
	Channel     string   `json:"channel"`
	PrevID      string   `json:"prev-id"` //nolint:tagliatelle // GRIP's own spelling
	Filters     []string `json:"filters"`
	Name        string   `json:"name"`
	ID          string   `json:"id"`
	Value       text     `json:"value"`
	MessageType string   `json:"message-type"` //nolint:tagliatelle // as above
	Timeout     *float64 `json:"timeout"`
	Mode        string   `json:"mode"`
}

// ParseControl reads one, without its "c:". The error is the application's mistake.
func ParseControl(data []byte) (c Control, err error) {
	var read control
	if err := readJSON(data, &read); err != nil {
		return c, fmt.Errorf("a control message cannot be read: %w", err)
	}
	c = Control{Type: read.Type, Name: read.Name, Value: string(read.Value), Kind: read.MessageType, Mode: read.Mode}
	c.Channel = Channel{Name: read.Channel, PrevID: read.PrevID, Filters: read.Filters}
	switch read.Type {
	case "subscribe", "unsubscribe":
		return c, c.Channel.check()
	case "set-meta":
		if read.Name == "" {
			err = errors.New("set-meta has no name")
		}
	case "keep-alive", "send-delayed":
		err = c.readDelayed(&read)
	case "session":
		c.Session = read.ID
	case "detach", "flush-delayed":
	default:
		err = fmt.Errorf("there is no control message of the type %.40q", read.Type)
	}
	return c, err
}

// readDelayed reads a message that is sent later.
func (c *Control) readDelayed(read *control) (err error) {
	c.Timeout = DefaultTimeout
	if read.Timeout != nil {
		if c.Timeout, err = number(*read.Timeout); err != nil {
			return err
		}
	}
	switch c.Mode {
	case "", "idle", "interval":
	default:
		return fmt.Errorf("%s has the mode %.40q; expected idle or interval", c.Type, c.Mode)
	}
	if c.Kind == "" {
		c.Kind = "text"
		if read.Binary != nil {
			c.Kind = "binary"
		}
	}
	switch c.Kind {
	case "text", "binary", "ping", "pong":
	default:
		return fmt.Errorf("%s has the message-type %.40q; expected text, binary, ping or pong", c.Type, c.Kind)
	}
	c.Data, err = read.bytes()
	if c.Data == nil && err == nil && c.Type == "send-delayed" {
		err = errors.New("send-delayed has neither content nor content-bin")
	}
	return err
}
