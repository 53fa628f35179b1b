package accesslog

import (
	"fmt"
	"strings"

	"backline"
)

// DefaultFormat is gunicorn's line (Apache's "combined") with duration and queue wait in milliseconds and the worker
// behind it. What reads the combined format ignores what follows.
const DefaultFormat = `%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(d)s %(Q)s %(W)s`

// JSON is the format that writes an object per line instead.
const JSON = "json"

// Compile reads a format in gunicorn's syntax, %(atom)s, or takes JSON by its name. Empty means DefaultFormat. The
// atoms are listed in docs/access-log.md. What is not known is an error and not "-": a format with a typing mistake
// would otherwise be noticed on the day the log is needed.
func Compile(format string) (*Format, error) {
	switch format {
	case "":
		format = DefaultFormat
	case JSON:
		return &Format{json: true}, nil
	}
	var steps []step
	for pos := 0; pos < len(format); {
		s, size, err := nextStep(format, pos)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
		pos += size
	}
	return &Format{steps: steps}, nil
}

// nextStep reads the piece of format at pos and how long it is written.
func nextStep(format string, pos int) (step, int, error) {
	rest := format[pos:]
	if rest[0] != '%' {
		return literal(format, pos)
	}
	if strings.HasPrefix(rest, "%%") {
		return step{text: "%"}, len("%%"), nil
	}
	inside, after, closed := strings.Cut(strings.TrimPrefix(rest, "%("), ")")
	if !strings.HasPrefix(rest, "%(") || !closed || !strings.HasPrefix(after, "s") {
		return step{}, 0, mistake(pos, "expected %(atom)s, got "+quoteStart(rest), "A percent sign itself is written %%.")
	}
	s, err := parseAtom(inside, pos)
	return s, len("%()s") + len(inside), err
}

// literal reads up to the next percent sign.
func literal(format string, pos int) (step, int, error) {
	text, _, _ := strings.Cut(format[pos:], "%")
	for i := range len(text) {
		// A tab separates columns in some formats; any other control byte would break the promise of one line.
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return step{}, 0, mistake(pos+i, fmt.Sprintf("control character %q in the format", c),
				"Each request is one line; the line's end is added by itself.")
		}
	}
	return step{text: text}, len(text), nil
}

// parseAtom reads what stands between the parentheses: a letter, or {name} and one of i, o, e.
func parseAtom(inside string, pos int) (step, error) {
	if len(inside) == 1 && strings.Contains(letters, inside) {
		return step{atom: atom(inside[0])}, nil
	}
	braced, _ := strings.CutPrefix(inside, "{")
	if name, kind, ok := strings.Cut(braced, "}"); ok && name != "" && braced != inside {
		switch name = strings.ToLower(name); kind { // as find compares
		case "i":
			return step{atom: requestField, text: name}, nil
		case "o":
			return step{atom: answerField, text: name}, nil
		case "e":
			return parseVariable(name, pos)
		}
	}
	return step{}, mistake(pos, "unknown atom "+quoteStart("%("+inside+")s"),
		"Known atoms: "+strings.Join(strings.Split(letters, ""), " ")+
			" {request-field}i {answer-field}o {VARIABLE}e; see docs/access-log.md.")
}

// variables are the names of {VARIABLE}e apart from HTTP_*, in lower case, with the atom that prints each.
func variables() map[string]step {
	return map[string]step{
		"request_method":  {atom: 'm'},
		"path_info":       {atom: 'U'},
		"query_string":    {atom: 'q'},
		"server_protocol": {atom: 'H'},
		"remote_addr":     {atom: 'h'},
		"remote_port":     {atom: clientPort},
		"raw_uri":         {atom: rawTarget},
		"script_name":     {atom: rootPath},
		"server_name":     {atom: serverHost},
		"server_port":     {atom: serverPort},
		"wsgi.url_scheme": {atom: scheme},
		"content_type":    {atom: requestField, text: "content-type"},
		"content_length":  {atom: requestField, text: "content-length"},
	}
}

// parseVariable resolves a WSGI environ name. The line is written by the edge, which sees the request as it came: what
// an application adds to its environ stays in the worker.
func parseVariable(name string, pos int) (step, error) {
	if field, ok := strings.CutPrefix(name, "http_"); ok && field != "" {
		return step{atom: requestField, text: strings.ReplaceAll(field, "_", "-")}, nil
	}
	if s, ok := variables()[name]; ok {
		return s, nil
	}
	return step{}, mistake(pos, fmt.Sprintf("unknown variable in %%({%s}e)s", name),
		"Known are the variables of the request itself (REMOTE_ADDR, PATH_INFO, HTTP_*, ...; see docs/access-log.md); "+
			"what the application or a middleware adds is not visible here.")
}

// mistake points at a place of the format, counted from 1 as people do.
func mistake(pos int, message, hint string) error {
	return &backline.Error{
		Op:      "access log format",
		Code:    backline.CodeUsage,
		Message: fmt.Sprintf("%s at character %d", message, pos+1),
		Hint:    hint,
	}
}

// quoteStart shows a piece of the format without letting a long one fill the screen.
func quoteStart(text string) string {
	const shown = 24
	if len(text) > shown {
		return fmt.Sprintf("%q...", text[:shown])
	}
	return fmt.Sprintf("%q", text)
}
