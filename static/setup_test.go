package static

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"backline"
)

// longAgo is when the files of the tests were written; a whole second, so that dates and times agree.
var longAgo = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const longAgoText = "Fri, 02 Jan 2026 03:04:05 GMT"

// tree writes files into a new folder: names that end in a slash are folders, values are contents.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		put(t, folder, name, content)
	}
	return folder
}

func put(t testing.TB, folder, name, content string) {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, "/") {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
}

func mount(t testing.TB, prefix, path string) *Mount {
	t.Helper()
	m, err := NewMount(prefix, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.folder.Close() })
	return m
}

// filesOf serves a tree under /s/.
func filesOf(t testing.TB, tree map[string]string, options Options, more func(folder string)) *Files {
	t.Helper()
	folder := treeOf(t, tree, more)
	options.Mounts = append(options.Mounts, mount(t, "/s/", folder))
	f := New(options)
	t.Cleanup(f.cache.clear)
	return f
}

func treeOf(t testing.TB, files map[string]string, more func(folder string)) string {
	t.Helper()
	folder := tree(t, files)
	if more != nil {
		more(folder)
	}
	return folder
}

// request makes a scope of "GET /path?query" and lines "Name: value".
func request(line string, fields ...string) *backline.Scope {
	method, target, _ := strings.Cut(line, " ")
	path, query, _ := strings.Cut(target, "?")
	scope := &backline.Scope{Method: []byte(method), Target: []byte(target), Path: []byte(path), Query: []byte(query)}
	scope.Fields = fieldsOf(fields...)
	return scope
}

func fieldsOf(lines ...string) (fields []backline.Field) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		fields = append(fields, backline.Field{Name: []byte(name), Value: []byte(value)})
	}
	return fields
}

// seen is an answer as a client sees it.
type seen struct {
	status int
	fields map[string]string
	body   string
	length int64
}

// see reads an answer to its end and closes it. It fails where the answer contradicts itself.
func see(t testing.TB, a *Answer) seen {
	t.Helper()
	if a == nil {
		t.Fatal("expected an answer, got none: the application would answer")
	}
	defer a.Close()
	s := seen{status: a.Status, fields: map[string]string{}, length: a.Length}
	for _, f := range a.Fields {
		name := string(f.Name)
		if _, twice := s.fields[name]; twice && name != "Set-Cookie" {
			t.Errorf("%s stands there twice", name)
		}
		if !backline.ValidFieldName(f.Name) || !backline.ValidFieldValue(f.Value) {
			t.Errorf("%q: %q is no valid field", f.Name, f.Value)
		}
		s.fields[name] = string(f.Value)
	}
	for _, part := range a.Parts {
		piece := make([]byte, part.Length)
		if part.File == nil {
			copy(piece, part.Data)
		} else if n, err := part.File.ReadAt(piece, part.Offset); n < len(piece) {
			t.Errorf("%d bytes of %d: %v", n, len(piece), err)
		}
		s.body += string(piece)
	}
	if len(a.Parts) > 0 && int64(len(s.body)) != a.Length {
		t.Errorf("the body has %d bytes, Length says %d", len(s.body), a.Length)
	}
	return s
}

func (s seen) String() string { return fmt.Sprintf("%d %v %.80q", s.status, s.fields, s.body) }

// counts gives how many descriptors this process has open on files below a folder.
func counts(t testing.TB, folder string) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not list a process's descriptors")
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(target, folder+"/") {
			n++
		}
	}
	return n
}

func logTo(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
