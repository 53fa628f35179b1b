package config

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is the form of a setting's value.
type Kind string

// The kinds. Numbers take Min and Max of their row, written in the kind's own form.
const (
	KindString   Kind = "string"
	KindStrings  Kind = "list"     // repeat the flag; commas in one text; an array in the file
	KindPairs    Kind = "pairs"    // a list of KEY=VALUE; a flag's text is one pair, since values may hold commas
	KindInt      Kind = "integer"  // decimal
	KindBool     Kind = "boolean"  // true, false; the flag also exists as --no-...
	KindChoice   Kind = "choice"   // one of Choices
	KindDuration Kind = "duration" // 30, 30s, 2m, 500ms: a bare number is seconds, as gunicorn has it
	KindSize     Kind = "size"     // 1000, 64KiB, 1MiB, 1G: K, M, G, T are powers of 1024
	KindOctal    Kind = "mode"     // permission bits: 0660
)

// Setting is one row of the table. Whatever Backline says about a setting, in any place, comes from here.
type Setting struct {
	Key     string   // in backline.toml; in upper case after BACKLINE_ in the environment
	Flags   []string // spellings without dashes; the first is ours, the others are accepted and not advertised
	Short   string   // one letter or empty
	Kind    Kind
	Default string   // in the kind's own form, lists joined by commas; shown as it is
	Unit    string   // what the value counts or names: "requests", "folder"
	Bare    string   // what the flag means without a value; empty where it needs one
	Zero    string   // what 0 or the empty value means; empty where neither is allowed
	Min     string   // least value; empty for 0
	Max     string   // greatest value; empty for no limit of ours
	Choices []string // for KindChoice
	Env     []string // variables of other programs, weaker than the file
	Group   string   // heading
	Hidden  bool     // it holds a secret, or may
	Help    string   // first sentence is the short help; the rest says what a wrong value costs

	field   func(*Config) any            // the one field it sets
	check   func(string) (string, error) // a text in canonical form, or why it cannot be
	fromEnv func(string) string          // what a variable of Env says, as a value of this row
}

// Settings gives the table in the order of the documentation: a fresh slice, so that nobody can change another's.
func Settings() []Setting {
	return slices.Concat(applicationRows(), addressRows(), tlsRows(), proxyRows(), workerRows(), timeRows(),
		queueRows(), stickyRows(), limitRows(), http2Rows(), webSocketRows(), realtimeRows(), busRows(), hubRows(),
		gripRows(), bufferRows(), staticRows(), compressRows(), headerRows(), logRows(), adminRows(), fileRows(),
		stateRows())
}

// Variable is the setting's own environment variable.
func (s Setting) Variable() string { return variablePrefix + strings.ToUpper(s.Key) }

// positional tells the application apart, the one setting that is an argument instead of a flag.
func (s Setting) positional() bool { return len(s.Flags) == 0 }

// list tells whether several texts may be given.
func (s Setting) list() bool { return s.Kind == KindStrings || s.Kind == KindPairs }

// numeric tells whether Min and Max apply.
func (s Setting) numeric() bool {
	return slices.Contains([]Kind{KindInt, KindDuration, KindSize, KindOctal}, s.Kind)
}

// summary is the first sentence of the help, for one line of a usage text, with what the value may be. Back quotes go:
// pflag takes the words between them for the name of the value.
func (s Setting) summary() string {
	first, _, _ := strings.Cut(strings.ReplaceAll(s.Help, "`", ""), ". ")
	first = strings.TrimSuffix(first, ".")
	switch {
	case s.Kind == KindChoice:
		return first + ": " + strings.Join(s.Choices, ", ")
	case s.Default == "0": // pflag shows no default that is 0
		return first + "; 0: " + s.Zero
	default:
		return first
	}
}

// defaults gives the default as texts, the form in which every source hands values over.
func (s Setting) defaults() []string {
	if s.list() {
		return splitList(s.Default)
	}
	return []string{s.Default}
}

// apply parses texts and stores them in the setting's field. The error says what came and what is allowed; the
// caller knows the source and adds what to write instead.
func (s Setting) apply(c *Config, texts []string) error {
	if s.list() {
		return s.storeList(s.field(c), texts)
	}
	text := given{texts: texts}.last()
	if s.check != nil {
		canonical, err := s.check(text)
		if err != nil {
			return err
		}
		text = canonical
	}
	return s.store(s.field(c), text)
}

// storeList checks each text of a list and stores all of them.
func (s Setting) storeList(field any, texts []string) error {
	target, fits := field.(*[]string)
	if !fits {
		return fmt.Errorf("setting %s has a field of type %T, which no list fills", s.Key, field)
	}
	items := make([]string, 0, len(texts))
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if s.check != nil {
			canonical, err := s.check(text)
			if err != nil {
				return err
			}
			text = canonical
		}
		items = append(items, text)
	}
	*target = items
	return nil
}

// store parses one text into the field. Kind and field type belong together; a test applies every row's default, so a
// row with a wrong pair cannot be released.
func (s Setting) store(field any, text string) (err error) {
	switch target := field.(type) {
	case *string:
		if s.Kind == KindChoice && !slices.Contains(s.Choices, text) {
			return fmt.Errorf("%q is not one of %s%s", text, strings.Join(s.Choices, ", "), didYouMean(text, s.Choices))
		}
		*target = text
	case *bool:
		*target, err = parseBool(text)
	case *int:
		*target, err = ranged(s, text, parseInt)
	case *int64:
		*target, err = ranged(s, text, parseSize)
	case *time.Duration:
		*target, err = ranged(s, text, parseDuration)
	case *fs.FileMode:
		*target, err = ranged(s, text, parseMode)
	default:
		err = fmt.Errorf("setting %s has a field of type %T, which no kind fills", s.Key, field)
	}
	return err
}

// ranged parses text and holds it against the row's limits.
func ranged[T ~int | ~int64 | ~uint32](s Setting, text string, parse func(string) (T, error)) (T, error) {
	value, err := parse(text)
	if err != nil {
		return 0, err
	}
	// The limits are texts of the table itself; one that does not parse fails the test of the table, not a user.
	least, _ := parse(cmp.Or(s.Min, "0"))
	most, _ := parse(cmp.Or(s.Max, "0"))
	if value < least || s.Max != "" && value > most {
		return 0, fmt.Errorf("%s is out of range: %s", text, s.allowed())
	}
	return value, nil
}

// allowed says in words which values a row takes.
func (s Setting) allowed() string {
	switch {
	case s.Kind == KindChoice:
		return "one of " + strings.Join(s.Choices, ", ")
	case s.Kind == KindBool:
		return "true or false"
	case !s.numeric():
		return ""
	case s.Max == "":
		return "allowed is " + cmp.Or(s.Min, "0") + " or more"
	default:
		return "allowed is " + cmp.Or(s.Min, "0") + " to " + s.Max
	}
}

// hidden leaves of a secret what may be seen: that there is one, and of addresses all but the passwords.
func hidden(text string) string {
	parts := strings.Split(text, ",")
	for i, part := range parts {
		if address, err := url.Parse(part); err == nil && address.Host != "" {
			parts[i] = address.Redacted()
		} else if part != "" && part != "embedded" {
			parts[i] = "..."
		}
	}
	return strings.Join(parts, ",")
}

// show gives the field's value as a person would write it. Values of pairs are hidden: `backline settings` is pasted
// into tickets, and these are where passwords are.
func (s Setting) show(c *Config) string {
	switch value := s.field(c).(type) {
	case *[]string:
		shown := slices.Clone(*value)
		for i, item := range shown {
			if name, _, found := strings.Cut(item, "="); s.Kind == KindPairs && found {
				shown[i] = name + "=..."
			}
		}
		return strings.Join(shown, ",")
	case *string:
		if s.Hidden {
			return hidden(*value)
		}
		return *value
	case *time.Duration:
		return formatDuration(*value)
	case *int64:
		return formatSize(*value)
	case *fs.FileMode:
		return fmt.Sprintf("%04o", uint32(*value))
	case *int:
		return strconv.Itoa(*value)
	case *bool:
		return strconv.FormatBool(*value)
	default:
		return fmt.Sprint(value)
	}
}
