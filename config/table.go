package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteTable writes every setting with its value and where that came from, then what pools have of their own, and the
// routes: the output of `backline settings`. Values of env are hidden.
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
	for _, pool := range l.Pools {
		if len(pool.Origins) == 0 {
			continue
		}
		fmt.Fprintf(&out, "# Pool %s\n", pool.Name)
		for _, s := range rows {
			if origin, own := pool.Origins[s.Key]; own {
				fmt.Fprintf(&out, "%-*s  %-*s  %s\n", keyWidth, s.Key, valueWidth, s.show(&pool.Config), origin)
			}
		}
	}
	for i, route := range l.Routes {
		if i == 0 {
			out.WriteString("# Routes\n")
		}
		fmt.Fprintf(&out, "%-*s  %-*s  %s\n", keyWidth, route.Pool, valueWidth, route, route.Origin)
	}
	_, err := io.WriteString(w, out.String())
	return err
}
