package main

import (
	"cmp"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"backline"
	"backline/certs"
	"backline/config"
	"backline/edge"
)

// certificates are what https is served with.
type certificates struct {
	*certs.Store

	local    certs.Local // with --dev-tls
	redirect bool        // plain addresses lead to https
	port     int         // where https is listened on
}

// openCertificates reads what the settings name. It comes after the addresses are bound, because an authority has to be
// told which ports are ours.
func (s *server) openCertificates(loaded *config.Loaded) (err error) {
	c := s.config
	if !c.TLS() {
		return nil
	}
	options := certificateOptions(s.process, c)
	options.Log = s.log.Logger
	opened := &certificates{redirect: c.HTTPRedirect == "on"}
	http, https := s.divide()
	if https != nil {
		opened.port = https.Port
	}
	if c.DevTLS || len(c.ACME) > 0 {
		state, err := stateFolder(s.process, loaded)
		if err != nil {
			return err
		}
		if c.DevTLS {
			if opened.local, err = developmentPair(state); err != nil {
				return err
			}
			options.Pairs = append(options.Pairs, opened.local.Pair)
		} else {
			options.ACME = acmeOptions(s.process, c, state, http, https)
		}
	}
	if opened.Store, err = certs.New(options); err != nil {
		return err
	}
	s.certificates = opened
	return nil
}

// divide tells the listeners apart that speak https from those that do not, and gives the first of each that has a
// port.
func (s *server) divide() (http, https *net.TCPAddr) {
	for i, l := range s.listeners {
		address, _ := config.ParseAddress(s.config.Bind[i]) // it was right when it was bound
		l.Plain = l.Plain || address.Scheme == "http"
		tcp, hasPort := l.Addr().(*net.TCPAddr)
		switch {
		case !hasPort:
		case l.Plain:
			http = cmp.Or(http, tcp)
		default:
			l.Name = "https" + strings.TrimPrefix(l.Name, "http")
			https = cmp.Or(https, tcp)
		}
	}
	return http, https
}

// withoutScheme gives what is listened on. A process that takes over from one with other certificates looks for its
// sockets by this name.
func withoutScheme(bind string) string {
	address, err := config.ParseAddress(bind)
	if err != nil {
		return bind
	}
	address.Scheme = ""
	return address.String()
}

// certificateOptions are those for files.
func certificateOptions(p *process, c *config.Config) certs.Options {
	options := certs.Options{
		ClientCAs: p.path(c.CACerts), ClientAuth: clientAuth(c.CertReqs), MinVersion: tls.VersionTLS12,
	}
	if c.TLSMin == "1.3" {
		options.MinVersion = tls.VersionTLS13
	}
	for i, cert := range c.CertFile {
		pair := certs.Pair{Cert: p.path(cert)}
		if len(c.KeyFile) > 0 { // then there are as many
			pair.Key = p.path(c.KeyFile[i])
		}
		options.Pairs = append(options.Pairs, pair)
	}
	return options
}

func clientAuth(word string) tls.ClientAuthType {
	switch word {
	case "required":
		return tls.RequireAndVerifyClientCert
	case "optional":
		return tls.VerifyClientCertIfGiven
	default:
		return tls.NoClientCert
	}
}

func acmeOptions(p *process, c *config.Config, state string, http, https *net.TCPAddr) *certs.ACME {
	options := &certs.ACME{
		Names: c.ACME, Email: c.ACMEEmail, Directory: c.ACMEAuthority, Roots: p.path(c.ACMERoots),
		Folder: filepath.Join(state, "tls"), Check: c.ACMECheck,
	}
	if http != nil {
		options.HTTP = http.String()
	}
	if https != nil {
		options.TLS = https.String()
	}
	return options
}

// path gives a path of the settings its meaning: from the folder of the command. Empty stays empty.
func (p *process) path(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.dir, path)
}

// stateFolder gives the folder for what outlives a restart. It is for this user alone: there are keys in it.
func stateFolder(p *process, loaded *config.Loaded) (string, error) {
	folder := p.path(loaded.Config.StateDir)
	if folder == "" {
		return "", &backline.Error{
			Op: "find the state folder", Code: backline.CodeUsage,
			Message: "certificates have to be kept, and neither state_dir nor $HOME says where",
			Hint:    "name a folder that outlives a restart: --state-dir /var/lib/backline",
		}
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", loaded.Mistake("state_dir", err)
	}
	return folder, nil
}

func developmentPair(state string) (certs.Local, error) {
	machine, err := os.Hostname()
	if err != nil {
		machine = "" // then the certificate is for localhost alone
	}
	return certs.Develop(filepath.Join(state, "dev"), machine)
}

// checkCertificates is openCertificates for `backline check`, which binds and makes nothing.
func checkCertificates(p *process, c *config.Config) error {
	if len(c.CertFile) == 0 {
		return nil
	}
	_, err := certs.New(certificateOptions(p, c))
	return err
}

// encrypt has the edge speak https.
func (s *server) encrypt(options *edge.Options) {
	if s.certificates == nil {
		return
	}
	options.TLS = s.certificates.Config()
	options.HandshakeTimeout, options.Handshakes = s.config.TLSHandshakeTimeout, s.config.TLSHandshakes
	options.Plain = s.certificates.answer
}

// answer implements edge.Options.Plain.
func (c *certificates) answer(scope *backline.Scope) *edge.Page {
	answer := c.Plain(scope, c.redirect, c.port)
	if answer == nil {
		return nil
	}
	return &edge.Page{Status: answer.Status, Text: answer.Body, Location: answer.Location}
}

// howToTrust says what stops clients from warning of the development certificate.
func (c *certificates) howToTrust() string {
	const ours = "/usr/local/share/ca-certificates/backline.crt"
	file := c.local.Authority
	if runtime.GOOS == "darwin" {
		return "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain " + file
	}
	return "sudo install -m 644 " + file + " " + ours + " && sudo update-ca-certificates"
}
