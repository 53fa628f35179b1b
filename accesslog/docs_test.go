package accesslog_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"backline/accesslog"
)

// firstCells gives what stands in backquotes in the first column of the table under the given heading row.
func firstCells(t *testing.T, text, heading string) []string {
	t.Helper()
	_, table, found := strings.Cut(text, heading+"\n")
	if !found {
		t.Fatalf("docs/access-log.md has no table %q", heading)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var cells []string
	for _, match := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		cells = append(cells, match[1])
	}
	return cells
}

func TestDocumentationListsWhatTheCodeKnows(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/access-log.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	if !strings.Contains(text, "\n"+accesslog.DefaultFormat+"\n") {
		t.Error("the default format is not the one in the code")
	}

	var atoms []string
	for _, letter := range accesslog.Letters {
		atoms = append(atoms, "%("+string(letter)+")s")
	}
	atoms = append(atoms, "%({name}i)s", "%({name}o)s", "%({NAME}e)s")
	compare(t, "atoms", firstCells(t, text, "| atom | prints |"), atoms)

	variables := firstCells(t, text, "| variable | prints |")
	for i := range variables {
		variables[i] = strings.ToLower(variables[i])
	}
	compare(t, "variables", variables, append(accesslog.Variables(), "http_*"))

	var object map[string]any
	if err := json.Unmarshal([]byte(line(t, accesslog.JSON, record())), &object); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for key := range object {
		keys = append(keys, key)
	}
	compare(t, "keys", firstCells(t, text, "| key | value |"), keys)
}

func compare(t *testing.T, what string, documented, known []string) {
	t.Helper()
	slices.Sort(documented)
	slices.Sort(known)
	if !slices.Equal(documented, known) {
		t.Errorf("%s: documented %q, in the code %q", what, documented, known)
	}
}
