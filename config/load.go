package config

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
)

// Loader knows the surroundings that values come from or depend on. Nothing is read from the process itself, so that
// tests and a second server in the same process see only what they are given.
type Loader struct {
	Environ []string // as os.Environ gives it
	Dir     string   // folder that relative paths start from; empty for the process's
	Cores   int      // what the default of workers counts; 0 for runtime.NumCPU
}

// Loaded is a valid configuration.
type Loaded struct {
	Config   Config
	Origins  map[string]Origin // by key, for every row
	Warnings []string          // one line each, for the log
	Pools    []Pool            // that of app first, then that of websocket, then the file's
	Routes   []Route           // in the file's order

	sections []section // of pools
	dir      string    // the Loader's
	cores    int
}

// Mistake makes the error for a setting whose value another part refused (an access log format, an address in use): in
// the same form as Load's own, naming the place where the value stands. It panics on a key that is not in the table.
func (l *Loaded) Mistake(key string, err error) error {
	rows := Settings()
	i := slices.IndexFunc(rows, func(s Setting) bool { return s.Key == key })
	return mistake(rows[i], l.Origins[key], err)
}

// loading is one Load under way.
type loading struct {
	Loader
	rows   []Setting
	chosen layer // the strongest source of each row that is not at its default
	result *Loaded
	errs   []error
}

// Load works out every setting: flag or argument, else BACKLINE_<KEY>, else the file, else a variable of another
// program that the row honours, else the default. f may be nil; args are what is left of the command line.
// Errors are *backline.Error with CodeUsage, all of them joined, so that one try shows every mistake.
func (l Loader) Load(f *Flags, args []string) (*Loaded, error) {
	run := &loading{Loader: l, rows: Settings(), chosen: layer{}, result: &Loaded{
		Origins: map[string]Origin{}, dir: l.Dir, cores: l.cores(),
	}}
	line := run.commandLine(f, args)
	own, foreign, warnings := readEnviron(run.rows, l.Environ)
	run.result.Warnings = warnings
	file, path := run.file(line, own)
	for _, source := range []layer{foreign, file.values, own, line} { // weakest first: a stronger one overwrites
		maps.Copy(run.chosen, source)
	}
	run.result.sections = file.pools
	for _, route := range file.routes {
		run.result.Routes = append(run.result.Routes, route.route())
	}
	run.apply()
	run.result.Config.File = path
	if len(run.errs) == 0 { // rules between settings say nothing true about values that are wrong themselves
		run.combine()
		run.errs = append(run.errs, run.result.gather()...)
	}
	if len(run.errs) > 0 {
		return nil, joined(run.errs)
	}
	return run.result, nil
}

// joined keeps a single error as it is, which is the common case and reads better.
func joined(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// commandLine gives the flags and the application as one layer: both are the person at the keyboard.
func (run *loading) commandLine(f *Flags, args []string) layer {
	line := layer{}
	if f != nil {
		maps.Copy(line, f.given)
	}
	args = run.nameBare(line, args)
	if len(args) > 1 {
		run.errs = append(run.errs, usage("arguments",
			fmt.Sprintf("expected one application, got %d: %s", len(args), strings.Join(args, " ")),
			"put a value with blanks in quotes; every flag has two dashes"))
	}
	if len(args) > 0 {
		i := slices.IndexFunc(run.rows, Setting.positional)
		line[run.rows[i].Key] = given{texts: args[:1], origin: Origin{Source: SourceFlag, Name: argumentName}}
	}
	return line
}

// nameBare gives a flag that may stand alone the argument behind it: "--django mysite.settings" is not an application.
func (run *loading) nameBare(line layer, args []string) []string {
	for _, s := range run.rows {
		value, given := line[s.Key]
		if given && len(args) == 1 && s.Bare != "" && value.last() == s.Bare {
			value.texts = args
			line[s.Key] = value
			return nil
		}
	}
	return args
}

// file reads the settings file that the stronger sources point to. A chdir inside the file comes too late to move the
// search for it.
func (run *loading) file(line, own layer) (file fileText, shown string) {
	pick := func(key string) string {
		for _, source := range []layer{line, own} {
			if value, found := source[key]; found {
				return value.last()
			}
		}
		return ""
	}
	path, shown := locate(run.Dir, pick("chdir"), pick(fileKey))
	if path == "" {
		return fileText{}, ""
	}
	file, problems := readFile(run.rows, path, shown)
	run.errs = append(run.errs, problems...)
	return file, shown
}

// apply parses the strongest value of each row, in the order of the table.
func (run *loading) apply() {
	for _, s := range run.rows {
		value, found := run.chosen[s.Key]
		if !found {
			value = given{texts: s.defaults()}
		}
		run.result.Origins[s.Key] = value.origin
		err := value.problem
		if err == nil {
			err = s.apply(&run.result.Config, value.texts)
		}
		if err == nil {
			continue
		}
		if long := run.oneDash(s, value); long != "" {
			run.errs = append(run.errs, usage(value.origin.String(), err.Error(), "a long flag has two dashes: --"+long))
			continue
		}
		run.errs = append(run.errs, mistake(s, value.origin, err))
	}
}

// oneDash finds the long flag behind a value such as "orkers", which is what -workers gives to -w.
func (run *loading) oneDash(s Setting, value given) string {
	if value.origin.Source != SourceFlag || s.Short == "" {
		return ""
	}
	name, _, _ := strings.Cut(s.Short+value.last(), "=")
	for _, row := range run.rows {
		if slices.Contains(row.Flags, name) {
			return name
		}
	}
	return ""
}

// cores is what the default number of workers counts.
func (l Loader) cores() int {
	if l.Cores > 0 {
		return l.Cores
	}
	return runtime.NumCPU()
}
