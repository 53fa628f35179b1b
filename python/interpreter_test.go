package python

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"backline"
)

// install makes empty executables (and pyvenv.cfg files, which are what makes a virtual environment) below root.
func install(t *testing.T, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFindInterpreter(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files    []string
		explicit string
		env      []string // $ROOT is replaced
		want     string   // path below the root, then source, then environment
	}{
		"the active environment first": {
			files: []string{"env/bin/python3", ".venv/bin/python3", "bin/python3"},
			env:   []string{"VIRTUAL_ENV=$ROOT/env", "PATH=$ROOT/bin"},
			want:  "env/bin/python3 VIRTUAL_ENV env",
		},
		"the last VIRTUAL_ENV counts": {
			files: []string{"one/bin/python3", "two/bin/python3"},
			env:   []string{"VIRTUAL_ENV=$ROOT/one", "VIRTUAL_ENV=$ROOT/two"},
			want:  "two/bin/python3 VIRTUAL_ENV two",
		},
		"a deleted environment is passed over": {
			files: []string{".venv/bin/python3", "venv/bin/python3"},
			env:   []string{"VIRTUAL_ENV=$ROOT/gone"},
			want:  ".venv/bin/python3 ./.venv .venv",
		},
		"venv after .venv": {files: []string{"venv/bin/python"}, want: "venv/bin/python ./venv venv"},
		"PATH last": {
			files: []string{"bin/python3", "bin/python"},
			env:   []string{"PATH=/nowhere:$ROOT/bin"},
			want:  "bin/python3 PATH ",
		},
		"PATH in an environment": {
			files: []string{"env/bin/python3", "env/pyvenv.cfg"},
			env:   []string{"PATH=$ROOT/env/bin"},
			want:  "env/bin/python3 PATH env",
		},
		"explicit path": {
			files:    []string{"some/python", ".venv/bin/python3"},
			explicit: "$ROOT/some/python",
			want:     "some/python --python ",
		},
		"explicit relative path": {files: []string{"some/python"}, explicit: "./some/python", want: "some/python --python "},
		"explicit path in an environment": {
			files:    []string{"env/bin/python", "env/pyvenv.cfg"},
			explicit: "env/bin/python",
			want:     "env/bin/python --python env",
		},
		"explicit environment": {files: []string{"env/bin/python3"}, explicit: "env", want: "env/bin/python3 --python env"},
		"explicit environment, hidden, with a slash": {
			files:    []string{".env/bin/python3"},
			explicit: ".env/",
			want:     ".env/bin/python3 --python .env",
		},
		"explicit name on PATH": {
			files:    []string{"bin/python3.12", "python3.12"},
			explicit: "python3.12",
			env:      []string{"PATH=$ROOT/bin"},
			want:     "bin/python3.12 --python ",
		},
		"explicit name in the folder": {files: []string{"mypython"}, explicit: "mypython", want: "mypython --python "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			install(t, root, test.files...)
			explicit := strings.ReplaceAll(test.explicit, "$ROOT", root)
			env := strings.Split(strings.ReplaceAll(strings.Join(test.env, "\n"), "$ROOT", root), "\n")
			got, err := FindInterpreter(explicit, env, root)
			if err != nil {
				t.Fatal(err)
			}
			parts := strings.Split(test.want, " ")
			want := Interpreter{Path: filepath.Join(root, parts[0]), Source: parts[1]}
			if parts[2] != "" {
				want.VirtualEnv = filepath.Join(root, parts[2])
			}
			if got != want {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestFindInterpreterDoesNotResolveLinks(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	install(t, root, "usr/python3", ".venv/bin/activate")
	link := filepath.Join(root, ".venv", "bin", "python3")
	if err := os.Symlink(filepath.Join(root, "usr", "python3"), link); err != nil {
		t.Fatal(err)
	}
	if got, err := FindInterpreter("", nil, root); err != nil || got.Path != link {
		t.Errorf("got %+v, %v, want the link %s", got, err, link)
	}
}

func TestFindInterpreterFails(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	install(t, root, "relative/python3", ".venv/bin/python3")
	notExecutable := filepath.Join(root, "text")
	if err := os.WriteFile(notExecutable, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, filepath.Join(root, "relative"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		explicit, dir string
		env           []string
		says          []string
	}{
		"nothing anywhere": {
			dir:  empty,
			env:  []string{"PATH=/nowhere", "VIRTUAL_ENV=/gone"},
			says: []string{"/gone/bin/python3", empty + "/.venv/bin/python3", empty + "/venv/bin/python3", "(/nowhere)"},
		},
		"nothing set": {
			dir:  empty,
			says: []string{"$VIRTUAL_ENV (not set)", "python3 on PATH ()"},
		},
		"relative PATH": {
			dir:  empty,
			env:  []string{"PATH=:.:" + relative},
			says: []string{"python3 on PATH"},
		},
		"explicit is never replaced": {
			dir:      root,
			explicit: "python9",
			env:      []string{"PATH=/nowhere"},
			says:     []string{"--python python9", "python9 on PATH (/nowhere)"},
		},
		"explicit path not executable": {dir: root, explicit: notExecutable, says: []string{notExecutable}},
		"explicit folder without bin":  {dir: root, explicit: "./relative", says: []string{root + "/relative/bin/python3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := FindInterpreter(test.explicit, test.env, test.dir)
			var failure *backline.Error
			if !errors.As(err, &failure) || failure.Code != backline.CodeUsage || failure.Hint == "" {
				t.Fatalf("got %+v, %v, want a backline.Error with CodeUsage and a hint", got, err)
			}
			for _, part := range test.says {
				if !strings.Contains(failure.Message, part) {
					t.Errorf("message %q does not say %q", failure.Message, part)
				}
			}
		})
	}
}
