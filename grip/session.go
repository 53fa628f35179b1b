package grip

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// Session is what an answer says of the session that its client has with the application (Grip-Session-Id). What a
// session has seen last of each channel is told to the application with every request that belongs to it, so that its
// clients need not.
type Session struct {
	ID      string
	Detects []Detect
	Last    []Last // what it has seen by now, as far as the application knows (Grip-Last)
}

// Last is the id of what was seen last of a channel.
type Last struct{ Channel, ID string }

// Field gives the value of Grip-Last.
func (l Last) Field() string { return l.Channel + "; last-id=" + l.ID }

// Detect says how requests below a path tell which session they belong to (Grip-Session-Detect).
type Detect struct {
	Prefix  string // of the path
	Pointer string // to the session's id in a JSON document (RFC 6901)
	Param   string // of a form, whose value is that document; "": the body itself is
}

// readDetect takes a rule from "path-prefix=/poll; sid-ptr=/session; json-param=data".
func (in *Instruct) readDetect(value string) error {
	for _, part := range split(value, ',', false) {
		e := parseElement(";"+part, false)
		var d Detect
		d.Prefix, _ = e.param("path-prefix")
		d.Pointer, _ = e.param("sid-ptr")
		d.Param, _ = e.param("json-param")
		if d.Prefix == "" || !strings.HasPrefix(d.Pointer, "/") {
			return errors.New("Grip-Session-Detect is " + strconv.Quote(value[:min(len(value), 80)]) +
				"; expected path-prefix=/path; sid-ptr=/name, and json-param=name if it is a form")
		}
		in.Session.Detects = append(in.Session.Detects, d)
	}
	return nil
}

func (in *Instruct) readLast(value string) error {
	for _, e := range elements(value) {
		id, has := e.param("last-id")
		if e.value == "" || !has {
			return errors.New("Grip-Last is " + strconv.Quote(value[:min(len(value), 80)]) + "; expected channel; last-id=ID")
		}
		in.Session.Last = append(in.Session.Last, Last{e.value, id})
	}
	return nil
}

// Find gives the id of the session that a request with this body belongs to, "" if it says none.
func (d *Detect) Find(body []byte) string {
	if d.Param != "" {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return ""
		}
		body = []byte(form.Get(d.Param))
	}
	var document any
	if json.Unmarshal(body, &document) != nil {
		return ""
	}
	id, _ := follow(document, d.Pointer).(string)
	return id
}

// follow gives what a JSON pointer leads to (RFC 6901 4), nil if that is nothing.
func follow(value any, pointer string) any {
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for token := range strings.SplitSeq(pointer[1:], "/") {
		switch in := value.(type) {
		case map[string]any:
			value = in[unescape.Replace(token)]
		case []any:
			i, err := strconv.ParseUint(token, 10, 31)
			if err != nil || int(i) >= len(in) || len(token) > 1 && token[0] == '0' {
				return nil
			}
			value = in[i]
		default:
			return nil
		}
	}
	return value
}
