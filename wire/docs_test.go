package wire

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	documentRow = regexp.MustCompile("(?m)^\\| (\\d+) \\| `([A-Z_]+)` \\| (.+?) \\| (server|worker) \\|")
	pythonKind  = regexp.MustCompile(`(?m)^([A-Z][A-Z_]*): Final = (\d+)(?:  # .*)?$`)
	kindName    = regexp.MustCompile(`([a-z])([A-Z])`)
)

// TestKindsAreTheSameEverywhere compares the tables of docs/protocol.md, messages.go and the worker package.
func TestKindsAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	document, elements := map[string]string{}, map[string]int{}
	for _, row := range documentRow.FindAllStringSubmatch(readFile(t, "../docs/protocol.md"), -1) {
		document[row[2]] = row[1]
		if row[4] == "worker" {
			elements[row[2]] = 1 + len(strings.Split(row[3], ", "))
		}
	}
	ours := kindsOf(t, "messages.go", "channels.go", "recall.go")
	if !maps.Equal(document, ours) || len(ours) < 20 {
		t.Errorf("docs/protocol.md and messages.go differ:\n%v\n%v", document, ours)
	}
	python := map[string]string{}
	for _, line := range pythonKind.FindAllStringSubmatch(readFile(t, "../python/backline/wire.py"), -1) {
		if !strings.HasPrefix(line[1], "BODY_") && !strings.HasPrefix(line[1], "OUTCOME_") && !strings.HasPrefix(line[1], "VERDICT_") && line[1] != "MESSAGE_COST" && line[1] != "PROTOCOL_VERSION" {
			python[line[1]] = line[2]
		}
	}
	if !maps.Equal(python, ours) {
		t.Errorf("python/backline/wire.py and messages.go differ:\n%v\n%v", python, ours)
	}
	for name, want := range elements {
		number, err := strconv.Atoi(ours[name])
		if got := shape(Kind(number)); err != nil || number >= 32 && got != want {
			t.Errorf("docs/protocol.md gives %s %d elements, answer.go %d", name, want, got)
		}
	}
}

// TestLimitsInTheDocument: the numbers that a worker in another language copies.
func TestLimitsInTheDocument(t *testing.T) {
	t.Parallel()
	document := readFile(t, "../docs/protocol.md")
	for _, want := range []string{
		fmt.Sprintf("Version %d.", ProtocolVersion),
		fmt.Sprintf("64 MiB (%d)", MaxPacket),
		fmt.Sprintf("| body in one message, both ways | %d bytes |", MaxPiece),
		fmt.Sprintf("The server may send %d bytes (the window)", Window),
		fmt.Sprintf("| arguments of a job, and its result | %d bytes |", MaxJob),
		fmt.Sprintf("| headers of one answer | %d |", maxFields),
		fmt.Sprintf("| handshake packet | %d MiB, %d values, %d levels |", maxHandshake>>20, maxValues, maxDepth),
		fmt.Sprintf("%d bytes of shared memory", BegunSize),
	} {
		if !strings.Contains(document, want) {
			t.Errorf("docs/protocol.md does not say %q", want)
		}
	}
}

// kindsOf reads the constants KindX of files as X_X: number.
func kindsOf(t *testing.T, files ...string) map[string]string {
	t.Helper()
	kinds := map[string]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
				return true
			}
			name, isKind := strings.CutPrefix(spec.Names[0].Name, "Kind")
			if literal, isLiteral := spec.Values[0].(*ast.BasicLit); isKind && isLiteral {
				kinds[strings.ToUpper(kindName.ReplaceAllString(name, "${1}_$2"))] = literal.Value
			}
			return true
		})
	}
	if values := slices.Collect(maps.Values(kinds)); len(values) != len(slices.Compact(slices.Sorted(slices.Values(values)))) {
		t.Errorf("%q: a number is used twice: %v", files, kinds)
	}
	return kinds
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
