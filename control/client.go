package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"backline"
)

// Client asks one server.
type Client struct {
	Path string
	http *http.Client
}

func dial(path string) *Client {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", path)
		},
	}
	return &Client{Path: path, http: &http.Client{Transport: transport}}
}

// Find gives the server that place names; in a shared folder that of the application's folder, else the only one there
// is. With a process number it is the server that has it, whatever its folder.
func Find(ctx context.Context, place Place, pid int) (*Client, error) {
	if place.Path != "" {
		if err := reachable(place.Path); err != nil {
			return nil, err
		}
		return dial(place.Path), nil
	}
	all, err := living(place.Folder)
	if err != nil {
		return nil, err
	}
	var own, others []*Client
	for _, each := range all {
		switch who, err := each.Identity(ctx); {
		case pid != 0:
			if err == nil && who.PID == pid {
				return each, nil
			}
		case place.owns(each.Path):
			own = append(own, each)
		default:
			others = append(others, each)
		}
	}
	switch {
	case pid != 0:
		return nil, notFound(fmt.Sprintf("no server with the process number %d has a socket in %s", pid, place.Folder))
	case len(own) == 1:
		return own[0], nil
	case len(own) > 1:
		return nil, several(ctx, own, "this folder")
	case len(others) == 1:
		return others[0], nil
	case len(others) > 1:
		return nil, several(ctx, others, place.Folder)
	}
	return nil, notFound("no server runs that has a socket in " + place.Folder)
}

// owns tells whether a socket of a shared folder is that of a server of this place.
func (p Place) owns(path string) bool {
	rest, found := strings.CutPrefix(strings.TrimSuffix(filepath.Base(path), extension), p.Name)
	if !found || rest == "" {
		return found
	}
	number, found := strings.CutPrefix(rest, "-")
	_, err := strconv.Atoi(number)
	return found && err == nil
}

// living gives a client for each socket of a folder that somebody listens on.
func living(folder string) ([]*Client, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrPermission) {
		return nil, forbidden(folder)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var all []*Client
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if what, _ := probe(path); strings.HasSuffix(path, extension) && what == live {
			all = append(all, dial(path))
		}
	}
	return all, nil
}

// reachable says why a socket cannot be asked.
func reachable(path string) error {
	switch what, err := probe(path); {
	case what == free:
		return notFound("there is no socket " + path)
	case what == stale:
		return notFound("the server that answered on " + path + " has gone")
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EACCES):
		return forbidden(path)
	case what == foreign:
		return &backline.Error{Op: "open the control socket", Code: backline.CodeUsage, Err: err}
	}
	return nil
}

func notFound(message string) error {
	return &backline.Error{
		Op: "find the server", Code: backline.CodeUsage, Message: message,
		Hint: "call this where the server was started and as its user, or name its socket with --socket or BACKLINE_SOCKET",
	}
}

func forbidden(path string) error {
	e := &backline.Error{
		Op: "find the server", Code: backline.CodeUsage,
		Message: fmt.Sprintf("user %d may not open %s", os.Geteuid(), path),
		Hint:    "only the user whom the server runs as, and root, may: try sudo",
	}
	var info syscall.Stat_t
	if syscall.Stat(path, &info) == nil {
		e.Hint = fmt.Sprintf("only user %d, whom the server runs as, and root may: try sudo -u '#%d'", info.Uid, info.Uid)
	}
	return e
}

// several lists the servers among which somebody has to choose.
func several(ctx context.Context, all []*Client, where string) error {
	var list strings.Builder
	for _, each := range all {
		if who, err := each.Identity(ctx); err == nil {
			fmt.Fprintf(&list, "  pid %-7d %s in %s, on %s\n              --socket %s\n",
				who.PID, who.App, who.Folder, strings.Join(who.Addresses, " and "), each.Path)
		}
	}
	return &backline.Error{
		Op: "find the server", Code: backline.CodeUsage, Message: fmt.Sprintf("%d servers of %s run", len(all), where),
		Hint: "choose one with --socket PATH or --pid FILE", Detail: list.String(),
	}
}

// Identity asks which server this is.
func (c *Client) Identity(ctx context.Context) (who Identity, err error) {
	err = c.ask(ctx, answerPatience, http.MethodGet, "/v1/server", nil, &who)
	return who, err
}

// Status asks for workers and requests.
func (c *Client) Status(ctx context.Context) (status Status, err error) {
	err = c.ask(ctx, answerPatience, http.MethodGet, "/v1/status", nil, &status)
	return status, err
}

// Stacks asks for the stacks of a worker; of all with "".
func (c *Client) Stacks(ctx context.Context, worker string) (stacks []Stacks, err error) {
	err = c.ask(ctx, answerPatience, http.MethodGet, "/v1/stacks", url.Values{"worker": {worker}}, &stacks)
	return stacks, err
}

// Profile samples a worker; all with "".
func (c *Client) Profile(ctx context.Context, worker string, how Sampling) (profiles []Profile, err error) {
	err = c.ask(ctx, how.For+2*answerPatience, http.MethodPost, "/v1/profile", url.Values{
		"worker": {worker}, "rate": {strconv.Itoa(how.Rate)},
		"seconds": {strconv.FormatFloat(how.For.Seconds(), 'f', -1, 64)},
	}, &profiles)
	return profiles, err
}

// answerPatience is how long a server may take to answer: longer than it waits for a worker that does not.
const answerPatience = 10 * time.Second

func (c *Client) ask(
	ctx context.Context, limit time.Duration, method, path string, query url.Values, into any,
) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	target := url.URL{Scheme: "http", Host: "backline", Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), nil)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(request)
	if ctx.Err() != nil {
		return &backline.Error{
			Op: "ask the server", Code: backline.CodeWorker, Message: "no answer", Err: ctx.Err(),
			Hint: "the whole process hangs, or was stopped: its log may say more",
		}
	}
	if err != nil {
		return &backline.Error{Op: "ask the server", Code: backline.CodeWorker, Message: "it ended meanwhile", Err: err}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		var said Failure
		if err := json.NewDecoder(answer.Body).Decode(&said); err != nil || said.Message == "" {
			said.Message = "it answered " + answer.Status
		}
		return &backline.Error{Op: "ask the server", Code: backline.CodeUsage, Message: said.Message, Hint: said.Hint}
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("the server's answer to %s: %w", path, err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	return nil
}
