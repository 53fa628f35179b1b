package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// The names of the pools that need no section: of app, of websocket, of tcp and of channels.
const (
	WebPool  = "web"
	LivePool = "live"
	TCPPool  = "tcp" // then tcp-2, tcp-3, ...

	ChannelsPool = "channels" // of channels on the top level
)

// Pool is workers of one kind with a queue of their own.
type Pool struct {
	Name    string
	Config  Config            // whole: what the pool does not say itself is the server's
	Origins map[string]Origin // of what it says itself, by key
	Origin  Origin            // of its section; the zero value where it has none
	TCP     *TCP              // it has connections and no requests; nil for all others
}

// Route leads some requests to one pool. Package route judges the values; of each list one has to fit.
type Route struct {
	Path, Host, Protocol, Method []string
	Pool                         string
	Origin                       Origin
}

// PerPool tells whether [pool.NAME] may have the setting: those that concern one pool's workers and queue. Whatever
// clients meet before a pool is chosen for them, limits on requests and connections among it, is the whole server's.
func (s Setting) PerPool() bool {
	return slices.Contains([]string{
		"app", "command", "factory", "chdir", "pythonpath", "python", "env", "root_path",
		"workers", "worker_class", "threads", "worker_connections", "parallel_limit", "lifespan", "asgi_spec_version",
		"max_requests", "max_requests_jitter", "max_worker_memory", "worker_boot_timeout", "preload",
		"timeout", "stream_timeout", "graceful_timeout", "disconnect_grace", "websocket_drain", "loop_stall", "busy_stall",
		"websocket_state", "websocket_redeliver", "websocket_over_http",
		"queue_size", "queue_timeout", "retry", "sticky", "sticky_sessions", "sticky_timeout", "stream_window",
		"channels",
	}, s.Key)
}

// String gives the route's conditions as they were written.
func (r Route) String() string {
	var text []string
	for _, condition := range []struct {
		name  string
		texts []string
	}{{"host", r.Host}, {"path", r.Path}, {"protocol", r.Protocol}, {"method", r.Method}} {
		if len(condition.texts) > 0 {
			text = append(text, condition.name+"="+strings.Join(condition.texts, ","))
		}
	}
	return strings.Join(text, " ")
}

// gather makes the pools of the settings and of the sections: that of app, that of websocket, those of tcp, that of
// channels, then the others in the order of the file.
func (l *Loaded) gather() []error {
	var errs []error
	c := &l.Config
	sections := slices.Clone(l.sections)
	add := func(name string, own *Config) *Pool {
		pool := Pool{Name: name, Config: *own, Origins: map[string]Origin{}}
		i := slices.IndexFunc(sections, func(s section) bool { return s.name == name })
		if i >= 0 {
			errs = append(errs, sections[i].apply(l, &pool)...)
			sections = slices.Delete(sections, i, i+1)
		}
		l.Pools = append(l.Pools, pool)
		return &l.Pools[len(l.Pools)-1]
	}
	l.Pools = nil
	if c.App == "" && len(c.Command) > 0 {
		c.App = c.Command[0]
	}
	plain := *c
	plain.Channels = nil // a pool that has them has nothing else
	if c.App != "" || slices.ContainsFunc(sections, func(s section) bool { return s.name == WebPool }) {
		add(WebPool, &plain)
	}
	if c.WebSocketApp != "" {
		live := plain
		live.App, live.Factory, live.WorkerClass, live.Workers = c.WebSocketApp, false, "asyncio", c.WebSocketWorkers
		add(LivePool, &live)
	}
	errs = append(errs, l.addTCP(add)...)
	l.addChannels(add)
	for len(sections) > 0 {
		add(sections[0].name, &plain)
	}
	return append(errs, l.checkChannels()...)
}

// Serve names the applications, where only the application's own settings say which they are.
func (l *Loaded) Serve(app, webSocket string) {
	l.Config.App, l.Config.Factory = app, false
	l.Config.WebSocketApp = cmp.Or(l.Config.WebSocketApp, webSocket)
	l.gather() // without errors, as it was before
}

// section is [pool.NAME], or one [[route]], as the file has it.
type section struct {
	name   string
	origin Origin
	values layer
}

// apply gives the pool what its section says. For the pool of app, which every setting on the top level is about, a
// flag or a variable of the environment is stronger than the file here too.
func (s *section) apply(l *Loaded, pool *Pool) []error {
	var errs []error
	pool.Origin = s.origin
	for _, row := range Settings() {
		value, found := s.values[row.Key]
		if !found || s.name == WebPool && l.Origins[row.Key].Source > SourceFile {
			continue
		}
		err := value.problem
		inherited := pool.Config.Env
		if err == nil {
			err = row.apply(&pool.Config, value.texts)
		}
		if err != nil {
			errs = append(errs, mistake(row, value.origin, err))
			continue
		}
		pool.Origins[row.Key] = value.origin
		if row.Kind == KindPairs {
			pool.Config.Env = slices.Concat(inherited, pool.Config.Env)
		}
	}
	if _, named := s.values["app"]; !named && len(pool.Config.Command) > 0 {
		pool.Config.App = pool.Config.Command[0] // for people: such a program need not look at it
	}
	if pool.Config.Workers == 0 {
		pool.Config.Workers = defaultWorkers(l.cores)
	}
	_, counted := s.values["threads"]
	if isSync(s.values["worker_class"].last()) && !counted && l.Origins["threads"].Source == SourceDefault {
		pool.Config.Threads = 1
	}
	if _, given := s.values["chdir"]; given && len(errs) == 0 {
		errs = append(errs, checkFolder(l.dir, pool.Config.Chdir, pool.Origins["chdir"])...)
	}
	return errs
}

// readSections reads what stands under "pool" and "route" in the file.
func readSections(rows []Setting, pools, routes any, at places) (sections, ways []section, problems []error) {
	named, isTable := pools.(map[string]any)
	if pools != nil && !isTable {
		problems = append(problems, usage(at.origin("pool").String(),
			"pool is "+tomlKind(pools)+": expected sections [pool.NAME]",
			"write for example [pool.reports], and its settings below that"))
	}
	for _, name := range slices.SortedFunc(maps.Keys(named), at.order("pool.")) {
		s, errs := readPool(rows, name, named[name], at)
		sections, problems = append(sections, s), append(problems, errs...)
	}
	list, isList := routes.([]map[string]any)
	if routes != nil && !isList {
		problems = append(problems, usage(at.origin("route").String(),
			"route is "+tomlKind(routes)+": expected sections [[route]]",
			"write [[route]] in two pairs of brackets above each route"))
	}
	for i, values := range list {
		s, errs := readRoute(values, fmt.Sprintf("route.%d", i), at)
		ways, problems = append(ways, s), append(problems, errs...)
	}
	return sections, ways, problems
}

func readPool(rows []Setting, name string, value any, at places) (section, []error) {
	prefix := "pool." + name
	s := section{name: name, origin: at.origin(prefix), values: layer{}}
	s.origin.Section = "[" + prefix + "]"
	values, isTable := value.(map[string]any)
	if !isTable {
		return s, []error{usage(at.origin(prefix).String(),
			fmt.Sprintf("%q stands in [pool]: expected the name of a pool first", name),
			"write [pool.reports], and its settings below that")}
	}
	var problems []error
	if err := checkPoolName(name); err != nil {
		problems = append(problems, usage(s.origin.String(), err.Error(), "write for example [pool.reports]"))
	}
	for _, key := range slices.SortedFunc(maps.Keys(values), at.order(prefix+".")) {
		origin := at.origin(prefix + "." + key)
		origin.Section = s.origin.Section
		i := slices.IndexFunc(rows, func(row Setting) bool { return row.Key == key })
		switch {
		case i < 0:
			problems = append(problems, unknownInPool(rows, origin, key))
		case !rows[i].PerPool():
			problems = append(problems, usage(origin.String(), fmt.Sprintf("%q is a setting of the whole server", key),
				"write it at the top of the file, above the first line in [brackets]"))
		default:
			texts, err := tomlTexts(rows[i], values[key])
			s.values[key] = given{texts: texts, origin: origin, problem: err}
		}
	}
	return s, problems
}

// checkPoolName wants what is plain in the name of a worker: reports.1.
func checkPoolName(name string) error {
	const letters, most = "abcdefghijklmnopqrstuvwxyz", 32
	plain := strings.Trim(name, letters+"0123456789-_") == ""
	if name == "" || len(name) > most || !plain || !strings.Contains(letters, name[:1]) {
		return fmt.Errorf("%q is no name for a pool: expected up to %d of a-z, 0-9, - and _, a letter first", name, most)
	}
	if name == "compute" || strings.HasPrefix(name, "compute-") {
		return fmt.Errorf("%q is what the pools for offloaded functions are called: expected another name", name)
	}
	return nil
}

func unknownInPool(rows []Setting, origin Origin, key string) error {
	own := slices.DeleteFunc(slices.Clone(rows), func(s Setting) bool { return !s.PerPool() })
	hint := "docs/settings.md says which settings a pool may have"
	if s, found := nearestSetting(own, key); found {
		hint = "did you mean " + s.Key + "?"
	}
	if key == "application" {
		hint = "did you mean app?"
	}
	return usage(origin.String(), fmt.Sprintf("unknown setting %q", key), hint)
}

// routeKeys are what a route may say.
func routeKeys() []string { return []string{"path", "host", "protocol", "method", "pool"} }

func readRoute(values map[string]any, prefix string, at places) (section, []error) {
	s := section{origin: at.origin(prefix), values: layer{}}
	s.origin.Section = "[[route]]"
	var problems []error
	for _, key := range slices.SortedFunc(maps.Keys(values), at.order(prefix+".")) {
		origin := at.origin(prefix + "." + key)
		origin.Section = s.origin.Section
		if !slices.Contains(routeKeys(), key) {
			hint := "a route has path, host, protocol, method and pool"
			if near := nearest(key, routeKeys()); near != "" {
				hint = "did you mean " + near + "?"
			}
			problems = append(problems, usage(origin.String(), fmt.Sprintf("unknown condition %q", key), hint))
			continue
		}
		texts, err := routeTexts(key, values[key])
		if err != nil {
			example := "write for example " + key + " = " + routeExample(key)
			problems = append(problems, usage(origin.String()+" "+key, err.Error(), example))
			continue
		}
		s.values[key] = given{texts: texts, origin: origin}
	}
	if _, given := s.values["pool"]; !given && len(problems) == 0 {
		problems = append(problems, usage(s.origin.String(), "it leads to no pool", `add where, such as pool = "reports"`))
	}
	return s, problems
}

// routeTexts takes one text or, but for the pool, several of which one has to fit.
func routeTexts(key string, value any) ([]string, error) {
	if text, ok := value.(string); ok {
		return []string{text}, nil
	}
	list, isList := value.([]any)
	if key == "pool" || !isList {
		return nil, fmt.Errorf("%s: expected a text in quotes", tomlKind(value))
	}
	if len(list) == 0 {
		return nil, errors.New("an empty list: no request would fit")
	}
	return tomlTexts(Setting{Kind: KindStrings}, value)
}

func routeExample(key string) string {
	switch key {
	case "path":
		return `"/reports"`
	case "host":
		return `"reports.example.com"`
	case "protocol":
		return `"websocket"`
	case "method":
		return `["POST", "PUT"]`
	default:
		return `"reports"`
	}
}

// route gives the section as the rest of the program has it.
func (s *section) route() Route {
	return Route{
		Path: s.values["path"].texts, Host: s.values["host"].texts, Protocol: s.values["protocol"].texts,
		Method: s.values["method"].texts, Pool: s.values["pool"].last(), Origin: s.origin,
	}
}

// Mistake is the error for a value of the route that another part refused.
func (r Route) Mistake(key string, err error) error {
	return usage(r.Origin.String()+" "+key, err.Error(), "write for example "+key+" = "+routeExample(key))
}

// checkFolder finds a wrong chdir here: later it would show as a module that cannot be imported.
func checkFolder(dir, chdir string, origin Origin) []error {
	if chdir == "" {
		return nil
	}
	info, err := os.Stat(inside(dir, chdir))
	if err == nil && info.IsDir() {
		return nil
	}
	message := fmt.Sprintf("the folder %s does not exist", chdir)
	if err == nil {
		message = chdir + " is a file: expected a folder"
	}
	return []error{usage(origin.String(), message, "write the folder that holds the application's package")}
}
