package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteTable writes every setting with its value and where that came from: the output of `backline settings`. Values
// of env are hidden.
func WriteTable(w io.Writer, l *Loaded) error {
	const widest = 40 // a longer value pushes its own line only, not the whole column, off the screen
	rows, keyWidth, valueWidth := Settings(), 0, 0
	values := make([]string, len(rows))
	for i, s := range rows {
		values[i] = s.show(&l.Config)
		if values[i] == "" {
			values[i] = `""`
		}
		keyWidth = max(keyWidth, len(s.Key))
		valueWidth = max(valueWidth, min(len(values[i]), widest))
	}
	var out strings.Builder
	group := ""
	for i, s := range rows {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&out, "# %s\n", group)
		}
		fmt.Fprintf(&out, "%-*s  %-*s  %s\n", keyWidth, s.Key, valueWidth, values[i], l.Origins[s.Key])
	}
	_, err := io.WriteString(w, out.String())
	return err
}
