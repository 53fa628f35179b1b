package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// TLS tells whether https is served.
func (c *Config) TLS() bool { return len(c.CertFile) > 0 || len(c.ACME) > 0 || c.DevTLS }

// combineTLS applies what certificates, names and addresses have to do with each other. Nothing that asks for
// protection is ignored: it is an error where it could not be had.
func (run *loading) combineTLS() {
	c := &run.result.Config
	run.combineCertificates()
	run.combineClients()
	run.combineACME()
	for _, each := range []struct {
		key   string
		paths []string
	}{
		{"certfile", c.CertFile}, {"keyfile", c.KeyFile},
		{"ca_certs", []string{c.CACerts}}, {"acme_ca_root", []string{c.ACMERoots}},
	} {
		for _, path := range each.paths {
			run.checkFile(each.key, path)
		}
	}
	run.combineScheme()
	run.combineState()
}

func (run *loading) combineCertificates() {
	c := &run.result.Config
	switch certs, keys := len(c.CertFile), len(c.KeyFile); {
	case certs == 0 && keys > 0:
		run.fail("keyfile has no effect without certfile: a key needs its certificate", "write --certfile cert.pem as well")
	case keys > 0 && certs != keys:
		run.fail(fmt.Sprintf("certfile names %d files and keyfile %d: each certificate has one key", certs, keys),
			"name as many keys as certificates, in the same order, or none where each certfile holds its key")
	}
	if c.DevTLS && (len(c.CertFile) > 0 || len(c.ACME) > 0) {
		run.fail("dev_tls makes a certificate for development, and there are others already", "leave --dev-tls out")
	}
}

func (run *loading) combineClients() {
	c := &run.result.Config
	asked := c.CertReqs != "none"
	switch {
	case asked && !c.TLS():
		run.fail("cert_reqs asks for client certificates, and without a certificate of the server there is no https",
			"write --certfile and --keyfile, --acme or --dev-tls as well")
	case asked && c.CACerts == "":
		run.fail("cert_reqs asks for client certificates, and nothing says whose are accepted",
			"write --ca-certs clients.pem as well")
	case !asked && c.CACerts != "" && run.source("cert_reqs") > SourceDefault:
		run.warn("ca_certs has no effect while cert_reqs is none: clients are not asked for certificates")
	case !asked && c.CACerts != "":
		run.fail("ca_certs says whose client certificates are accepted, and cert_reqs does not ask for any",
			"write --cert-reqs required, or optional, or none if that is meant")
	}
}

func (run *loading) combineACME() {
	c := &run.result.Config
	slices.Sort(c.ACME)
	c.ACME = slices.Compact(c.ACME)
	for _, name := range c.ACME {
		if c.ACMEAuthority == defaultAuthority && !strings.Contains(name, ".") {
			run.fail(fmt.Sprintf("acme: %q is not a public name, and Let's Encrypt gives certificates for no other", name),
				"--dev-tls makes a certificate for localhost, --acme-ca names an authority of your own network")
		}
	}
	for _, key := range []string{"acme_email", "acme_ca", "acme_ca_root", "acme_check"} {
		if len(c.ACME) == 0 && run.source(key) > SourceDefault {
			run.warn(key + " has no effect without acme")
		}
	}
}

// acmeAddresses are the ports that authorities come to, and browsers. Port 80 is for challenges and redirects.
func acmeAddresses(host string) []string {
	return []string{net.JoinHostPort(host, "443"), "http://" + net.JoinHostPort(host, "80")}
}

// combineScheme finds addresses that contradict the rest.
func (run *loading) combineScheme() {
	c := &run.result.Config
	encrypted := false
	for _, text := range c.Bind {
		address, err := ParseAddress(text)
		if err != nil {
			continue // checkBind has said so
		}
		encrypted = encrypted || address.Network != "unix" && address.Scheme != "http"
		if address.Scheme == "https" && !c.TLS() {
			run.fail(fmt.Sprintf("bind %s asks for https, and there is no certificate", text),
				"write --certfile and --keyfile, --acme or --dev-tls as well")
		}
	}
	switch {
	case c.TLS() && !encrypted:
		run.fail("there are certificates, and no address that speaks https",
			"write for example --bind :443; Unix sockets never do")
	case c.HTTPRedirect == "on" && !c.TLS():
		run.fail("http_redirect sends clients to https, and there is no certificate", "leave it out")
	}
	if c.HTTPRedirect == "auto" {
		c.HTTPRedirect = "off"
		if len(c.ACME) > 0 {
			c.HTTPRedirect = "on"
			run.result.Origins["http_redirect"] = noted(run.result.Origins["http_redirect"], "on with acme")
		}
	}
}

// checkFile finds a missing file here, where it is known which setting names it. One that this user may not see stays
// for whoever reads it: `backline settings` is run by people, the server by its own user.
func (run *loading) checkFile(key, path string) {
	if path == "" {
		return
	}
	info, err := os.Stat(inside(run.Dir, path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		run.errs = append(run.errs, run.result.Mistake(key,
			fmt.Errorf("there is no file %s: write its path from the folder of the command, or an absolute one", path)))
	case err == nil && info.IsDir():
		run.errs = append(run.errs, run.result.Mistake(key, fmt.Errorf("%s is a folder: expected a file", path)))
	}
}

// combineState works out where what outlives a restart is kept.
func (run *loading) combineState() {
	c := &run.result.Config
	if c.StateDir != "" {
		return
	}
	variables := map[string]string{}
	for _, entry := range run.Environ {
		name, value, _ := strings.Cut(entry, "=")
		variables[name] = value
	}
	for _, place := range []struct{ variable, below string }{
		{"XDG_STATE_HOME", "backline"}, {"HOME", ".local/state/backline"},
	} {
		if base := variables[place.variable]; filepath.IsAbs(base) {
			c.StateDir = filepath.Join(base, place.below)
			run.result.Origins["state_dir"] = noted(run.result.Origins["state_dir"], "from $"+place.variable)
			return
		}
	}
}
