package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"backline/config"
)

// settingsCommand prints the table of settings with their values and where each came from.
func settingsCommand(p *process) *cobra.Command {
	command := &cobra.Command{
		Use:   "settings [APP]",
		Short: "Print every setting, its value and where it came from",
		Args:  cobra.ArbitraryArgs,
	}
	flags := bindSettings(command)
	command.RunE = func(_ *cobra.Command, args []string) error {
		loaded, err := p.load(flags, args)
		if err != nil {
			return err
		}
		return config.WriteTable(p.stdout, loaded)
	}
	return command
}

// versionCommand prints what this is.
func versionCommand(p *process) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.stdout, versionText())
			return err
		},
	}
}

func versionText() string {
	return fmt.Sprintf("backline %s (%s, %s, %s/%s)", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// bindSettings gives a command the settings' flags and their help.
func bindSettings(command *cobra.Command) *config.Flags {
	command.Flags().SortFlags = false
	flags := config.Bind(command.Flags())
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flags.Explain(err) })
	command.SetUsageFunc(func(c *cobra.Command) error {
		call := c.CommandPath() + c.Use[len(c.Name()):]
		_, err := fmt.Fprintf(c.OutOrStdout(), "Usage: %s [flags]\n\n%s", call, flags.Usages(terminalWidth))
		return err
	})
	return flags
}

// terminalWidth is what help is wrapped to.
const terminalWidth = 100

// load works the settings out.
func (p *process) load(flags *config.Flags, args []string) (*config.Loaded, error) {
	return config.Loader{Environ: p.environ, Dir: p.dir}.Load(flags, args)
}

// warn logs what the settings gave rise to.
func warn(log *journal, loaded *config.Loaded) {
	for _, text := range loaded.Warnings {
		log.Warn(text)
	}
}
