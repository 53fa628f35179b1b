package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"backline"
	"backline/config"
)

// project is what a Django project says of itself (python/backline/project.py).
type project struct {
	WSGI       string `json:"wsgi"`
	ASGI       string `json:"asgi"` // empty unless it has WebSockets
	StaticURL  string `json:"static_url"`
	StaticRoot string `json:"static_root"`

	Failure   string `json:"failure"` // why nothing is known, else empty
	Hint      string `json:"hint"`
	Traceback string `json:"traceback"`
}

// managePy is where a project says which settings are its own.
const managePy = "manage.py"

// findDjango sets up what --django asks for, or a manage.py in the folder where nobody has named anything: pages by
// WSGI, WebSockets by ASGI, static files from STATIC_ROOT. Decision 0014 says why the settings are read before any
// worker runs.
func (p *process) findDjango(ctx context.Context, loaded *config.Loaded, log *journal) error {
	c := &loaded.Config
	if c.Django == "" && len(loaded.Pools) > 0 {
		return nil
	}
	dir, err := p.applicationFolder(c)
	if err != nil {
		return err
	}
	module, err := settingsModule(loaded, dir, p.environ)
	if err != nil || module == "" {
		return err
	}
	c.Env = append(slices.Clone(c.Env), settingsVariable+"="+module)
	found, err := p.learn(ctx, c)
	if err != nil {
		return err
	}
	loaded.Serve(found.WSGI, found.ASGI)
	serveStatic(c, found, log)
	return nil
}

const settingsVariable = "DJANGO_SETTINGS_MODULE"

// settingsModule is the module that --django names itself, or that a manage.py would use: the environment's, else its
// own. Empty where there is no Django project and nobody asked for one.
func settingsModule(loaded *config.Loaded, dir string, environ []string) (string, error) {
	c := &loaded.Config
	if c.Django != "" && filepath.Base(c.Django) != managePy {
		return c.Django, nil
	}
	path := absolute([]string{c.Django}, dir)[0]
	if c.Django == "" {
		path = filepath.Join(dir, managePy)
	}
	text, err := os.ReadFile(path)
	if c.Django == "" && err != nil {
		return "", nil
	}
	if err != nil {
		return "", loaded.Mistake("django", fmt.Errorf("there is no %s, which would name the settings: %w", path, err))
	}
	for _, entry := range slices.Backward(slices.Concat(environ, c.Env)) {
		if name, value, _ := strings.Cut(entry, "="); name == settingsVariable && value != "" {
			return value, nil
		}
	}
	names := regexp.MustCompile(`["']` + settingsVariable + `["']\s*[,\]]\s*=?\s*["']([\w.]+)["']`)
	if found := names.FindSubmatch(text); found != nil {
		return string(found[1]), nil
	}
	if c.Django == "" {
		return "", nil
	}
	return "", loaded.Mistake("django", fmt.Errorf("%s does not set %s: expected the module's name, as in mysite.settings",
		path, settingsVariable))
}

// startProject is startWorker for project.py.
const startProject = "from backline.project import main"

// learn runs the interpreter once, to have it read the project's settings.
func (p *process) learn(ctx context.Context, c *config.Config) (*project, error) {
	app, err := newApplication(p, c)
	if err != nil {
		return nil, err
	}
	if c.WorkerBootTimeout > 0 {
		limited, stop := context.WithTimeout(ctx, c.WorkerBootTimeout)
		defer stop()
		ctx = limited
	}
	answer, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("learning of the Django project: %w", err)
	}
	defer answer.Close()
	said := &tail{}
	command := app.describeProject(ctx, said, theirs)
	err = command.Start()
	_ = theirs.Close()
	if err != nil {
		return nil, fmt.Errorf("learning of the Django project: %w", err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- command.Wait()
		_ = answer.SetReadDeadline(time.Now().Add(time.Second)) // what it has left running may hold the other end
	}()
	var found project
	malformed := json.NewDecoder(io.LimitReader(answer, 1<<20)).Decode(&found)
	err = <-ended
	failure := &backline.Error{Op: "read Django's settings", Code: backline.CodeApp, Detail: said.String()}
	switch {
	case ctx.Err() != nil:
		failure.Message = fmt.Sprintf("they were not read within %v", c.WorkerBootTimeout)
		failure.Hint = "find what the settings module waits for, or raise --worker-boot-timeout"
	case found.Failure != "":
		failure.Message, failure.Hint, failure.Detail = found.Failure, found.Hint, found.Traceback
	case malformed != nil:
		failure.Message, failure.Err = "the interpreter ended before it had read them", err
		failure.Hint = "something in the settings ends it; see what it printed"
	default:
		return &found, nil
	}
	return nil, failure
}

// describeProject is the command that answers on the pipe.
func (a *application) describeProject(ctx context.Context, said io.Writer, answer *os.File) *exec.Cmd {
	script := strings.Replace(startWorker, "from backline.worker import main", startProject, 1)
	arguments := slices.Concat([]string{"-c", script, a.command[3]}, absolute(a.config.PythonPath, a.dir))
	command := exec.CommandContext(ctx, a.command[0], arguments...)
	command.Dir, command.Env, command.ExtraFiles = a.dir, a.environ, []*os.File{answer}
	command.Stdout, command.Stderr, command.WaitDelay = said, said, time.Second
	return command
}

// serveStatic adds the project's static files to those that are served.
func serveStatic(c *config.Config, found *project, log *journal) {
	prefix := found.StaticURL
	if prefix == "" || strings.Contains(prefix, "//") { // none, or another server's
		return
	}
	if !strings.HasPrefix(prefix, "/") {
		prefix = c.RootPath + "/" + prefix
	}
	same := func(mount string) bool {
		given, _, _ := strings.Cut(mount, "=")
		return strings.Trim(given, "/") == strings.Trim(prefix, "/")
	}
	if slices.ContainsFunc(c.Static, same) || strings.Trim(prefix, "/") == "" {
		return
	}
	info, err := os.Stat(found.StaticRoot)
	switch {
	case found.StaticRoot == "":
		log.Info("static files are left to the application: the project has no STATIC_ROOT",
			"hint", "set it, and run: python manage.py collectstatic")
	case err != nil || !info.IsDir():
		log.Warn("static files are left to the application: STATIC_ROOT does not exist", "folder", found.StaticRoot,
			"hint", "run: python manage.py collectstatic, and start again")
	default:
		c.Static = append(slices.Clone(c.Static), prefix+"="+found.StaticRoot)
	}
}

// tail keeps the end of what a program prints.
type tail struct{ kept []byte }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	const most = 8 << 10
	t.kept = append(t.kept, p...)
	t.kept = t.kept[max(0, len(t.kept)-most):]
	return len(p), nil
}

func (t *tail) String() string { return string(t.kept) }

// unnamed is the error of a command that needs an application.
func unnamed() error {
	return &backline.Error{
		Op: "serve", Code: backline.CodeUsage, Message: "no application was named",
		Hint: "name it as module:attribute, such as: backline serve mysite.wsgi; " +
			"or a Django project: backline serve --django mysite.settings",
	}
}
