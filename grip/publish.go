package grip

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"

	"backline"
	"backline/channel"
)

// Item is one publication and where it goes.
type Item struct {
	Channel     string
	Publication *channel.Publication
	Digest      uint64 // of all that was sent, where it has an id: the same publication sent again has the same
	Unordered   bool   // it waits for none before it, and none waits for it (no-seq)
}

type publication struct {
	Items []json.RawMessage `json:"items"`
}

type item struct {
	Channel string          `json:"channel"`
	ID      string          `json:"id"`
	PrevID  string          `json:"prev-id"` //nolint:tagliatelle // GRIP's own spelling
	Meta    map[string]text `json:"meta"`
	NoSeq   bool            `json:"no-seq"` //nolint:tagliatelle // as above
	Formats *formats        `json:"formats"`
	formats                 // as Python's pubcontrol has them: directly
}

type formats struct {
	Response *answer  `json:"http-response"` //nolint:tagliatelle // as above
	Stream   *piece   `json:"http-stream"`   //nolint:tagliatelle // as above
	Socket   *message `json:"ws-message"`    //nolint:tagliatelle // as above
}

type answer struct {
	action
	response
}

type piece struct {
	action
	content
}

type message struct {
	action
	content
	Type   string `json:"type"`
	Code   *int   `json:"code"` // and Reason: of close
	Reason string `json:"reason"`
}

type action struct {
	Action  string   `json:"action"`
	Filters []string `json:"content-filters"` //nolint:tagliatelle // as above
}

// ParsePublish reads what is POSTed to /publish/. The error is the publisher's mistake; then nothing is published.
func ParsePublish(body []byte) ([]Item, error) {
	var read publication
	if err := readJSON(body, &read); err != nil {
		return nil, fmt.Errorf("the publication cannot be read: %w", err)
	}
	if len(read.Items) == 0 {
		return nil, errors.New(`there is nothing to publish; expected {"items": [{"channel": ..., "formats": {...}}]}`)
	}
	items := make([]Item, 0, len(read.Items))
	for i, raw := range read.Items {
		var each item
		if err := readJSON(raw, &each); err != nil {
			return nil, fmt.Errorf("item %d: the publication cannot be read: %w", i, err)
		}
		p, err := each.publication()
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		one := Item{Channel: each.Channel, Publication: p, Unordered: each.NoSeq}
		if p.ID != "" {
			hash := fnv.New64a()
			_, _ = hash.Write(raw)
			one.Digest = hash.Sum64()
		}
		items = append(items, one)
	}
	return items, nil
}

func (i *item) publication() (*channel.Publication, error) {
	if i.Channel == "" {
		return nil, errors.New("it has no channel")
	}
	p := &channel.Publication{ID: i.ID, PrevID: i.PrevID}
	for key, value := range i.Meta {
		if p.Meta == nil {
			p.Meta = map[string]string{}
		}
		p.Meta[key] = string(value)
	}
	f := &i.formats
	if i.Formats != nil {
		f = i.Formats
	}
	if f.Response == nil && f.Stream == nil && f.Socket == nil {
		return nil, errors.New("it has none of the formats http-response, http-stream and ws-message")
	}
	return p, errors.Join(f.Response.add(p), f.Stream.add(p), f.Socket.add(p))
}

// apply notes a form's filters, and what is to happen to those who wait for it in place of sending; and tells whether
// that is all.
func (a *action) apply(p *channel.Publication, form channel.Forms) (all bool, err error) {
	for _, f := range a.Filters {
		if !known(f) {
			return false, fmt.Errorf("there is no filter %.40q", f)
		}
	}
	if len(a.Filters) > 0 {
		if p.Filters == nil {
			p.Filters = &channel.Filters{}
		}
		switch form {
		case channel.FormResponse:
			p.Filters.Response = a.Filters
		case channel.FormStream:
			p.Filters.Stream = a.Filters
		default:
			p.Filters.Socket = a.Filters
		}
	}
	switch a.Action {
	case "", "send":
		return false, nil
	case "close":
		p.Close |= form
	case "hint", "refresh":
		p.Refresh |= form
	default:
		return false, fmt.Errorf("the action is %.40q; expected send, close, hint or refresh", a.Action)
	}
	return true, nil
}

func (a *answer) add(p *channel.Publication) error {
	if a == nil {
		return nil
	}
	if all, err := a.apply(p, channel.FormResponse); all || err != nil {
		return err
	}
	body, err := decode(a.Body, a.BodyBin)
	if err != nil {
		return err
	}
	patches := len(a.BodyPatch) > 0 && string(a.BodyPatch) != "null"
	if patches {
		if err := checkPatch(a.BodyPatch); err != nil {
			return err
		}
		body = a.BodyPatch
	}
	status := 200
	if a.Code != nil {
		status = *a.Code
	}
	p.Response = &channel.Response{Status: status, Reason: a.Reason, Header: a.Headers, Body: body, Patches: patches}
	return CheckResponse(p.Response)
}

// CheckResponse tells whether an answer can be sent.
func CheckResponse(r *channel.Response) error {
	if r.Status < 200 || r.Status > 999 {
		return fmt.Errorf("the code is %d; expected a number of three digits, from 200 on", r.Status)
	}
	for _, f := range r.Header {
		if !backline.ValidFieldName([]byte(f[0])) || !backline.ValidFieldValue([]byte(f[1])) {
			return fmt.Errorf("the header field %.80q: %.80q is not valid (RFC 9110 5.1, 5.5)", f[0], f[1])
		}
	}
	if !backline.ValidFieldValue([]byte(r.Reason)) {
		return fmt.Errorf("the reason %.80q has a control character", r.Reason)
	}
	return nil
}

func (s *piece) add(p *channel.Publication) error {
	if s == nil {
		return nil
	}
	if all, err := s.apply(p, channel.FormStream); all || err != nil {
		return err
	}
	data, err := s.bytes()
	if data == nil && err == nil {
		err = errors.New("http-stream has neither content nor content-bin")
	}
	p.Stream = data
	return err
}

func (m *message) add(p *channel.Publication) error {
	if m == nil {
		return nil
	}
	if all, err := m.apply(p, channel.FormSocket); all || err != nil {
		return errors.Join(err, m.farewell(p))
	}
	data, err := m.bytes()
	switch m.Type {
	case "", "text", "binary":
	case "ping", "pong":
		if len(data) > channel.MaxControl {
			return fmt.Errorf("a ws-message of the type %s has %d bytes; at most %d are allowed",
				m.Type, len(data), channel.MaxControl)
		}
		p.Socket = &channel.SocketMessage{Data: data, Control: m.Type}
		return err
	default:
		return fmt.Errorf("a ws-message has the type %.40q; expected text, binary, ping or pong", m.Type)
	}
	p.Socket = &channel.SocketMessage{Data: data, Text: m.Type == "text" || m.Type == "" && m.Binary == nil}
	return err
}

// leastCode and mostCode are what close codes may be (RFC 6455 7.4.2), and longestReason what a frame has room for.
const (
	leastCode, mostCode = 1000, 4999
	longestReason       = channel.MaxControl - 2
)

// farewell reads how WebSockets are closed.
func (m *message) farewell(p *channel.Publication) error {
	if !p.Close.Has(channel.FormSocket) || m.Code == nil && m.Reason == "" {
		return nil
	}
	f := &channel.Farewell{Code: leastCode, Reason: m.Reason}
	if m.Code != nil {
		f.Code = *m.Code
	}
	switch {
	case f.Code < leastCode || f.Code > mostCode:
		return fmt.Errorf("a ws-message closes with the code %d; expected one from %d to %d", f.Code, leastCode, mostCode)
	case len(f.Reason) > longestReason:
		return fmt.Errorf("a ws-message closes with a reason of %d bytes; at most %d are allowed",
			len(f.Reason), longestReason)
	}
	p.Farewell = f
	return nil
}
