package config

import (
	"slices"
	"strings"
)

// variablePrefix begins the name of every environment variable of ours.
const variablePrefix = "BACKLINE_"

// readEnviron sorts an environment into our own variables and those of other programs that rows honour. An unknown
// variable is a warning, not an error: environments are shared, and whoever starts us may not be who set them.
func readEnviron(rows []Setting, environ []string) (own, foreign layer, warnings []string) {
	own, foreign = layer{}, layer{}
	byVariable, byForeign := map[string]Setting{}, map[string]Setting{}
	for _, s := range rows {
		byVariable[s.Variable()] = s
		for _, name := range s.Env {
			byForeign[name] = s
		}
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		s, mine := byVariable[name]
		other, theirs := byForeign[name]
		switch {
		case kubernetesLink(name, value):
		case mine && (value != "" || s.Kind == KindString):
			own[s.Key] = given{texts: split(s, value), origin: Origin{Source: SourceEnvironment, Name: name}}
		case theirs && value != "" && !outranked(other, foreign, name):
			if other.fromEnv != nil {
				value = other.fromEnv(value)
			}
			foreign[other.Key] = given{texts: split(other, value), origin: Origin{Source: SourceForeign, Name: name}}
		case !mine && strings.HasPrefix(name, variablePrefix):
			warnings = append(warnings, unknownVariable(rows, name))
		default:
			warnings = append(warnings, unusedVariable(name, value)...)
		}
	}
	return own, foreign, warnings
}

// outranked tells whether a variable that stands before this one in the row has been found already.
func outranked(s Setting, found layer, name string) bool {
	other, taken := found[s.Key]
	return taken && slices.Index(s.Env, other.origin.Name) < slices.Index(s.Env, name)
}

// split makes the texts of a value that is one text. An empty variable counts as unset (docker compose writes
// NAME= for what is not there) except for strings, where empty is a value.
func split(s Setting, value string) []string {
	if s.list() {
		return splitList(value)
	}
	return []string{value}
}

// kubernetesLink recognises what Kubernetes sets in every pod of a namespace with a service called "backline":
// BACKLINE_PORT=tcp://10.0.0.1:80, BACKLINE_SERVICE_HOST, BACKLINE_PORT_80_TCP_ADDR. They are nobody's settings.
func kubernetesLink(name, value string) bool {
	rest, ours := strings.CutPrefix(name, variablePrefix)
	return ours && (strings.HasPrefix(rest, "SERVICE_") || strings.HasPrefix(rest, "PORT_") ||
		rest == "PORT" && strings.Contains(value, "://"))
}

func unknownVariable(rows []Setting, name string) string {
	text := name + " is not a setting and was ignored"
	if s, found := nearestSetting(rows, strings.TrimPrefix(name, variablePrefix)); found {
		text += "; did you mean " + s.Variable() + "?"
	}
	return text
}

// unusedVariable names a variable that people rely on with another server and that changes nothing here: silence would
// be worse than a line in the log.
func unusedVariable(name, value string) []string {
	if name != "GUNICORN_CMD_ARGS" || value == "" {
		return nil
	}
	return []string{name + " is not used: write the flags on the command line, or each as BACKLINE_<KEY>"}
}

// nearestSetting finds the row that a wrong key may mean: by another server's spelling, else by likeness.
func nearestSetting(rows []Setting, key string) (Setting, bool) {
	key = strings.ToLower(strings.ReplaceAll(key, "-", "_"))
	byName, names := map[string]Setting{}, []string{}
	for _, s := range rows {
		for _, name := range append([]string{s.Key}, s.Flags...) {
			name = strings.ReplaceAll(name, "-", "_")
			byName[name] = s
			names = append(names, name)
		}
	}
	s, found := byName[nearest(key, names)]
	return s, found
}
