package grip

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"backline/channel"
)

// filters are those that a channel, or a publication, may name.
//
//nolint:gochecknoglobals // never written; Go has no constant arrays
var filters = [...]string{"skip-self", "skip-users", "require-sub", "build-id", "var-subst", httpCheck, httpModify}

func known(filter string) bool { return slices.Contains(filters[:], filter) }

// Features is what a request tells the application of what the edge can do.
const Features = "status, session, link:next, link:gone, filter:skip-self, filter:skip-users, filter:require-sub, " +
	"filter:build-id, filter:var-subst, filter:http-check, filter:http-modify"

// Listener is what filters know of whoever gets a publication.
type Listener struct {
	Channels []Channel // PrevID is what each has seen last
	Meta     map[string]string
}

func (l *Listener) find(name string) *Channel {
	for i := range l.Channels {
		if l.Channels[i].Name == name {
			return &l.Channels[i]
		}
	}
	return nil
}

// Forget takes a channel out.
func (l *Listener) Forget(name string) {
	l.Channels = slices.DeleteFunc(l.Channels, func(c Channel) bool { return c.Name == name })
}

// Filters tells whether Render may change a form of what is published.
func (l *Listener) Filters(name string, p *channel.Publication, form channel.Forms) bool {
	c := l.find(name)
	return len(p.Filters.Of(form)) > 0 || c != nil && len(c.Filters) > 0
}

// Wants tells whether a publication to a channel is for this listener, by the channel's filters.
func (l *Listener) Wants(name string, p *channel.Publication) bool {
	c := l.find(name)
	if c == nil {
		return false
	}
	user := l.Meta["user"]
	for _, f := range c.Filters {
		switch f {
		case "skip-self":
			if user != "" && p.Meta["sender"] == user {
				return false
			}
		case "skip-users":
			if user != "" && listed(p.Meta["skip_users"], user) {
				return false
			}
		case "require-sub":
			if required := p.Meta["require_sub"]; required != "" && l.find(required) == nil {
				return false
			}
		}
	}
	return true
}

func listed(list, one string) bool {
	for each := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(each) == one {
			return true
		}
	}
	return false
}

// Render gives the content of a form as this listener sees it, by the form's filters, or where it names none the
// channel's.
func (l *Listener) Render(name string, p *channel.Publication, form channel.Forms, data []byte) ([]byte, error) {
	names := p.Filters.Of(form)
	if c := l.find(name); len(names) == 0 && c != nil {
		names = c.Filters
	}
	return l.render(names, data)
}

// RenderBody does the same for an answer of the application's: where a channel builds ids, they stand in it too.
func (l *Listener) RenderBody(data []byte) ([]byte, error) {
	for i := range l.Channels {
		if slices.Contains(l.Channels[i].Filters, "build-id") {
			return l.render([]string{"build-id"}, data)
		}
	}
	return data, nil
}

func (l *Listener) render(names []string, data []byte) (_ []byte, err error) {
	for _, f := range names {
		switch f {
		case "build-id":
			data, err = l.buildID(data)
		case "var-subst":
			data, err = format(data, func(directive byte, argument string, has bool) (string, error) {
				value, set := l.Meta[argument]
				if directive != 's' || !has || !set {
					return "", fmt.Errorf("%%(%.40s)%c is no variable of this listener's", argument, directive)
				}
				return value, nil
			})
		case httpCheck, httpModify:
			err = fmt.Errorf("%s is wanted by the publication, and is no filter of the channel", f)
		}
		if err != nil {
			return nil, err
		}
	}
	return data, nil
}

// buildID puts the id in place of each %I that the listener is to ask from next time.
func (l *Listener) buildID(data []byte) ([]byte, error) {
	id, err := format([]byte(l.Meta["id_format"]), func(directive byte, argument string, has bool) (string, error) {
		c := l.find(argument)
		if directive != 's' || !has || c == nil {
			return "", fmt.Errorf("id_format names %%(%.80s)%c, which is no channel of this listener's", argument, directive)
		}
		return c.PrevID, nil
	})
	if err != nil {
		return nil, err
	}
	return format(data, func(directive byte, argument string, has bool) (string, error) {
		if directive != 'I' {
			return "", fmt.Errorf("%%%c in content whose filter is build-id; expected %%I or %%%%", directive)
		}
		value := string(id)
		if has {
			value = argument
		}
		if l.Meta["id_encoding"] == "hex" {
			value = hex.EncodeToString([]byte(value))
		}
		return value, nil
	})
}

// format replaces %X and %(argument)X by what fill gives, and %% by one of them.
func format(data []byte, fill func(directive byte, argument string, has bool) (string, error)) ([]byte, error) {
	var out []byte
	for i := 0; i < len(data); i++ {
		if data[i] != '%' {
			out = append(out, data[i])
			continue
		}
		i++
		if i < len(data) && data[i] == '%' {
			out = append(out, '%')
			continue
		}
		argument, has := "", false
		if i < len(data) && data[i] == '(' {
			end := bytes.IndexByte(data[i:], ')')
			if end < 0 {
				return nil, fmt.Errorf("a %%( without its end: %.80q", data[i-1:])
			}
			argument, has = string(data[i+1:i+end]), true
			i += end + 1
		}
		if i >= len(data) {
			return nil, fmt.Errorf("a %% at the end of what is to be filled in: %.80q", data)
		}
		value, err := fill(data[i], argument, has)
		if err != nil {
			return nil, err
		}
		out = append(out, value...)
	}
	return out, nil
}
