package accesslog

// SetTorn pretends that the last write ended inside a line.
func SetTorn(s *Sink) { s.torn = true }

// Letters are the atoms that stand alone, for the comparison with the documentation.
const Letters = letters

// Variables are the names of {VARIABLE}e apart from HTTP_*.
func Variables() []string {
	names := make([]string, 0, len(variables()))
	for name := range variables() {
		names = append(names, name)
	}
	return names
}
