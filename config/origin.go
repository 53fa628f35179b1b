package config

import (
	"strconv"
	"strings"

	"backline"
)

// Source is where a value came from. A greater one wins over a smaller one.
type Source int

// The sources in rising strength. Variables of other programs are weaker than the file: they describe the platform,
// the file describes this application.
const (
	SourceDefault     Source = iota
	SourceForeign            // WEB_CONCURRENCY, PORT
	SourceFile               // backline.toml
	SourceEnvironment        // BACKLINE_...
	SourceFlag               // a flag, or the argument APP
)

// Origin says where a value came from, in the words of whoever set it.
type Origin struct {
	Source  Source
	Name    string // "--workers", "APP", "BACKLINE_WORKERS", "backline.toml"
	Line    int    // in the file, 0 where unknown
	Section string // of the file, "[pool.reports]"; empty for its top level
	Note    string // how the value was worked out, where it is not what was written
}

// String gives "default", "flag --workers", "environment BACKLINE_WORKERS" or "file backline.toml:12".
func (o Origin) String() string {
	var text string
	switch o.Source {
	case SourceFile:
		text = "file " + o.Name
		if o.Line > 0 {
			text += ":" + strconv.Itoa(o.Line)
		}
		if o.Section != "" {
			text += " " + o.Section
		}
	case SourceEnvironment, SourceForeign:
		text = "environment " + o.Name
	case SourceFlag:
		text = "flag " + o.Name
		if o.Name == argumentName {
			text = "argument " + o.Name
		}
	default:
		text = "default"
	}
	if o.Note != "" {
		text += " (" + o.Note + ")"
	}
	return text
}

// argumentName is what the one positional argument is called in usage texts.
const argumentName = "APP"

// given is a value as one source has it, not yet parsed: a weaker source's mistake must not stop a stronger one.
type given struct {
	texts   []string
	origin  Origin
	problem error // the source could not even make texts of it (a table where a value belongs)
}

// last is the text that counts where only one can: of a repeated flag the last one, as in gunicorn and uvicorn.
func (g given) last() string {
	if len(g.texts) == 0 {
		return ""
	}
	return strings.TrimSpace(g.texts[len(g.texts)-1])
}

// layer is what one source says, by key.
type layer map[string]given

// mistake is the error for a value of this setting from this source.
func mistake(s Setting, origin Origin, err error) error {
	op := origin.String()
	if origin.Source == SourceFile {
		op += " " + s.Key
	}
	return &backline.Error{Op: op, Code: backline.CodeUsage, Message: err.Error(), Hint: hintFor(s, origin)}
}

// hintFor says what to write, in the form of the place where the mistake stands.
func hintFor(s Setting, origin Origin) string {
	if s.positional() {
		return "write for example mysite.wsgi"
	}
	if s.Default == "" {
		return leaveOut(s.Zero)
	}
	return "write for example " + spell(s, origin, s.Default)
}

// leaveOut says what becomes of a setting that has no default, with its Zero, which may have none or off in front of
// what that means.
func leaveOut(zero string) string {
	for _, nothing := range []string{"none", "off"} {
		if zero == nothing {
			return "or leave it out"
		}
		zero = strings.TrimPrefix(zero, nothing+": ")
	}
	if zero == "" {
		return ""
	}
	return "or leave it out, which means: " + zero
}

// spell writes a setting the way the given source has it.
func spell(s Setting, origin Origin, value string) string {
	switch origin.Source {
	case SourceFile:
		return s.Key + " = " + tomlValue(s, value)
	case SourceEnvironment, SourceForeign:
		return s.Variable() + "=" + value
	default:
		if s.Kind == KindBool {
			return "--" + s.Flags[0] + " or --no-" + s.Flags[0]
		}
		return "--" + s.Flags[0] + " " + value
	}
}

// tomlValue writes a default as TOML has it; everything that is no number or switch is a string there.
func tomlValue(s Setting, value string) string {
	switch s.Kind {
	case KindBool, KindInt:
		return value
	case KindStrings, KindPairs:
		return "[" + strconv.Quote(value) + "]"
	default:
		return strconv.Quote(value)
	}
}

// usage makes an Error that concerns no single setting.
func usage(op, message, hint string) error {
	return &backline.Error{Op: op, Code: backline.CodeUsage, Message: message, Hint: hint}
}
