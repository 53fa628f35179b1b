package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"backline/control"
)

// stacksCommand shows where everything in the workers is.
func stacksCommand(p *process) *cobra.Command {
	command := &cobra.Command{
		Use:   "stacks [WORKER]",
		Short: "Show the stack of every thread, task and greenlet of the server's workers, or of one (web.1, or its pid)",
		Args:  cobra.MaximumNArgs(1),
	}
	var which whichServer
	which.bind(command)
	asJSON := command.Flags().Bool("json", false, "print what the server says, for programs")
	command.RunE = func(c *cobra.Command, args []string) error {
		client, err := p.server(c.Context(), which)
		if err != nil {
			return err
		}
		all, err := client.Stacks(c.Context(), strings.Join(args, ""))
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(p.stdout, all)
		}
		for i, each := range all {
			if i > 0 {
				fmt.Fprintln(p.stdout)
			}
			writeStacks(p.stdout, &each)
		}
		return nil
	}
	return command
}

func writeStacks(w io.Writer, worker *control.Stacks) {
	fmt.Fprintf(w, "%s, pid %d\n", worker.Worker, worker.PID)
	if worker.Error != "" {
		fmt.Fprintf(w, "  %s\n", worker.Error)
	}
	for _, each := range worker.Stacks {
		fmt.Fprintf(w, "\n%s\n", heading(&each))
		for _, request := range each.Requests {
			fmt.Fprintf(w, "  for %s %s, %s, %s\n", request.Method, printable(request.Target), request.State, age(request.Age))
		}
		fmt.Fprint(w, each.Text)
	}
	if worker.More > 0 {
		fmt.Fprintf(w, "\nand %d more\n", worker.More)
	}
}

// heading is "thread backline-2 and 3 more, waits for work".
func heading(s *control.Stack) string {
	text := s.Kind
	if len(s.Names) > 0 {
		text += " " + s.Names[0]
	}
	if s.Count > 1 {
		text += fmt.Sprintf(" and %d more", s.Count-1)
	}
	if s.Note != "" {
		text += ", " + s.Note
	}
	return text
}
