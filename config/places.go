package config

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// places are where in a file its keys stand: "workers", "pool.reports.workers", "route.0.path", and the sections
// themselves. The TOML library keeps positions to itself. Only a line inside a multi-line string could mislead, and
// then no more than the number in a message is wrong.
type places struct {
	shown string
	lines map[string]int
}

func newPlaces(shown, content string) places {
	header := regexp.MustCompile(`^\s*(\[\[?)\s*([^\]]*?)\s*\]`)
	key := regexp.MustCompile(`^\s*["']?([A-Za-z0-9_-]+)["']?\s*[.=]`)
	at := places{shown, map[string]int{}}
	prefix, number, tables := "", 0, map[string]int{}
	for line := range strings.SplitSeq(content, "\n") {
		number++
		if found := header.FindStringSubmatch(line); found != nil {
			name := strings.NewReplacer(`"`, "", `'`, "").Replace(found[2])
			first, _, _ := strings.Cut(name, ".")
			at.note(first, number)
			if found[1] == "[[" {
				name, tables[name] = fmt.Sprintf("%s.%d", name, tables[name]), tables[name]+1
			}
			at.note(name, number)
			prefix = name + "."
		} else if found := key.FindStringSubmatch(line); found != nil {
			at.note(prefix+found[1], number)
		}
	}
	return at
}

// note keeps the first line of each.
func (p places) note(name string, line int) {
	if p.lines[name] == 0 {
		p.lines[name] = line
	}
}

func (p places) origin(name string) Origin {
	return Origin{Source: SourceFile, Name: p.shown, Line: p.lines[name]}
}

// order compares keys by where they stand below prefix.
func (p places) order(prefix string) func(a, b string) int {
	return func(a, b string) int {
		return cmp.Or(cmp.Compare(p.lines[prefix+a], p.lines[prefix+b]), cmp.Compare(a, b))
	}
}
