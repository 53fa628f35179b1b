package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEveryRowIsComplete(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		if s.Key == "" || s.Kind == "" || s.Unit == "" || s.Group == "" || s.field == nil {
			t.Errorf("row %q lacks a key, kind, unit, group or field", s.Key)
		}
		if len(s.Help) < 60 || !strings.HasSuffix(s.Help, ".") {
			t.Errorf("%s: the help is not a paragraph: %q", s.Key, s.Help)
		}
		if s.Kind == KindChoice && !slices.Contains(s.Choices, s.Default) {
			t.Errorf("%s: the default %q is not among %v", s.Key, s.Default, s.Choices)
		}
		if s.Default == "" && s.Zero == "" {
			t.Errorf("%s: nothing says what leaving it out means", s.Key)
		}
		if s.numeric() && s.Min == "" && s.Zero == "" {
			t.Errorf("%s: 0 is allowed and nothing says what it means", s.Key)
		}
		if s.Min != "" && s.Zero != "" {
			t.Errorf("%s: 0 is not allowed and yet has a meaning", s.Key)
		}
	}
}

func TestEveryDefaultIsValidAndShownAsWritten(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		var c Config
		if err := s.apply(&c, s.defaults()); err != nil {
			t.Errorf("%s: its own default: %v", s.Key, err)
			continue
		}
		again := s.show(&c)
		var d Config
		if err := s.apply(&d, []string{again}); err != nil && !s.list() {
			t.Errorf("%s: shown as %q, which it does not take: %v", s.Key, again, err)
		}
		if !s.list() && !reflect.DeepEqual(c, d) {
			t.Errorf("%s: shown as %q, which is another value", s.Key, again)
		}
	}
}

// TestLimitsParse guards what ranged takes for granted.
func TestLimitsParse(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		if (s.Min != "" || s.Max != "") && !s.numeric() {
			t.Errorf("%s: a %s has no limits", s.Key, s.Kind)
		}
		for _, limit := range []string{s.Min, s.Max} {
			var c Config
			if limit == "" || s.check != nil {
				continue
			}
			if err := s.apply(&c, []string{limit}); err != nil {
				t.Errorf("%s: its own limit %q: %v", s.Key, limit, err)
			}
		}
		if s.numeric() {
			var c Config
			if err := s.apply(&c, []string{"-1"}); err == nil {
				t.Errorf("%s takes -1", s.Key)
			}
		}
	}
}

func TestNamesAreUniqueAndWellFormed(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	claim := func(name, key string) {
		if owner, taken := seen[name]; taken {
			t.Errorf("%s belongs to %s and %s", name, owner, key)
		}
		seen[name] = key
	}
	positional := 0
	for _, s := range Settings() {
		claim("key "+s.Key, s.Key)
		if strings.Trim(s.Key, "abcdefghijklmnopqrstuvwxyz_0123456789") != "" {
			t.Errorf("%q is not a key", s.Key)
		}
		if s.positional() {
			positional++
		}
		for _, flag := range s.Flags {
			claim("--"+flag, s.Key)
			if s.Kind == KindBool {
				claim("--no-"+flag, s.Key)
			}
			if hint, known := insteadOf(flag); known {
				t.Errorf("--%s exists and is also explained away: %s", flag, hint)
			}
		}
		if s.Short != "" {
			claim("-"+s.Short, s.Key)
		}
	}
	if positional != 1 {
		t.Errorf("%d rows are arguments, want 1", positional)
	}
}

// TestEveryFieldHasOneRow finds a field of Config that no row sets, and two rows that set the same.
func TestEveryFieldHasOneRow(t *testing.T) {
	t.Parallel()
	var c Config
	rows := map[uintptr][]string{}
	kinds := map[Kind][]reflect.Type{
		KindString: {reflect.TypeFor[string]()}, KindChoice: {reflect.TypeFor[string]()},
		KindStrings: {reflect.TypeFor[[]string]()}, KindPairs: {reflect.TypeFor[[]string]()},
		KindInt: {reflect.TypeFor[int]()}, KindBool: {reflect.TypeFor[bool]()}, KindSize: {reflect.TypeFor[int64]()},
		KindDuration: {reflect.TypeFor[time.Duration]()}, KindOctal: {reflect.TypeFor[fs.FileMode]()},
	}
	for _, s := range Settings() {
		pointer := reflect.ValueOf(s.field(&c))
		rows[pointer.Pointer()] = append(rows[pointer.Pointer()], s.Key)
		if !slices.Contains(kinds[s.Kind], pointer.Type().Elem()) {
			t.Errorf("%s: a %s is stored in a %s", s.Key, s.Kind, pointer.Type().Elem())
		}
	}
	fields := reflect.ValueOf(&c).Elem()
	for i := range fields.NumField() {
		address := fields.Field(i).Addr().Pointer()
		if keys := rows[address]; len(keys) != 1 {
			t.Errorf("Config.%s is set by %d rows, want 1: %v", fields.Type().Field(i).Name, len(keys), keys)
		}
		delete(rows, address)
	}
	if len(rows) > 0 {
		t.Errorf("rows that set no field of Config: %v", rows)
	}
}

func TestSettingsIsAFreshTable(t *testing.T) {
	t.Parallel()
	first := Settings()
	first[0].Key, first[1].Flags[0] = "changed", "changed"
	if second := Settings(); second[0].Key == "changed" || second[1].Flags[0] == "changed" {
		t.Error("a change of one table shows in the next")
	}
}

func TestPairsAreShownWithoutValues(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		if s.Kind != KindPairs {
			continue
		}
		pair := []string{"TOKEN=hunter2"}
		c := Config{Env: pair, GripKeys: pair}
		if shown := s.show(&c); strings.Contains(shown, "hunter2") || !strings.Contains(shown, "TOKEN") {
			t.Errorf("%s is shown as %q: want the name without the value", s.Key, shown)
		}
	}
}

func TestSettingsPageIsCurrent(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	if err := WriteMarkdown(&want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("..", "docs", "settings.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Error("docs/settings.md differs from the table: run `go generate ./config`")
	}
	for _, s := range Settings() {
		if !strings.Contains(want.String(), "### `"+s.Key+"`") {
			t.Errorf("%s has no section on the page", s.Key)
		}
	}
}
