package static

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, name string
		ok         bool
	}{
		{"a.css", "a.css", true},
		{"a/b/c.js", "a/b/c.js", true},
		{"a%20b.txt", "a b.txt", true},
		{"%61.css", "a.css", true},
		{"100%25.txt", "100%.txt", true},
		{"%C3%A4.txt", "ä.txt", true},
		{"ä.txt", "ä.txt", true},
		{"a..b", "a..b", true},
		{"a.", "a.", true},
		{"~a", "~a", true},
		{"%252e%252e/etc/passwd", "%2e%2e/etc/passwd", true}, // decoded once: a name that nobody has

		{"", "", false},
		{"/", "", false},
		{"a/", "", false},
		{"a//b", "", false},
		{".", "", false},
		{"..", "", false},
		{"../a", "", false},
		{"a/../b", "", false},
		{"a/..", "", false},
		{"a/./b", "", false},
		{".env", "", false},
		{".git/config", "", false},
		{"a/.htpasswd", "", false},
		{"%2e%2e/a", "", false},
		{"a/%2E%2e/b", "", false},
		{".%2e/a", "", false},
		{"%2eenv", "", false},
		{"a%2fb", "", false},
		{"a%2Fb", "", false},
		{"..%2fa", "", false},
		{"a%5cb", "", false},
		{"..%5c..%5ca", "", false},
		{`a\b`, "", false},
		{"a%00.css", "", false},
		{"a%00", "", false},
		{"a\x00", "", false},
		{"a%0ab", "", false},
		{"a%7f", "", false},
		{"%c0%ae%c0%ae/a", "", false}, // overlong: "..", if read wrongly
		{"%e0%80%ae", "", false},
		{"%c0%af", "", false},
		{"%ff", "", false},
		{"%ed%a0%80", "", false},
		{"%", "", false},
		{"%2", "", false},
		{"a%zz", "", false},
		{"a%4", "", false},
		{"%u002e", "", false},
	} {
		decoded, ok := decode(nil, []byte(c.path))
		ok = ok && servable(decoded)
		if ok != c.ok || ok && string(decoded) != c.name {
			t.Errorf("%q: %q, %v; want %q, %v", c.path, decoded, ok, c.name, c.ok)
		}
	}
}

// FuzzNames: whatever is let through names a file inside the folder, as the file system reads names.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"a/b", "%2e%2e/x", "..%2f", "%c0%ae", "a//b", "a%00b", ".x", "a/.b", "%25", "%", `\`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, path []byte) {
		before := bytes.Clone(path)
		name, ok := decode(make([]byte, 0, 8), path)
		if !bytes.Equal(before, path) {
			t.Fatalf("%q was changed to %q", before, path)
		}
		if !ok || !servable(name) {
			return
		}
		if clean := filepath.Clean(string(name)); clean != string(name) || !filepath.IsLocal(clean) {
			t.Errorf("%q became %q, which means %q", path, name, clean)
		}
		for element := range strings.SplitSeq(string(name), string(os.PathSeparator)) {
			if strings.HasPrefix(element, ".") {
				t.Errorf("%q became %q, which has a dotfile", path, name)
			}
		}
	})
}
