package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"backline/accesslog"
	"backline/config"
	"backline/tcp"
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
		log, err := checkSettings(c.Context(), p, loaded)
		if err != nil {
			return err
		}
		if len(loaded.Pools) == 0 {
			fmt.Fprintln(p.stdout, "The settings are right. No application was named, so none was imported.")
			return nil
		}
		found, err := tryApplications(c.Context(), p, loaded, log)
		for _, up := range found {
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
func checkSettings(ctx context.Context, p *process, loaded *config.Loaded) (*journal, error) {
	c := &loaded.Config
	log, err := openJournal(c, p.stderr)
	if err != nil {
		return nil, err
	}
	warn(log, loaded)
	if err := p.findDjango(ctx, loaded, log); err != nil {
		return nil, err
	}
	if _, err := accesslog.Compile(c.AccessLogformat); err != nil {
		return nil, loaded.Mistake("access_logformat", err)
	}
	if _, err := measure(c); err != nil {
		return nil, err
	}
	if _, err := gateOptions(loaded); err != nil {
		return nil, err
	}
	if err := checkGripKeys(loaded); err != nil {
		return nil, err
	}
	if err := checkCertificates(p, c); err != nil {
		return nil, err
	}
	if _, err := openFiles(p, loaded, log.Logger); err != nil {
		return nil, err
	}
	return log, checkTempDir(loaded)
}

// tryApplications starts one worker of each application and stops them when they are up.
func tryApplications(ctx context.Context, p *process, loaded *config.Loaded, log *journal) ([]wire.Up, error) {
	for i := range loaded.Pools {
		c := &loaded.Pools[i].Config
		c.Workers, c.Reload = 1, false
	}
	workers, err := newPools(p, loaded, log, nil, func(*config.Pool) tcp.Options { return tcp.Options{} }, func(bool) {})
	if err != nil {
		return nil, err
	}
	all := newParts(ctx)
	all.start(workers.Run)
	for _, up := range workers.up(false) {
		select {
		case <-up:
		case part := <-all.ended:
			return nil, part.err
		}
	}
	var found []wire.Up
	for _, each := range workers.all {
		found = append(found, each.serving())
	}
	return found, errors.Join(workers.checkSockets(), all.stop())
}
