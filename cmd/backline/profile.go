package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"backline"
	"backline/control"
)

// profileCommand samples workers into a file for https://www.speedscope.app.
func profileCommand(p *process) *cobra.Command {
	command := &cobra.Command{
		Use:   "profile [WORKER]",
		Short: "Sample the server's workers, or one (web.1, or its pid), into a file for https://www.speedscope.app",
		Args:  cobra.MaximumNArgs(1),
	}
	var which whichServer
	which.bind(command)
	seconds := command.Flags().Float64("seconds", 10, "how long to sample")
	rate := command.Flags().Int("rate", 100, "samples a second")
	output := command.Flags().StringP("output", "o", "profile.json", "the file to write")
	command.RunE = func(c *cobra.Command, args []string) error {
		how := control.Sampling{For: time.Duration(*seconds * float64(time.Second)), Rate: *rate}
		if err := how.Check(); err != nil {
			return err
		}
		client, err := p.server(c.Context(), which)
		if err != nil {
			return err
		}
		// Before the samples are taken, because they would be lost.
		file, err := os.Create(p.path(*output))
		if err != nil {
			return &backline.Error{
				Op: "write the profile", Code: backline.CodeUsage, Err: err, Hint: "name another file with -o",
			}
		}
		defer file.Close()
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt)
		defer stop()
		all, err := client.Profile(ctx, strings.Join(args, ""), how)
		if ctx.Err() != nil {
			err = &backline.Error{Op: "profile", Code: backline.CodeUsage, Message: "given up: no file is written"}
		}
		if err == nil {
			err = p.writeProfile(ctx, client, file, all)
		}
		if err != nil {
			_ = os.Remove(file.Name())
		}
		return err
	}
	return command
}

func (p *process) writeProfile(
	ctx context.Context, client *control.Client, file *os.File, all []control.Profile,
) error {
	who, err := client.Identity(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s, %s", who.App, time.Now().Format("2006-01-02 15:04:05"))
	speedscope := control.ToSpeedscope(name, "backline "+version, all)
	if err := json.NewEncoder(file).Encode(speedscope); err != nil {
		return &backline.Error{Op: "write the profile", Code: backline.CodeUsage, Err: err}
	}
	for _, each := range all {
		if each.Error != "" {
			fmt.Fprintf(p.stderr, "%s: %s\n", each.Worker, each.Error)
			continue
		}
		fmt.Fprintf(p.stdout, "%s: %s in %.1f s, which took %.1f %% of a processor\n", each.Worker,
			count(each.Samples, "sample"), each.Seconds, 100*each.Cost/max(each.Seconds, 0.001))
		if each.Note != "" {
			fmt.Fprintf(p.stdout, "  %s\n", each.Note)
		}
	}
	path, err := filepath.Abs(file.Name())
	if err != nil {
		path = file.Name()
	}
	fmt.Fprintf(p.stdout, "Written to %s: open https://www.speedscope.app and drop it there. "+
		"The page sends it nowhere; offline: npx speedscope %s\n", path, pretty(path))
	return nil
}
