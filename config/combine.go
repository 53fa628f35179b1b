package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// combine applies the rules between settings. Where two of them say the same thing (bind and port), the stronger source
// wins; two of equal strength are an error, because one of them would be ignored in silence.
func (run *loading) combine() {
	run.combineApplication()
	run.combineAddress()
	run.combineTLS()
	run.combineTCP()
	run.combineHTTP()
	run.combineAccessLog()
	run.combineWorkers()
	c := &run.result.Config
	run.errs = append(run.errs, checkFolder(run.Dir, c.Chdir, run.result.Origins["chdir"])...)
	if c.MaxRequestsJitter > 0 && c.MaxRequests == 0 {
		run.warn("max_requests_jitter has no effect without max_requests")
	}
}

func (run *loading) warn(text string) { run.result.Warnings = append(run.result.Warnings, text) }

func (run *loading) fail(message, hint string) {
	run.errs = append(run.errs, usage("settings", message, hint))
}

// source is the strength of a setting.
func (run *loading) source(key string) Source { return run.result.Origins[key].Source }

// stronger gives the key with the stronger source, the first one among equals.
func (run *loading) stronger(a, b string) string {
	if run.source(b) > run.source(a) {
		return b
	}
	return a
}

// combineApplication has a project, or an application.
func (run *loading) combineApplication() {
	c, app, django := &run.result.Config, run.source("app"), run.source("django")
	switch {
	case c.App == "" || c.Django == "":
	case app == django:
		run.fail(fmt.Sprintf("%s and %s both say what to serve", run.result.Origins["app"], run.result.Origins["django"]),
			"keep one of them")
	case app > django:
		c.Django = ""
	default:
		c.App = ""
	}
}

// combineAddress folds host, port, uds and insecure_bind into bind.
func (run *loading) combineAddress() {
	c, tcp := &run.result.Config, run.stronger("host", "port")
	winner := run.stronger(run.stronger("bind", tcp), "uds")
	for _, rival := range []string{"bind", tcp, "uds"} {
		if strength := run.source(winner); strength > SourceDefault && rival != winner && run.source(rival) == strength {
			run.fail(fmt.Sprintf("%s and %s both say where to listen", run.result.Origins[winner], run.result.Origins[rival]),
				"keep one of them; bind may be repeated for several addresses")
			return
		}
	}
	switch {
	case winner == "uds":
		c.Bind = []string{Address{Network: "unix", Path: c.UDS}.String()}
	case winner == tcp && run.source("host") > SourceDefault && run.acmeDecides():
		c.Bind = acmeAddresses(c.Host)
	case winner == tcp && run.source(tcp) > SourceDefault:
		c.Bind = []string{net.JoinHostPort(run.hostOrLocal(), strconv.Itoa(run.portOrPlatform()))}
	case run.acmeDecides():
		c.Bind = acmeAddresses("")
		run.result.Origins["bind"] = noted(run.result.Origins["bind"], "with acme")
	}
	if winner != "bind" && run.source(winner) > SourceDefault {
		run.result.Origins["bind"] = run.result.Origins[winner]
	}
	c.Bind = append(c.Bind, c.InsecureBind...)
	run.checkAddresses()
}

// acmeDecides tells whether certificates are obtained and nobody has said at which port: then it is those that the
// authority comes to.
func (run *loading) acmeDecides() bool {
	return len(run.result.Config.ACME) > 0 && run.source("port") == SourceDefault && run.source("bind") == SourceDefault
}

func (run *loading) hostOrLocal() string {
	if run.source("host") == SourceDefault {
		return "127.0.0.1"
	}
	return run.result.Config.Host
}

// portOrPlatform lets `--host 0.0.0.0` keep the port that the platform asks for with PORT.
func (run *loading) portOrPlatform() int {
	c := &run.result.Config
	if run.source("port") == SourceDefault && run.source("bind") == SourceForeign && len(c.Bind) == 1 {
		if address, err := ParseAddress(c.Bind[0]); err == nil {
			return address.Port
		}
	}
	return c.Port
}

func (run *loading) checkAddresses() {
	c := &run.result.Config
	if len(c.Bind) == 0 {
		run.fail("bind is empty, there is nowhere to listen", "write for example --bind 127.0.0.1:8000")
	}
	places := make([]string, 0, len(c.Bind))
	for _, text := range c.Bind {
		_, place := cutScheme(text)
		// Port 0 may be repeated: each is another free port.
		if slices.Contains(places, place) && !strings.HasSuffix(place, ":0") {
			run.fail(fmt.Sprintf("bind has %s twice, and the second would find it in use", place), "leave one of them out")
		}
		places = append(places, place)
	}
	if slices.Contains(places, c.AdminBind) && !strings.HasSuffix(c.AdminBind, ":0") {
		run.fail(fmt.Sprintf("bind and admin_bind both are %s", c.AdminBind),
			"give admin_bind an address of its own, such as 127.0.0.1:9000")
	}
}

// combineAccessLog folds uvicorn's switch into the name of the file.
func (run *loading) combineAccessLog() {
	const key, fileName = "access_log", "access_logfile"
	c, origins := &run.result.Config, run.result.Origins
	strength := run.source(key)
	if strength == SourceDefault || run.source(fileName) > strength || c.AccessLog == (c.AccessLogfile != "") {
		return
	}
	if run.source(fileName) == strength {
		run.fail(fmt.Sprintf("%s and %s contradict each other about the access log", origins[key], origins[fileName]),
			"keep one of them")
		return
	}
	origins[fileName] = origins[key]
	c.AccessLogfile = ""
	if c.AccessLog {
		c.AccessLogfile = "-"
	}
}

// combineWorkers works out the number of processes and what gunicorn's sync class brings along.
func (run *loading) combineWorkers() {
	c, origins := &run.result.Config, run.result.Origins
	if c.Workers == 0 {
		c.Workers = defaultWorkers(run.cores())
		origins["workers"] = noted(origins["workers"], "one for each core, at most 4")
	}
	if c.ComputeWorkers == 0 {
		c.ComputeWorkers = run.cores()
		origins["compute_workers"] = noted(origins["compute_workers"], "one for each core")
	}
	class := run.chosen["worker_class"]
	if run.source("threads") == SourceDefault && isSync(class.last()) {
		c.Threads = 1
		origins["threads"] = noted(class.origin, "sync is one thread")
	}
}

// defaultWorkers is how many there are where nobody has said it. A worker costs the memory of the whole application: a
// large machine should not fill itself unasked.
func defaultWorkers(cores int) int {
	const most = 4
	return min(cores, most)
}

func noted(origin Origin, note string) Origin {
	origin.Note = note
	return origin
}
