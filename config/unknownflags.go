package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Explain turns what pflag says about a command line into an error that says what to do: for a flag that gunicorn or
// uvicorn has, what takes its place here; for a mistyped one, the nearest. Other errors come back unchanged.
func (f *Flags) Explain(err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return f.explainUnknown(unknown)
	}
	if missing, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return explainMissing(missing.GetFlag())
	}
	if syntax, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return usage("flag "+syntax.GetSpecifiedFlag(), "not the form of a flag: expected --name VALUE", "")
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		message := fmt.Sprintf("%q cannot be: %v", invalid.GetValue(), invalid.Unwrap())
		return usage("flag --"+invalid.GetFlag().Name, message, "")
	}
	return err
}

func (f *Flags) explainUnknown(unknown *pflag.NotExistError) error {
	name, dashes := unknown.GetSpecifiedName(), "--"
	if cluster := unknown.GetSpecifiedShortnames(); cluster != "" {
		dashes = "-"
		// "-workers 4" reads as -w with the value "orkers"; "-reload" stops at the first letter that is no flag.
		if f.set.Lookup(cluster) != nil {
			return usage("", "unknown flag -"+cluster, "a long flag has two dashes: --"+cluster)
		}
	}
	message := "unknown flag " + dashes + name
	if instead, known := insteadOf(name); known {
		return usage("", message, instead)
	}
	names := []string{}
	f.set.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	spelled := strings.ReplaceAll(name, "_", "-") // a key of the file, used as a flag
	if near := nearest(spelled, names); near != "" && dashes == "--" {
		return usage("", message, "did you mean --"+near+"?")
	}
	return usage("", message, "`backline serve --help` lists the flags")
}

func explainMissing(flag *pflag.Flag) error {
	hint := ""
	if value, ok := flag.Value.(*flagValue); ok && value.setting.Default != "" {
		hint = "write for example --" + flag.Name + " " + value.setting.Default
	}
	return usage("flag --"+flag.Name, "a value is missing: expected --"+flag.Name+" "+flag.Value.Type(), hint)
}

// insteadOf says what to do about a well-known flag of gunicorn, uvicorn or granian that this release does not have.
// They are not accepted in silence: somebody who asks for TLS and gets plain text has to know.
func insteadOf(name string) (hint string, known bool) {
	for _, family := range []struct{ prefix, hint string }{
		{"dirty-", "leave it out: long jobs need no pool of their own here, see --timeout and --threads"},
		{"static-path-", "use --static PREFIX=FOLDER, as in --static /static/=./staticfiles"},
		{"statsd-", "leave it out: the access log has duration, queue wait and worker of each request"},
		{"worker-tmp-dir", "leave it out: workers keep no heartbeat file; --temp-dir is where large bodies wait"},
	} {
		if strings.HasPrefix(name, family.prefix) {
			return family.hint, true
		}
	}
	for _, family := range []func(string) (string, bool){processFlag, tlsFlag, proxyFlag} {
		if hint, known = family(name); known {
			return hint, true
		}
	}
	return serverFlag(name)
}

// processFlag has the flags about processes and their surroundings.
func processFlag(name string) (hint string, known bool) {
	switch name {
	case "daemon", "D":
		hint = "leave it out: Backline stays in the foreground, systemd or a container keeps it running"
	case "user", "group", "u", "g", "initgroups":
		hint = "start the command as that user: User= and Group= in systemd, USER in a container"
	case "umask", "m", "uds-permissions":
		hint = "use --socket-mode for the mode of Unix sockets; the umask of files is the shell's"
	case "name", "n", "proc-name", "process-name":
		hint = "leave it out: the process is called backline"
	case "env-file", "env-files":
		hint = "use --env KEY=VALUE, or have the shell, systemd or the container read the file"
	case "fd":
		hint = "use --bind fd://N"
	case "reuse-port":
		hint = "leave it out: one process accepts every connection and gives requests to the workers"
	case "check-config":
		hint = "use `backline check`"
	case "print-config":
		hint = "use `backline settings`"
	case "capture-output", "R", "enable-stdio-inheritance":
		hint = "leave it out: what workers print is always in the log, with the worker's name"
	case "reload-engine", "reload-delay", "reload-include", "reload-exclude":
		hint = "use --reload and --reload-dir: changes are seen without polling"
	case "workers-lifetime", "respawn-failed-workers", "respawn-interval":
		hint = "leave it out: workers that die are replaced; --max-requests and --max-worker-memory replace them in time"
	case "workers-max-rss":
		hint = "use --max-worker-memory with a unit, for example 512MiB"
	case "timeout-worker-healthcheck", "workers-kill-timeout":
		hint = "use --timeout for requests, --worker-boot-timeout for the start and --graceful-timeout for the end"
	}
	return hint, hint != ""
}

// tlsFlag has the flags about certificates and encryption.
func tlsFlag(name string) (hint string, known bool) {
	switch name {
	case "ssl-keyfile-password":
		hint = "write the key without a passphrase, readable by the server alone: openssl pkey -in key.pem -out plain.pem"
	case "ssl-version", "ciphers", "ssl-ciphers", "ciphersuites":
		hint = "leave it out: the cipher suites are Go's, all of them safe; --tls-min says which version is the oldest"
	case "do-handshake-on-connect", "suppress-ragged-eofs":
		hint = "leave it out: a handshake is in nobody's way"
	case "ssl-client-verify":
		hint = "use --cert-reqs required"
	case "ssl-crl":
		hint = "leave it out: take an authority out of --ca-certs, which is read again when it changes"
	}
	return hint, hint != ""
}

// proxyFlag has the flags about proxies in front.
func proxyFlag(name string) (hint string, known bool) {
	switch name {
	case "proxy-headers":
		hint = "leave it out: the proxies of --forwarded-allow-ips are always believed"
	case "no-proxy-headers":
		hint = "use --forwarded-allow-ips '' to believe nobody"
	case "forwarder-headers", "secure-scheme-headers":
		hint = "use --forwarded-headers: names of the fields that the proxy sets, x-forwarded-proto among them"
	}
	return hint, hint != ""
}

// serverFlag has the flags about connections and requests.
func serverFlag(name string) (hint string, known bool) {
	switch name {
	case "ws", "no-ws":
		hint = "leave it out: an ASGI application has WebSockets, and refuses them itself"
	case "ws-max-queue":
		hint = "leave it out: what an application has not received is bounded by bytes, not by messages"
	case "http-parser":
		hint = "leave it out: there is one parser, for HTTP/1.0 and 1.1"
	case "http", "http-protocols":
		hint = "leave it out: HTTP/1.1 is always spoken; see --no-http2, --http2-cleartext and --http3 for the others"
	case "http2-initial-connection-window-size", "http2-initial-stream-window-size", "http2-adaptive-window":
		hint = "use --http2-window for one request's body; a connection may carry eight times as much"
	case "http2-max-headers-size", "http2-max-header-list-size":
		hint = "use --limit-header-block, the limit for all header fields together in every version of HTTP"
	case "http2-keep-alive-interval", "http2-keep-alive-timeout":
		hint = "use --keep-alive, which holds for every version of HTTP"
	case "http2-max-frame-size", "http2-max-send-buffer-size":
		hint = "leave it out: frames and send buffers have the sizes that suit the server"
	case "loop", "asgi-loop":
		hint = "leave it out: uvloop is used where it is installed, else asyncio"
	case "asgi-lifespan":
		hint = "use --lifespan"
	case "limit-concurrency", "backpressure":
		hint = "use --worker-connections for requests at once, --queue-size for waiting ones, --limit-connections for clients"
	case "blocking-threads", "runtime-threads":
		hint = "use --threads"
	case "limit-request-field_size", "limit-request-field-size", "h11-max-incomplete-event-size", "http1-buffer-size":
		hint = "use --limit-header-block, the limit for all header fields together"
	case "header-map":
		hint = "leave it out: names with an underscore are always dropped"
	case "header":
		hint = "let the application set the header, or a proxy in front"
	case "log-config", "log-config-json", "logger-class", "access-log-fmt", "log-syslog":
		hint = "use --log-level, --log-file, --log-format, --access-logfile and --access-logformat"
	case "use-colors", "no-use-colors", "spew":
		hint = "leave it out"
	case "paste", "paster":
		hint = "write a module that makes the application: paste.deploy.loadapp('config:FILE')"
	case "url-path-prefix":
		hint = "use --root-path"
	}
	return hint, hint != ""
}
