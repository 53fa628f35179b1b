// Command backline serves Python web applications. All wiring is here: the settings become each part's options, the
// parts are started in order and stopped in reverse.
//
// Read serve.go first; the other files are one command each.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"backline"
)

// Set by the build (ci/build.sh).
var (
	version = "0.1.0"
	commit  = "unknown"
)

func main() {
	os.Exit(run(context.Background(), process{
		args: os.Args[1:], environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr,
	}))
}

// process is what a command has of the world, so that tests can run the whole program in theirs.
type process struct {
	args, environ  []string
	dir            string // "" for the working directory
	stdout, stderr io.Writer
	signals        <-chan os.Signal // nil: the process's own
}

// run is the program. It gives the exit status.
func run(ctx context.Context, p process) int {
	root := &cobra.Command{
		Use:           "backline",
		Short:         "Serve Python web applications (WSGI and ASGI) from supervised worker processes",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(&p), checkCommand(&p), settingsCommand(&p), versionCommand(&p))
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetArgs(p.args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	return tell(p.stderr, err)
}

// tell writes errors for people and gives the exit status.
func tell(w io.Writer, err error) int {
	status := 0
	for _, each := range flatten(err) {
		e := asUsage(each)
		if e.Detail != "" {
			fmt.Fprintln(w, strings.TrimRight(e.Detail, "\n"))
		}
		fmt.Fprintf(w, "backline: %s\n", e.Error())
		if e.Hint != "" {
			fmt.Fprintf(w, "  %s\n", e.Hint)
		}
		if status == 0 {
			status = e.Code.ExitStatus()
		}
	}
	return status
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the outermost is meant
		var all []error
		for _, each := range joined.Unwrap() {
			all = append(all, flatten(each)...)
		}
		return all
	}
	return []error{err}
}

// asUsage gives err as one of ours; what cobra says itself (an unknown command) is about the call.
func asUsage(err error) *backline.Error {
	if e, ok := errors.AsType[*backline.Error](err); ok {
		return e
	}
	return &backline.Error{Code: backline.CodeUsage, Err: err, Hint: "backline --help lists the commands"}
}
