package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// Flags are the table's flags on one command line. They only record what was given, in order; Load parses it, so that
// all mistakes of a call are reported together and a flag is judged exactly like a line of the file.
type Flags struct {
	set   *pflag.FlagSet
	given layer
}

// Bind declares a flag for every spelling of every row. Only the first spelling appears in usage texts.
func Bind(flags *pflag.FlagSet) *Flags {
	f := &Flags{set: flags, given: layer{}}
	for _, s := range Settings() {
		for i, name := range s.Flags {
			f.declare(s, name, i == 0)
			if s.Kind == KindBool {
				f.declareNegation(s, name, i == 0)
			}
		}
	}
	return f
}

func (f *Flags) declare(s Setting, name string, first bool) {
	short := ""
	if first {
		short = s.Short
	}
	flag := f.set.VarPF(&flagValue{setting: s, name: name, given: f.given}, name, short, s.summary())
	flag.Hidden = !first
	flag.NoOptDefVal = s.Bare
	flag.DefValue = strings.ReplaceAll(flag.DefValue, ",", ", ") // so that a long list can be wrapped
	if s.Kind == KindBool {
		flag.NoOptDefVal = "true"
	}
}

// declareNegation adds --no-NAME, without which a switch that the file turns on could not be turned off for one start.
func (f *Flags) declareNegation(s Setting, name string, first bool) {
	flag := f.set.VarPF(&flagValue{setting: s, name: "no-" + name, given: f.given, negated: true}, "no-"+name, "",
		"The opposite of --"+name)
	flag.Hidden = !first || s.Default == "false"
	flag.NoOptDefVal = "true"
	flag.DefValue = "" // or the usage text says "(default false)" after a switch that is on
}

// Usages gives the flags under the table's headings, wrapped to columns (0 for no wrapping), for a command's help.
func (f *Flags) Usages(columns int) string {
	var out strings.Builder
	group, pending := "", pflag.NewFlagSet("", pflag.ContinueOnError)
	flush := func(next string) {
		if pending.HasFlags() {
			out.WriteString(group + ":\n" + pending.FlagUsagesWrapped(columns) + "\n")
		}
		group, pending = next, pflag.NewFlagSet("", pflag.ContinueOnError)
		pending.SortFlags = false
	}
	for _, s := range Settings() {
		if s.Group != group {
			flush(s.Group)
		}
		for _, name := range s.Flags {
			pending.AddFlag(f.set.Lookup(name))
			if negation := f.set.Lookup("no-" + name); negation != nil {
				pending.AddFlag(negation)
			}
		}
	}
	flush("")
	return out.String()
}

// flagValue is one spelling of one flag, as pflag wants it.
type flagValue struct {
	setting Setting
	name    string
	negated bool
	given   layer
}

// Set records a text. It never fails: the judgement is Load's.
func (v *flagValue) Set(text string) error {
	texts := []string{text}
	if v.setting.Kind == KindStrings {
		texts = splitList(text)
	}
	if on, err := parseBool(text); v.negated && err == nil && on {
		texts = []string{"false"}
	} else if v.negated && err == nil {
		texts = []string{"true"}
	}
	before := v.given[v.setting.Key]
	v.given[v.setting.Key] = given{
		texts:  append(before.texts, texts...),
		origin: Origin{Source: SourceFlag, Name: "--" + v.name},
	}
	return nil
}

// String is what the usage text shows as the default.
func (v *flagValue) String() string {
	if before, found := v.given[v.setting.Key]; found && len(before.texts) > 0 {
		return strings.Join(before.texts, ",")
	}
	return v.setting.Default
}

// Type names the value in usage texts; pflag knows "bool" as a flag without one.
func (v *flagValue) Type() string {
	if v.setting.Kind == KindBool {
		return "bool"
	}
	return v.setting.Unit
}
