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
	"backline/handover"
)

// Set by the build (ci/build.sh).
var (
	version = "0.1.0"
	commit  = "unknown" //nolint:gochecknoglobals // the linker's, as version is
)

func main() {
	home, _ := os.Getwd() // by the name that the shell gave it: a link in it may point elsewhere later
	os.Exit(run(context.Background(), process{
		command: os.Args, home: home,
		args: os.Args[1:], environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr,
	}))
}

// process is what a command has of the world, so that tests can run the whole program in theirs.
type process struct {
	command        []string // with which it was started, program included
	home           string   // where it was started
	args, environ  []string
	dir            string // "" for the working directory
	stdout, stderr io.Writer
	signals        <-chan os.Signal      // nil: the process's own
	predecessor    *handover.Predecessor // whose place it takes, nil for nobody's
}

// run is the program. It gives the exit status.
func run(ctx context.Context, p process) int {
	var err error
	if p.environ, p.predecessor, err = handover.Inherit(p.environ); err == nil {
		err = rootCommand(&p).ExecuteContext(ctx)
	}
	if err == nil {
		return 0
	}
	return tell(p.stderr, err)
}

// rootCommand is `backline` alone, which says what there is.
func rootCommand(p *process) *cobra.Command {
	root := &cobra.Command{
		Use:                        "backline",
		Version:                    versionText(),
		SuggestionsMinimumDistance: 2,
		Args:                       cobra.ArbitraryArgs,
		SilenceUsage:               true,
		SilenceErrors:              true,
	}
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return unknownCommand(args[0], c.SuggestionsFor(args[0]))
	}
	ordinary := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if c == root {
			fmt.Fprint(p.stdout, overview)
			return
		}
		ordinary(c, args)
	})
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(serveCommand(p), checkCommand(p), settingsCommand(p), versionCommand(p),
		psCommand(p), stacksCommand(p), profileCommand(p))
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetArgs(p.args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	return root
}

const overview = `Backline serves Python web applications (WSGI and ASGI) from supervised worker processes.

  backline serve mysite.wsgi     serve an application on http://127.0.0.1:8000
  backline check mysite.wsgi     check the settings, import and start the application, and stop
  backline ps                    what the server that runs here does: workers, requests, what waits
  backline stacks                where each of its threads, tasks and greenlets is
  backline profile               where it spends its time
  backline settings              every setting, its value and where it came from
  backline version               the version

backline serve --help lists the flags. A backline.toml in the working directory is read.
`

// unknownCommand explains a word that is none of ours: a mistyped one, or an application without "serve".
func unknownCommand(word string, near []string) error {
	hint := "backline --help lists the commands"
	switch {
	case len(near) > 0:
		hint = "did you mean backline " + near[0] + "?"
	case strings.ContainsAny(word, ".:/"):
		hint = "to serve an application, write: backline serve " + word
	}
	return &backline.Error{Code: backline.CodeUsage, Message: fmt.Sprintf("there is no command %q", word), Hint: hint}
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
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		parts := joined.Unwrap()
		all := make([]error, 0, len(parts))
		for _, each := range parts {
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
