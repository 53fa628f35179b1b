package grip

import (
	"slices"
	"strings"
	"testing"

	"backline"
)

func read(t *testing.T, fields ...string) (*Instruct, error) {
	t.Helper()
	var all []backline.Field
	for _, each := range fields {
		name, value, _ := strings.Cut(each, ": ")
		all = append(all, backline.Field{Name: []byte(name), Value: []byte(value)})
	}
	return Read(200, nil, all, nil)
}

func TestReadSession(t *testing.T) {
	t.Parallel()
	in, err := read(t, "Grip-Session-Id: s-1", "Grip-Session-Detect: path-prefix=/poll; sid-ptr=/session/id",
		`Grip-Session-Detect: path-prefix="/form"; json-param=data; sid-ptr="/0", path-prefix=/more; sid-ptr=/s`,
		"Grip-Last: a; last-id=5, b; last-id=7", "Grip-Last: c; last-id=")
	if err != nil {
		t.Fatal(err)
	}
	want := []Detect{{"/poll", "/session/id", ""}, {"/form", "/0", "data"}, {"/more", "/s", ""}}
	last := []Last{{"a", "5"}, {"b", "7"}, {"c", ""}}
	if s := in.Session; s.ID != "s-1" || !slices.Equal(s.Detects, want) || !slices.Equal(s.Last, last) {
		t.Errorf("%+v", s)
	}
	for _, wrong := range []string{
		"Grip-Session-Detect: path-prefix=/poll", "Grip-Session-Detect: sid-ptr=/id", "Grip-Session-Detect: path-prefix=/p; sid-ptr=id",
		"Grip-Session-Detect: ", "Grip-Last: a", "Grip-Last: ; last-id=5",
	} {
		if _, err := read(t, wrong); err == nil || !strings.Contains(err.Error(), "; expected ") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestDetectFind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pointer, param, body, want string }{
		{"/id", "", `{"id": "s"}`, "s"},
		{"/a/b", "", `{"a": {"b": "s"}}`, "s"},
		{"/1/id", "", `[0, {"id": "s"}]`, "s"},
		{"/a~1b/~0", "", `{"a/b": {"~": "s"}}`, "s"},
		{"/", "", `{"": "s"}`, "s"},
		{"/id", "data", "x=1&data=%7B%22id%22%3A+%22s%22%7D", "s"},
		{"/id", "", `{"id": 5}`, ""}, // numbers are no ids
		{"/id", "", `{"id": null}`, ""},
		{"/id", "", `{"other": "s"}`, ""},
		{"/id/more", "", `{"id": "s"}`, ""},
		{"/01", "", `["a", "s"]`, ""}, // RFC 6901 4: no leading zeros
		{"/2", "", `["a", "s"]`, ""},
		{"/-1", "", `["a", "s"]`, ""},
		{"/id", "", `{"id": "s"`, ""},
		{"/id", "", "", ""},
		{"/id", "data", "x=1", ""},
		{"/id", "data", "%zz", ""},
	} {
		d := Detect{Pointer: c.pointer, Param: c.param}
		if got := d.Find([]byte(c.body)); got != c.want {
			t.Errorf("%s of %s: %q, expected %q", c.pointer, c.body, got, c.want)
		}
	}
}
