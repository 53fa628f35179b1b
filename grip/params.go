package grip

import (
	"fmt"
	"strings"
)

// element is one of a list's: a value, and parameters behind semicolons.
type element struct {
	value  string
	params [][2]string
}

// param gives the first parameter of a name.
func (e *element) param(name string) (string, bool) {
	for _, p := range e.params {
		if p[0] == name {
			return p[1], true
		}
	}
	return "", false
}

// split cuts text at a separator that stands neither in quotes nor, if links is true, between angle brackets.
func split(text string, separator byte, links bool) (parts []string) {
	start, quoted, linked := 0, false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !linked:
			quoted = !quoted
		case quoted:
		case links && c == '<':
			linked = true
		case links && c == '>':
			linked = false
		case c == separator && !linked:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// elements takes a field's value apart: a list of values with parameters.
func elements(text string) (all []element) {
	for _, part := range split(text, ',', true) {
		if strings.TrimSpace(part) != "" {
			all = append(all, parseElement(part, true))
		}
	}
	return all
}

func parseElement(text string, links bool) element {
	parts := split(text, ';', links)
	e := element{value: unquote(strings.TrimSpace(parts[0]))}
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		e.params = append(e.params, [2]string{strings.TrimSpace(name), unquote(strings.TrimSpace(value))})
	}
	return e
}

// unquote gives a quoted string's content, anything else as it is.
func unquote(text string) string {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return text
	}
	text = text[1 : len(text)-1]
	if !strings.Contains(text, `\`) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// cstring undoes the escapes of Grip-Keep-Alive's format of that name.
func cstring(text string) ([]byte, error) {
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out = append(out, text[i])
			continue
		}
		if i++; i == len(text) {
			return nil, fmt.Errorf("a cstring ends with a backslash: %.80q", text)
		}
		switch text[i] {
		case '\\':
			out = append(out, '\\')
		case 'r':
			out = append(out, '\r')
		case 'n':
			out = append(out, '\n')
		case 'x':
			if i+2 >= len(text) {
				return nil, fmt.Errorf("\\x without two digits in a cstring: %.80q", text)
			}
			high, low := digit(text[i+1]), digit(text[i+2])
			if high < 0 || low < 0 {
				return nil, fmt.Errorf("\\x without two digits in a cstring: %.80q", text)
			}
			out = append(out, byte(high<<4|low))
			i += 2
		default:
			return nil, fmt.Errorf("\\%c in a cstring; expected \\\\, \\r, \\n or \\xHH: %.80q", text[i], text)
		}
	}
	return out, nil
}

func digit(c byte) int { return strings.IndexByte("0123456789abcdef", c|0x20) }
