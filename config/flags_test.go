package config_test

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"backline/config"
)

// TestEverySpellingSetsTheSame gives each flag by each of its spellings, and by variable, and compares the outcome.
func TestEverySpellingSetsTheSame(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs("flags_test.go") // any file that exists
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"certfile": file, "keyfile": file, "ca_certs": file, "cert_reqs": "2", "tls_min": "1.3", "acme": "example.com", "acme_ca_root": file,
		"acme_email": "a@example.com", "http2_window": "128KiB", "acme_ca": "https://ca.example/dir", "http_redirect": "on", "insecure_bind": ":9",
		"bind": ":9", "host": "::1", "port": "9", "uds": "/a", "worker_class": "gthread", "env": "A=b", "root_path": "/a",
		"chdir": ".", "pythonpath": "src", "asgi_spec_version": "2.3", "lifespan": "on", "log_level": "debug", "log_format": "json",
		"retry": "off", "access_logformat": "json", "socket_mode": "0600", "max_worker_memory": "64MiB", "python": "python3.13",
		"access_logfile": "a.log", "log_file": "b.log", "pid": "p", "temp_dir": "t", "admin_bind": ":9", "reload_dir": "src", "workers": "9",
		"compute_workers": "9", "compute_nice": "9",
		"websocket_window": "8KiB", "websocket_queue": "8KiB", "websocket_state": "1KiB", "websocket_redeliver": "true", "websocket_over_http": "true", "publish_max_body": "8KiB", "publish_remember": "9s", "publish_wait": "9s", "publish_pending": "9", "publish_ids": "9", "websocket_over_http_reply": "8KiB", "websocket_over_http_retries": "9", "websocket_workers": "9", "websocket_compression_level": "6", "websocket_compression_window": "9", "answer_memory": "64KiB", "stream_window": "64KiB",
		"tcp": ":9000=a:b", "health_paths": "/a", "static": "/s/=a", "accel": "/p/=a", "compress_codings": "gzip", "compress_types": "a/b", "compress_level": "small", "history": "a=1/1s", "channel_window": "1MiB",
		"bus": "nats://a:1", "bus_listen": "127.0.0.1:9", "bus_peers": "127.0.0.1:9", "bus_buffer": "2MiB",
	}
	// Some settings are mistakes on their own.
	company := map[string][]string{
		"keyfile": {"--certfile", file}, "ca_certs": {"--dev-tls", "--cert-reqs", "1"}, "cert_reqs": {"--dev-tls", "--ca-certs", file},
		"http_redirect": {"--dev-tls"}, "http3": {"--dev-tls"},
	}
	for _, s := range config.Settings() {
		if s.Key == "app" || s.Key == "config" {
			continue
		}
		t.Run(s.Key, func(t *testing.T) {
			t.Parallel()
			value, given := values[s.Key], []call{}
			switch {
			case value != "":
			case s.Kind == config.KindBool:
				value = map[string]string{"true": "false", "false": "true"}[s.Default]
			case s.Kind == config.KindDuration:
				value = "7s"
			default:
				value = "2048"
				if s.Default == value {
					value = "4096"
				}
			}
			for _, name := range s.Flags {
				given = append(given, call{line: []string{"--" + name + "=" + value}})
			}
			if s.Short != "" {
				given = append(given, call{line: []string{"-" + s.Short, value}})
			}
			sameAsVariable(t, s, value, company[s.Key], given)
		})
	}
}

func sameAsVariable(t *testing.T, s config.Setting, value string, company []string, given []call) {
	t.Helper()
	want := call{environ: []string{s.Variable() + "=" + value}, line: company}.mustLoad(t).Config
	if !slices.Contains([]string{"ca_certs", "cert_reqs", "chdir"}, s.Key) && reflect.DeepEqual(want, call{line: company}.mustLoad(t).Config) {
		t.Fatalf("%s=%s changes nothing, the test shows nothing", s.Variable(), value)
	}
	for _, c := range given {
		c.line = append(c.line, company...)
		if got := c.mustLoad(t).Config; !reflect.DeepEqual(got, want) {
			t.Errorf("%q gives\n%+v\nwant as with %s=%s\n%+v", c.line, got, s.Variable(), value, want)
		}
	}
}

func TestSwitchesHaveTwoDirections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line []string
		want bool
	}{
		{nil, true}, {[]string{"--server-header"}, true}, {[]string{"--no-server-header"}, false}, {[]string{"--server-header=false"}, false},
		{[]string{"--no-server-header", "--server-header"}, true}, {[]string{"--no-server-header=false"}, true},
	} {
		if got := (call{line: c.line}).mustLoad(t).Config.ServerHeader; got != c.want {
			t.Errorf("%q: server_header is %v, want %v", c.line, got, c.want)
		}
	}
	got := call{file: "reload = true", line: []string{"--no-reload"}}.mustLoad(t)
	if got.Config.Reload || got.Origins["reload"].String() != "flag --no-reload" {
		t.Errorf("reload is %v from %q, want the flag to switch it off", got.Config.Reload, got.Origins["reload"])
	}
}

func TestUnknownFlagsAreExplained(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"-D":                           "unknown flag -D | leave it out: Backline stays in the foreground",
		"--daemon":                     "systemd or a container",
		"--worker-tmp-dir=/dev":        "leave it out: workers keep no heartbeat file",
		"--proxy-headers":              "the proxies of --forwarded-allow-ips are always believed",
		"--forwarder-headers=a":        "--forwarded-headers",
		"--ciphers=a":                  "the cipher suites are Go's",
		"--ssl-keyfile-password=a":     "write the key without a passphrase",
		"--http=h11":                   "HTTP/1.1 is always spoken",
		"--ws=none":                    "refuses them itself",
		"--ws-max-queue=5":             "bounded by bytes",
		"--umask=7":                    "--socket-mode",
		"--fd=3":                       "--bind fd://N",
		"--loop=uvloop":                "uvloop is used where it is installed",
		"--limit-concurrency=10":       "--worker-connections",
		"--check-config":               "`backline check`",
		"--worker=2":                   "unknown flag --worker | did you mean --workers?",
		"--gracful-timeout=2":          "did you mean --graceful-timeout?",
		"--timeout_keep_alive=2":       "did you mean --timeout-keep-alive?",
		"--zebra-crossing":             "unknown flag --zebra-crossing | `backline serve --help` lists the flags",
		"-reload":                      "unknown flag -reload | a long flag has two dashes: --reload",
		"-workers=4":                   "a long flag has two dashes: --workers",
		"-Z":                           "unknown flag -Z | `backline serve --help`",
		"--bind":                       "flag --bind: a value is missing: expected --bind address | write for example --bind 127.0.0.1:8000",
		"--=x":                         "not the form of a flag",
		"--limit-request-field_size=1": "--limit-header-block",
	} {
		_, err := call{line: []string{line}}.load(t)
		if err == nil {
			t.Errorf("%s was taken", line)
			continue
		}
		if text := wholeText(t, err); !strings.Contains(text, want) {
			t.Errorf("%s: the error lacks %q:\n%s", line, want, text)
		}
	}
}

// TestForeignFlagsAreExplained keeps the well-known ones of the reference table covered.
func TestForeignFlagsAreExplained(t *testing.T) {
	t.Parallel()
	for name := range strings.FieldsSeq(`daemon user group umask name env-file reuse-port print-config capture-output
		reload-engine workers-lifetime workers-max-rss timeout-worker-healthcheck do-handshake-on-connect ssl-version ssl-client-verify ssl-crl no-proxy-headers http-protocols asgi-loop
		asgi-lifespan backpressure blocking-threads header-map header log-config use-colors paste url-path-prefix statsd-host
		static-path-mount dirty-workers http2-max-frame-size http2-keep-alive-interval http2-adaptive-window http2-max-headers-size websocket-max-message-size`) {
		_, err := call{line: []string{"--" + name + "=1"}}.load(t)
		if err == nil {
			t.Errorf("--%s was taken", name)
			continue
		}
		if text := wholeText(t, err); strings.Contains(text, "did you mean") || strings.Contains(text, "--help") {
			t.Errorf("--%s is well known and not explained:\n%s", name, text)
		}
	}
}

func TestUsageTexts(t *testing.T) {
	t.Parallel()
	flags := config.Bind(pflag.NewFlagSet("serve", pflag.ContinueOnError))
	text := flags.Usages(100)
	for _, s := range config.Settings() {
		if len(s.Flags) > 0 && !strings.Contains(text, "--"+s.Flags[0]) {
			t.Errorf("--%s is not in the usage text", s.Flags[0])
		}
		if !strings.Contains(text, s.Group+":\n") {
			t.Errorf("the heading %q is not in the usage text", s.Group)
		}
	}
	for want, present := range map[string]bool{
		"--no-server-header": true, "--no-reload": false, "--timeout-keep-alive": false, "-w, --workers processes": true,
		"--config file": true, "--server-header  ": true, "; 0: one for each core": true, ": safe, off (default safe)": true,
	} {
		if strings.Contains(text, want) != present {
			t.Errorf("%q in the usage text: want %v\n%s", want, present, text)
		}
	}
}
