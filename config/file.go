package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"backline"
)

const (
	fileKey     = "config"
	defaultFile = "backline.toml"
)

// fileText is what a settings file says.
type fileText struct {
	values layer
	pools  []section
	routes []section
}

// readFile reads a settings file. Every key of the table stands at its top level, so that the file, the environment and
// the flags have the same names; its sections are pools and routes, which only the file has.
func readFile(rows []Setting, path, shown string) (fileText, []error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return fileText{}, []error{unreadable(shown, err)}
	}
	var values map[string]any
	if _, err := toml.Decode(string(content), &values); err != nil {
		return fileText{}, []error{malformed(shown, err)}
	}
	at := newPlaces(shown, string(content))
	pools, routes, problems := readSections(rows, values["pool"], values["route"], at)
	file := fileText{layer{}, pools, routes}
	delete(values, "pool")
	delete(values, "route")
	for _, key := range slices.SortedFunc(maps.Keys(values), at.order("")) {
		origin := at.origin(key)
		i := slices.IndexFunc(rows, func(s Setting) bool { return s.Key == key })
		switch {
		case i < 0:
			problems = append(problems, unknownKey(rows, origin, key, values[key]))
		case key == fileKey:
			problems = append(problems, usage(origin.String()+" "+key, "the file cannot name another file",
				"use the flag --config"))
		default:
			texts, err := tomlTexts(rows[i], values[key])
			file.values[key] = given{texts: texts, origin: origin, problem: err}
		}
	}
	return file, problems
}

func unreadable(shown string, err error) error {
	failure := &backline.Error{
		Op: "file " + shown, Code: backline.CodeUsage, Err: err, Message: "the settings cannot be read",
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		failure.Hint = "write the path of a settings file, or leave --config out to go without one"
	case errors.Is(err, fs.ErrPermission):
		failure.Hint = "let the user of the server read it: chmod o+r " + shown
	}
	return failure
}

func malformed(shown string, err error) error {
	failure := &backline.Error{
		Op: "file " + shown, Code: backline.CodeUsage, Message: err.Error(),
		Hint: `one setting per line: key = 8, key = true, key = "text", key = ["one", "two"]`,
	}
	if strings.HasSuffix(shown, ".py") {
		failure.Message = "this is Python: expected a settings file in TOML"
		failure.Hint = "write the settings as key = value into " + defaultFile + "; most names are gunicorn's"
		return failure
	}
	if parse, ok := errors.AsType[toml.ParseError](err); ok {
		failure.Op += ":" + strconv.Itoa(parse.Position.Line)
		failure.Message = parse.Message
	}
	return failure
}

func unknownKey(rows []Setting, origin Origin, key string, value any) error {
	message := fmt.Sprintf("unknown setting %q", key)
	if _, table := value.(map[string]any); table {
		return usage(origin.String(), message+": the file has no sections but [pool.NAME] and [[route]]",
			"write every other setting at the top level, without ["+key+"]")
	}
	hint := "`backline settings` lists the names"
	if s, found := nearestSetting(rows, key); found {
		hint = "did you mean " + s.Key + "?"
	}
	return usage(origin.String(), message, hint)
}

// tomlTexts turns a value of the file into the texts that flags and variables have, so that one parser judges all.
func tomlTexts(s Setting, value any) ([]string, error) {
	if array, ok := value.([]any); ok && s.list() {
		texts := []string{}
		for _, item := range array {
			text, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("the list holds %s: expected texts in quotes", tomlKind(item))
			}
			texts = append(texts, text)
		}
		return texts, nil
	}
	switch typed := value.(type) {
	case string:
		if s.Kind == KindPairs {
			return []string{typed}, nil // a value may hold commas, and an array is the way to give several
		}
		return split(s, typed), nil
	case int64:
		if s.Kind == KindOctal { // 660 and 0o660 are different numbers here, and both are meant as the same mode
			return nil, errors.New("a number: expected octal digits in quotes")
		}
		return scalar(s, strconv.FormatInt(typed, 10), value)
	case float64:
		return scalar(s, strconv.FormatFloat(typed, 'f', -1, 64), value)
	case bool:
		return scalar(s, strconv.FormatBool(typed), value)
	}
	return nil, fmt.Errorf("%s: expected %s", tomlKind(value), expectedForm(s))
}

// scalar refuses a number or a switch where text belongs: python = 3.10 would come out as 3.1.
func scalar(s Setting, text string, value any) ([]string, error) {
	if s.list() || s.Kind == KindString {
		return nil, fmt.Errorf("%s: expected %s", tomlKind(value), expectedForm(s))
	}
	return []string{text}, nil
}

func expectedForm(s Setting) string {
	switch s.Kind {
	case KindStrings, KindPairs:
		return `a list of texts, ["one", "two"]`
	case KindInt:
		return "a number"
	case KindBool:
		return "true or false"
	default:
		return "a text in quotes"
	}
}

func tomlKind(value any) string {
	switch value.(type) {
	case string:
		return "a text"
	case int64, float64:
		return "a number"
	case bool:
		return "a switch"
	case []any:
		return "a list"
	case time.Time:
		return "a date"
	default:
		return "a section"
	}
}

// locate finds the settings file: the one asked for, relative to dir like every path of a command line, else
// backline.toml where the application is. Both results are empty when there is none.
func locate(dir, chdir, asked string) (path, shown string) {
	if asked != "" {
		return inside(dir, asked), asked
	}
	path = filepath.Join(inside(dir, chdir), defaultFile)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return "", ""
	}
	return path, filepath.Join(chdir, defaultFile)
}

// inside resolves a path of the command line without the process's own folder, which tests and reloads do not share.
func inside(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
