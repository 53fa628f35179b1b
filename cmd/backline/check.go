package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"backline/accesslog"
	"backline/config"
	"backline/dispatch"
	"backline/supervisor"
	"backline/wire"
)

// checkCommand finds out whether the settings are right and the application can be imported and started, without
// serving anybody.
func checkCommand(p *process) *cobra.Command {
	command := &cobra.Command{
		Use:   "check [APP]",
		Short: "Check the settings, import and start the application, and stop: for before a deploy",
		Args:  cobra.ArbitraryArgs,
	}
	flags := bindSettings(command)
	command.RunE = func(c *cobra.Command, args []string) error {
		loaded, err := p.load(flags, args)
		if err != nil {
			return err
		}
		log, err := checkSettings(p, loaded)
		if err != nil {
			return err
		}
		if loaded.Config.App == "" {
			fmt.Fprintln(p.stdout, "The settings are right. No application was named, so none was imported.")
			return nil
		}
		up, err := tryApplication(c.Context(), p, &loaded.Config, log)
		if err == nil {
			fmt.Fprintf(p.stdout, "The settings are right, and %s starts (%s, %s).\n",
				up.Application, interfaceName(up.Interface), up.Interpreter)
			for _, note := range up.Notes {
				fmt.Fprintf(p.stdout, "Note: %s\n", note)
			}
		}
		return err
	}
	return command
}

// checkSettings judges what the settings alone cannot: values that other parts understand, and the surroundings.
// Addresses are not bound, because the server that is to be replaced still listens there.
func checkSettings(p *process, loaded *config.Loaded) (*journal, error) {
	c := &loaded.Config
	log, err := openJournal(c, p.stderr)
	if err != nil {
		return nil, err
	}
	warn(log, loaded)
	if _, err := accesslog.Compile(c.AccessLogformat); err != nil {
		return nil, loaded.Mistake("access_logformat", err)
	}
	if _, err := measure(c.LimitConnections, c.Workers); err != nil {
		return nil, err
	}
	return log, checkTempDir(loaded)
}

// tryApplication starts one worker and stops it when it is up.
func tryApplication(ctx context.Context, p *process, c *config.Config, log *journal) (wire.Up, error) {
	c.Workers = 1
	app, err := newApplication(p, c)
	if err != nil {
		return wire.Up{}, err
	}
	dispatcher := dispatch.New(dispatch.Options{Log: log.Logger})
	workers, err := supervisor.New(app.supervise(c, log, newObserver(dispatcher), app.defaults(nil)))
	if err != nil {
		return wire.Up{}, err
	}
	all := newParts(ctx)
	all.start(workers.Run)
	select {
	case <-workers.Ready():
		return dispatcher.Serving(), all.stop()
	case part := <-all.ended:
		return wire.Up{}, part.err
	}
}
