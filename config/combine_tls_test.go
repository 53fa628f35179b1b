package config_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// certificates makes the files that a call may name. What is in them is nobody's business here.
func certificates(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"cert.pem", "key.pem", "ca.pem", "folder/file.pem"} {
		write(t, filepath.Join(dir, name), "")
	}
	return dir
}

func TestWhereToListenWithCertificates(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	for line, want := range map[string]string{
		"--certfile cert.pem":                                   "127.0.0.1:8000",
		"--dev-tls --bind :8443 --bind http://:8080":            ":8443 http://:8080",
		"--dev-tls --bind https://:8443 --insecure-bind :8080":  "https://:8443 http://:8080",
		"--dev-tls --insecure-bind http://:8080":                "127.0.0.1:8000 http://:8080",
		"--acme example.com":                                    ":443 http://:80",
		"--acme example.com --host 10.0.0.1":                    "10.0.0.1:443 http://10.0.0.1:80",
		"--acme example.com --host ::1 --insecure-bind [::1]:8": "[::1]:443 http://[::1]:80 http://[::1]:8",
		"--acme example.com --port 8443":                        "127.0.0.1:8443",
		"--acme example.com --host 10.0.0.1 --port 8443":        "10.0.0.1:8443",
		"--acme example.com --bind :8443 --bind unix:/run/a":    ":8443 unix:/run/a",
	} {
		loaded, err := call{line: strings.Fields(line)}.loadIn(dir)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if !slices.Equal(loaded.Config.Bind, strings.Fields(want)) || !loaded.Config.TLS() {
			t.Errorf("%s: bind is %q, want %q", line, loaded.Config.Bind, want)
		}
	}
}

// TestProtectionIsNeverIgnored: what asks for https or for client certificates and cannot be had is an error, not a
// warning.
func TestProtectionIsNeverIgnored(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	for line, want := range map[string]string{
		"--keyfile key.pem": "keyfile has no effect without certfile",
		"--certfile cert.pem --certfile cert.pem --keyfile key.pem":   "certfile names 2 files and keyfile 1",
		"--certfile cert.pem --dev-tls":                               "dev_tls makes a certificate for development",
		"--acme example.com --dev-tls":                                "dev_tls makes a certificate for development",
		"--cert-reqs required --ca-certs ca.pem":                      "without a certificate of the server there is no https",
		"--certfile cert.pem --cert-reqs optional":                    "nothing says whose are accepted | write --ca-certs",
		"--certfile cert.pem --ca-certs ca.pem":                       "cert_reqs does not ask for any | write --cert-reqs required",
		"--certfile missing.pem":                                      "flag --certfile: there is no file missing.pem",
		"--certfile folder":                                           "folder is a folder: expected a file",
		"--certfile cert.pem --keyfile missing.pem":                   "flag --keyfile: there is no file missing.pem",
		"--dev-tls --cert-reqs 2 --ssl-ca-certs missing.pem":          "flag --ssl-ca-certs: there is no file missing.pem",
		"--acme example.com --acme-ca-root missing.pem":               "--acme-ca-root: there is no file missing.pem",
		"--bind https://:8443":                                        "bind https://:8443 asks for https, and there is no certificate",
		"--certfile cert.pem --bind unix:/run/a":                      "no address that speaks https",
		"--certfile cert.pem --bind http://:80":                       "no address that speaks https",
		"--http-redirect on":                                          "http_redirect sends clients to https, and there is no certificate",
		"--dev-tls --bind :80 --insecure-bind :80":                    "bind has :80 twice",
		"--dev-tls --insecure-bind https://:80":                       "is not what plain http is listened on",
		"--dev-tls --insecure-bind unix:/run/a":                       "is not what plain http is listened on",
		"--admin-bind https://:9000":                                  "operators are always answered over plain http: expected :9000",
		"--acme intranet":                                             "\"intranet\" is not a public name",
		"--acme *.example.com":                                        "is a wildcard, which authorities give out over DNS only",
		"--acme https://example.com":                                  "is a URL: expected the host name alone",
		"--acme example.com:443":                                      "has a port",
		"--acme 192.0.2.1":                                            "is an address",
		"--acme [::1]":                                                "is an address",
		"--acme exämple.com":                                          "is not ASCII",
		"--acme under_score.example":                                  "is no host name",
		"--acme a..example":                                           "is no host name",
		"--acme example.com --acme-email nobody":                      "is no mail address",
		"--acme example.com --acme-ca http://ca.example":              "is no https URL",
		"--certfile cert.pem --tls-min 1.1":                           "\"1.1\" is not one of 1.2, 1.3",
		"--certfile cert.pem --cert-reqs 3":                           "\"3\" is not one of none, optional, required",
		"--acme example.com --acme-check 0":                           "acme-check: 0 is out of range",
		"--certfile cert.pem --ca-certs ca.pem --cert-reqs maybe":     "\"maybe\" is not one of none",
		"--certfile cert.pem --http-redirect sometimes --bind :443":   "is not one of auto, on, off",
		"--certfile cert.pem --keyfile key.pem --keyfile folder":      "certfile names 1 files and keyfile 2",
		"--certfile cert.pem --certfile folder/missing.pem":           "there is no file folder/missing.pem",
		"--acme example.com --bind http://:80 --bind unix:/run/a.sck": "no address that speaks https",
	} {
		_, err := call{line: strings.Fields(line)}.loadIn(dir)
		if err == nil {
			t.Errorf("%s was taken", line)
			continue
		}
		if text := wholeText(t, err); !strings.Contains(text, want) {
			t.Errorf("%s: the error lacks %q:\n%s", line, want, text)
		}
	}
}

func TestSpellingsOfOthers(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	for _, line := range []string{
		"--certfile cert.pem --keyfile key.pem --ca-certs ca.pem --cert-reqs 2 --tls-min TLSv1.3",
		"--ssl-certfile cert.pem --ssl-keyfile key.pem --ssl-ca-certs ca.pem --ssl-cert-reqs CERT_REQUIRED --ssl-protocol-min tls1.3",
	} {
		loaded, err := call{line: strings.Fields(line)}.loadIn(dir)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		c := loaded.Config
		if !slices.Equal(c.CertFile, []string{"cert.pem"}) || !slices.Equal(c.KeyFile, []string{"key.pem"}) ||
			c.CACerts != "ca.pem" || c.CertReqs != "required" || c.TLSMin != "1.3" || c.HTTPRedirect != "off" {
			t.Errorf("%s: %+v", line, c)
		}
	}
}

func TestACME(t *testing.T) {
	t.Parallel()
	loaded := call{
		file: "acme = ['WWW.Example.com.', 'example.com', 'example.com']\nacme_check = '1h'",
		line: []string{"--acme-email", "mailto:admin@example.com"},
	}.mustLoad(t)
	c := loaded.Config
	if !slices.Equal(c.ACME, []string{"example.com", "www.example.com"}) || c.ACMEEmail != "admin@example.com" ||
		c.HTTPRedirect != "on" || c.ACMECheck != time.Hour || !strings.Contains(c.ACMEAuthority, "letsencrypt.org") {
		t.Errorf("%+v", c)
	}
	if got := (call{line: []string{"--acme", "a.example", "--http-redirect", "no"}}).mustLoad(t); got.Config.HTTPRedirect != "off" {
		t.Errorf("http_redirect is %q in spite of the flag", got.Config.HTTPRedirect)
	}
	private := call{line: []string{"--acme", "intranet", "--acme-ca", "https://ca.lan/dir"}}
	if got := private.mustLoad(t); !slices.Equal(got.Config.ACME, []string{"intranet"}) {
		t.Errorf("acme is %q", got.Config.ACME)
	}
}

func TestWhatHasNoEffectIsSaid(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	for line, want := range map[string]string{
		"--acme-email a@example.com":                                 "acme_email has no effect without acme",
		"--certfile cert.pem --ca-certs ca.pem --cert-reqs none":     "ca_certs has no effect while cert_reqs is none",
		"--certfile cert.pem --keyfile key.pem --bind :1 --bind :00": "",
	} {
		loaded, err := call{line: strings.Fields(line)}.loadIn(dir)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := strings.Join(loaded.Warnings, "\n"); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: the warnings are %q, want %q", line, got, want)
		}
	}
}

func TestStateFolder(t *testing.T) {
	t.Parallel()
	const home, xdg, systemd, short = "HOME=/home/ada", "XDG_STATE_HOME=/state", "STATE_DIRECTORY=/var/lib/site:/var/lib/b", "BACKLINE_STATE=/s"
	for _, c := range []struct {
		environ []string
		line    []string
		want    string
		origin  string
	}{
		{nil, nil, "", "default"},
		{[]string{home}, nil, "/home/ada/.local/state/backline", "default (from $HOME)"},
		{[]string{home, xdg}, nil, "/state/backline", "default (from $XDG_STATE_HOME)"},
		{[]string{home, "XDG_STATE_HOME=relative"}, nil, "/home/ada/.local/state/backline", "default (from $HOME)"},
		{[]string{home, systemd, xdg}, nil, "/var/lib/site", "environment STATE_DIRECTORY"},
		{[]string{short, systemd}, nil, "/s", "environment BACKLINE_STATE"},
		{[]string{systemd, short}, nil, "/s", "environment BACKLINE_STATE"},
		{[]string{systemd, short, "BACKLINE_STATE_DIR=/t"}, nil, "/t", "environment BACKLINE_STATE_DIR"},
		{[]string{short}, []string{"--state-dir", "here"}, "here", "flag --state-dir"},
	} {
		loaded := call{environ: c.environ, line: c.line}.mustLoad(t)
		if got := loaded.Config.StateDir; got != c.want || loaded.Origins["state_dir"].String() != c.origin {
			t.Errorf("%q %q: %q from %q, want %q from %q", c.environ, c.line, got, loaded.Origins["state_dir"], c.want, c.origin)
		}
		if len(loaded.Warnings) > 0 {
			t.Errorf("%q: warnings %q", c.environ, loaded.Warnings)
		}
	}
}
