package backline_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPathOfARequest keeps the reading order in doc.go and in ARCHITECTURE.md true: both name the same files, in the
// same order, and the files are there.
func TestPathOfARequest(t *testing.T) {
	t.Parallel()
	want := []string{
		"edge/listener.go", "edge/conn.go", "h1/parse.go", "dispatch/dispatcher.go", "dispatch/exchange.go",
		"dispatch/workerconn.go", "wire/", "python/backline/wire.py", "python/backline/loops/threads.py", "python/backline/wsgi.py",
	}
	for _, path := range want {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the path of a request names %s: %v", path, err)
		}
	}
	doc := read(t, "doc.go")
	_, doc, _ = strings.Cut(doc, "The path of a request")
	architecture := read(t, "ARCHITECTURE.md")
	_, architecture, _ = strings.Cut(architecture, "## The path of a request")
	for name, text := range map[string]string{"doc.go": doc, "ARCHITECTURE.md": architecture} {
		from := 0
		for _, path := range want {
			at := regexp.MustCompile(`\b` + regexp.QuoteMeta(path)).FindStringIndex(text[from:])
			if at == nil {
				t.Errorf("%s does not name %s, or not in this order", name, path)
				continue
			}
			from += at[1]
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
