package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"backline/dispatch"
	"backline/supervisor"
)

// checkCommand finds out whether the settings are right and the application can be imported and started, without
// serving anybody.
func checkCommand(p *process) *cobra.Command {
	command := &cobra.Command{
		Use:   "check [APP]",
		Short: "Check the settings, import and start the application, and stop: for before a deploy",
		Args:  cobra.MaximumNArgs(1),
	}
	flags := bindSettings(command)
	command.RunE = func(c *cobra.Command, args []string) error {
		loaded, err := p.load(flags, args)
		if err != nil {
			return err
		}
		config := &loaded.Config
		if config.App == "" {
			fmt.Fprintln(p.stdout, "The settings are right. No application was named, so none was imported.")
			return nil
		}
		config.Workers = 1
		log, err := openLog(config, p.stderr)
		if err != nil {
			return err
		}
		warn(log, loaded)
		app, err := newApplication(p, config)
		if err != nil {
			return err
		}
		dispatcher := dispatch.New(dispatch.Options{Log: log})
		workers, err := supervisor.New(app.supervise(config, log, newObserver(dispatcher), app.defaults(nil)))
		if err != nil {
			return err
		}
		all := newParts(c.Context())
		running := all.start(workers.Run)
		select {
		case <-workers.Ready():
		case err := <-running.ended:
			return err
		}
		up := dispatcher.Serving()
		if err := errors.Join(all.stop()); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "The settings are right, and %s starts (%s, %s).\n", up.Application, up.Interface, up.Interpreter)
		return nil
	}
	return command
}
