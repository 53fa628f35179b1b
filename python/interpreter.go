package python

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"backline"
)

// Interpreter is the Python that runs the workers.
type Interpreter struct {
	// Path is absolute and not resolved: the python of a virtual environment is a symbolic link, and only called by
	// that name does it find the environment's packages.
	Path string
	// Source says why it was chosen, for the lines at start: "--python", "VIRTUAL_ENV", "./.venv", "./venv" or "PATH".
	Source string
	// VirtualEnv is the folder of the virtual environment, "" where none was recognised.
	VirtualEnv string
}

// names are what an interpreter is called in a virtual environment's bin folder. On PATH only python3 counts: python
// alone still is a Python 2 there on some machines.
func names() []string { return []string{"python3", "python"} }

// FindInterpreter chooses the interpreter without running anything: explicit (the value of --python: a path, a name to
// look up on PATH, or the folder of a virtual environment) if it is not "", else $VIRTUAL_ENV, else .venv, else venv,
// both in dir, else python3 on PATH. env has the form of os.Environ and relative paths start from dir.
//
// An explicit interpreter that does not exist is an error, never a reason to take another one. The others are passed
// over when they do not exist. All errors are *backline.Error with CodeUsage and say what was tried.
func FindInterpreter(explicit string, env []string, dir string) (Interpreter, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Interpreter{}, notFound("", []string{err.Error()})
	}
	if explicit != "" {
		return findExplicit(explicit, env, dir)
	}
	var tried []string
	for _, place := range []struct{ source, folder string }{
		{"VIRTUAL_ENV", lookup(env, "VIRTUAL_ENV")},
		{"./.venv", ".venv"},
		{"./venv", "venv"},
	} {
		if place.folder == "" {
			tried = append(tried, "$"+place.source+" (not set)")
			continue
		}
		folder := absolute(dir, place.folder)
		if path := inVirtualEnv(folder); path != "" {
			return Interpreter{Path: path, Source: place.source, VirtualEnv: folder}, nil
		}
		tried = append(tried, filepath.Join(folder, "bin", "python3"))
	}
	if path := onPath("python3", env); path != "" {
		return Interpreter{Path: path, Source: "PATH", VirtualEnv: virtualEnvOf(path)}, nil
	}
	return Interpreter{}, notFound("", append(tried, "python3 on PATH ("+lookup(env, "PATH")+")"))
}

func findExplicit(explicit string, env []string, dir string) (Interpreter, error) {
	path := absolute(dir, explicit)
	tried := []string{path, filepath.Join(path, "bin", "python3")}
	if found := inVirtualEnv(path); found != "" {
		return Interpreter{Path: found, Source: "--python", VirtualEnv: path}, nil
	}
	// A bare name means PATH first, as in a shell; a file of that name here is second.
	if !strings.ContainsRune(explicit, filepath.Separator) {
		if found := onPath(explicit, env); found != "" {
			return Interpreter{Path: found, Source: "--python", VirtualEnv: virtualEnvOf(found)}, nil
		}
		tried = append(tried, explicit+" on PATH ("+lookup(env, "PATH")+")")
	}
	if executable(path) {
		return Interpreter{Path: path, Source: "--python", VirtualEnv: virtualEnvOf(path)}, nil
	}
	return Interpreter{}, notFound(explicit, tried)
}

func notFound(explicit string, tried []string) error {
	failure := &backline.Error{
		Op:      "find Python",
		Code:    backline.CodeUsage,
		Message: "expected an interpreter, found none; tried " + strings.Join(tried, ", "),
		Hint:    "name it with --python (a path, a name such as python3.12, or a virtual environment's folder)",
	}
	if explicit != "" {
		failure.Message = "--python " + explicit + ": expected an executable file or a virtual environment; tried " +
			strings.Join(tried, ", ")
		failure.Hint = "name one that exists, or leave --python away to take the virtual environment or python3 on PATH"
	}
	return failure
}

// lookup finds a variable in env. The last one wins, as it does in os/exec.
func lookup(env []string, name string) string {
	for _, entry := range slices.Backward(env) {
		if key, value, _ := strings.Cut(entry, "="); key == name {
			return value
		}
	}
	return ""
}

// onPath is exec.LookPath for an environment other than our own. Relative folders on PATH are passed over, for the
// reason for which LookPath refuses them: what runs should not depend on where somebody stands.
func onPath(name string, env []string) string {
	for _, folder := range filepath.SplitList(lookup(env, "PATH")) {
		if path := filepath.Join(folder, name); filepath.IsAbs(folder) && executable(path) {
			return path
		}
	}
	return ""
}

func inVirtualEnv(folder string) string {
	for _, name := range names() {
		if path := filepath.Join(folder, "bin", name); executable(path) {
			return path
		}
	}
	return ""
}

// virtualEnvOf gives the environment that an interpreter belongs to, by the file that PEP 405 defines for it.
func virtualEnvOf(path string) string {
	folder := filepath.Dir(filepath.Dir(path))
	if _, err := os.Stat(filepath.Join(folder, "pyvenv.cfg")); err != nil {
		return ""
	}
	return folder
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
