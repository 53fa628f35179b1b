package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"backline"
	"backline/config"
	"backline/control"
)

// whichServer is how somebody says which server a command is about.
type whichServer struct{ socket, pid string }

func (w *whichServer) bind(command *cobra.Command) {
	command.Flags().StringVar(&w.socket, "socket", "", "the server's control socket (also BACKLINE_SOCKET)")
	command.Flags().StringVar(&w.pid, "pid", "", "the server with this process number, or with the one in this file")
}

// number gives the process number that was asked for, 0 for none.
func (w *whichServer) number(p *process) (int, error) {
	if w.pid == "" {
		return 0, nil
	}
	text := w.pid
	if content, err := os.ReadFile(p.path(w.pid)); err == nil {
		text = strings.TrimSpace(string(content))
	}
	pid, err := strconv.Atoi(text)
	if err != nil || pid <= 0 {
		return 0, &backline.Error{
			Op: "find the server", Code: backline.CodeUsage,
			Message: fmt.Sprintf("--pid %s is neither a process number nor a file with one", w.pid),
			Hint:    "name what the server was started with: --pid /run/mysite.pid",
		}
	}
	return pid, nil
}

func noPlace() error {
	return &backline.Error{
		Op: "find the server", Code: backline.CodeUsage,
		Message: "control_socket is off, or neither state_dir nor $HOME says where sockets are",
		Hint:    "name the server's socket: --socket PATH",
	}
}

// loadQuietly works the settings out that the folder and the environment give.
func (p *process) loadQuietly() (*config.Loaded, error) {
	return config.Loader{Environ: p.environ, Dir: p.dir}.Load(nil, nil)
}

// psCommand shows what a server does.
func psCommand(p *process) *cobra.Command {
	command := &cobra.Command{
		Use:   "ps",
		Short: "Show the workers of the server that runs here, their requests and what waits",
		Args:  cobra.NoArgs,
	}
	var which whichServer
	which.bind(command)
	asJSON := command.Flags().Bool("json", false, "print what the server says, for programs")
	atMost := command.Flags().Int("requests", 20, "how many requests to list for each worker and queue")
	command.RunE = func(c *cobra.Command, _ []string) error {
		client, err := p.server(c.Context(), which)
		if err != nil {
			return err
		}
		status, err := client.Status(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(p.stdout, status)
		}
		return writeStatus(p.stdout, &status, max(*atMost, 0))
	}
	return command
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func writeStatus(w io.Writer, status *control.Status, atMost int) error {
	fmt.Fprintf(w, "backline %s, pid %d, %s, started %s ago: %s in %s, on %s\n", status.Version, status.PID,
		status.Stage, age(status.Uptime), status.App, pretty(status.Folder), strings.Join(status.Addresses, " and "))
	for _, pool := range status.Pools {
		fmt.Fprintln(w)
		writeWorkers(w, &pool)
		writeRequests(w, &pool, atMost)
		if len(pool.Channels) > 0 {
			fmt.Fprintf(w, "\nthe pool %s works the channels %s off\n", pool.Name, strings.Join(pool.Channels, ", "))
		}
	}
	writeSockets(w, &status.Sockets, atMost)
	return nil
}

// writeSockets tells of the WebSockets that no worker has, and of groups whose members were too slow.
func writeSockets(w io.Writer, sockets *control.Sockets, atMost int) {
	if sockets.Held > 0 || sockets.Lost > 0 {
		fmt.Fprintf(w, "\n%s held by the server itself; %s waiting, %s lost with a worker\n", count(sockets.Held, "socket"),
			count(sockets.Waiting, "event"), count(int(min(sockets.Lost, math.MaxInt32)), "message"))
	}
	if len(sockets.Dropped) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nGROUP\tMISSED BY SLOW MEMBERS")
	for i, each := range sockets.Dropped {
		if i == atMost {
			fmt.Fprintf(table, "and %d more\t\n", len(sockets.Dropped)-i)
			break
		}
		fmt.Fprintf(table, "%s\t%d\n", printable(cmp.Or(each.Group, "(others)")), each.Count)
	}
	_ = table.Flush()
}

func writeWorkers(w io.Writer, pool *control.Pool) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WORKER\tPID\tSTATE\tLOOP\tUPTIME\tMEMORY\tSERVED\tIN FLIGHT\tSOCKETS\tSTALLS")
	for _, each := range pool.Workers {
		inFlight, stalls := "-", "-"
		if each.Concurrency > 0 {
			inFlight = fmt.Sprintf("%d of %d", each.InFlight, each.Concurrency)
			stalls = fmt.Sprintf("%d loop, %d busy", each.Stalls.Loop, each.Stalls.Busy)
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%d\t%s\t%d\t%s\n", each.Name, each.PID, each.State,
			cmp.Or(each.Loop, "-"), age(each.Uptime), memorySize(each.Memory), each.Served, inFlight, each.Sockets, stalls)
	}
	_ = table.Flush()
}

func writeRequests(w io.Writer, pool *control.Pool, atMost int) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	heading := "\nREQUEST IN\tAGE\tSTATE\tMETHOD\tPATH\n"
	list := func(where string, all []control.Request, total int) {
		for i, each := range all {
			if i == atMost {
				break
			}
			fmt.Fprint(table, heading)
			heading = ""
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", where, age(each.Age), each.State, each.Method, printable(each.Target))
		}
		if left := total - min(atMost, len(all)); left > 0 && atMost > 0 {
			fmt.Fprintf(table, "%s\t\t\t\tand %d more\n", where, left)
		}
	}
	for _, each := range pool.Workers {
		list(each.Name, each.Requests, each.InFlight+each.Sockets)
	}
	list("queue", pool.Waiting.Requests, pool.Waiting.Count)
	_ = table.Flush()
	if pool.Waiting.Count > 0 {
		verb := "wait"
		if pool.Waiting.Count == 1 {
			verb = "waits"
		}
		fmt.Fprintf(w, "\n%s %s for a worker of the pool %s, the oldest for %s\n",
			count(pool.Waiting.Count, "request"), verb, pool.Name, age(pool.Waiting.Oldest))
	}
}

// age writes seconds as people read them: 0.25 s, 12 s, 3 min, 5 h.
func age(seconds float64) string {
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Round(10*time.Millisecond).Seconds(), 'f', 2, 64) + " s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	default:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	}
}

func memorySize(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}

// printable keeps what a client has sent from moving the cursor of whoever reads it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
