package backline_test

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"testing"

	"backline"
)

// TestErrorsAreDocumented compares the catalogue of codes in error.go with the table of docs/errors.md, both ways.
func TestErrorsAreDocumented(t *testing.T) {
	t.Parallel()
	source, page := read(t, "error.go"), read(t, "docs/errors.md")
	declared := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^\tCode\w+\s+Code = "(\w+)"`).FindAllStringSubmatch(source, -1) {
		declared[found[1]] = true
	}
	if len(declared) < 5 {
		t.Fatalf("error.go declares %v: the pattern of this test does not fit it any more", declared)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [^|]+ \\| (\\d) \\|$").FindAllStringSubmatch(page, -1) {
		code := backline.Code(row[1])
		if !declared[row[1]] {
			t.Errorf("docs/errors.md has %q, which error.go does not declare", code)
		}
		if got := strconv.Itoa(code.ExitStatus()); got != row[2] {
			t.Errorf("docs/errors.md gives %q exit status %s, the code gives %s", code, row[2], got)
		}
		delete(declared, row[1])
	}
	for code := range declared {
		t.Errorf("docs/errors.md has no row for %q", code)
	}
}

func TestErrorIsOneLineOfWhatIsKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  backline.Error
		want string
	}{
		{backline.Error{Op: "bind :80", Message: "may not", Err: fs.ErrPermission}, "bind :80: may not: permission denied"},
		{backline.Error{Op: "bind :80", Err: fs.ErrPermission}, "bind :80: permission denied"},
		{backline.Error{Message: "no application", Hint: "name one", Detail: "Traceback"}, "no application"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestAsErrorFindsTheFirstOfOurs(t *testing.T) {
	t.Parallel()
	ours := &backline.Error{Code: backline.CodeBind, Err: fs.ErrPermission}
	if got := backline.AsError(fmt.Errorf("starting: %w", ours)); got != ours {
		t.Errorf("got %v, want the one inside", got)
	}
	stranger := errors.New("who knows")
	if got := backline.AsError(stranger); got.Code != backline.CodeInternal || !errors.Is(got, stranger) {
		t.Errorf("got %v with code %s, want an internal error around it", got, got.Code)
	}
	if !errors.Is(ours, fs.ErrPermission) {
		t.Error("the cause cannot be found")
	}
}
