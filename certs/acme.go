package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"backline"
)

// ACMEProtocol is what an authority asks for by ALPN when it checks that a name is ours (RFC 8737). A connection that
// has negotiated it has served its purpose: nothing may be read from it.
const ACMEProtocol = "acme-tls/1"

// authority obtains certificates, one for each name, and renews them.
type authority struct {
	options ACME
	log     *slog.Logger
	names   map[string]bool
	roots   *x509.CertPool // nil: the system's
	loaded  chan struct{}  // closed when what is in the folder is in memory
	begun   chan struct{}  // closed when the authority can reach us
	once    sync.Once      // of begun

	magic atomic.Pointer[magic] // nil before run
}

// magic is certmagic set up for one authority. It is made by run and not before, because a cache starts a goroutine
// when it is made.
type magic struct {
	cache  *certmagic.Cache
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
}

func newAuthority(options ACME, log *slog.Logger) (*authority, error) {
	a := &authority{
		options: options, log: log, names: map[string]bool{}, loaded: make(chan struct{}), begun: make(chan struct{}),
	}
	for _, name := range options.Names {
		a.names[canonical(name)] = true
	}
	if options.HTTP == "" && options.TLS == "" {
		return nil, &backline.Error{
			Op: "acme", Code: backline.CodeUsage, Message: "no address is listened on that the authority could reach",
			Hint: "listen on ports 443 and 80, the default with --acme, or on those that lead there: " +
				"--bind https://:8443 --bind http://:8080",
		}
	}
	if options.Roots != "" {
		var err error
		if a.roots, err = pool("acme_ca_root", options.Roots); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// owns tells whether a name is one of ours. Everything that clients may write is held against it before anything else
// is done with it.
func (a *authority) owns(name string) bool { return a.names[canonical(name)] }

// run obtains and renews until ctx ends.
func (a *authority) run(ctx context.Context) {
	m := a.setUp()
	defer a.tearDown(m)
	var missing []string
	for name := range a.names {
		switch cert, err := m.config.CacheManagedCertificate(ctx, name); {
		case err == nil:
			a.announce("certificate loaded", name, cert.Leaf)
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, name)
		default:
			a.log.Error("a stored certificate cannot be loaded; a new one is obtained", "name", name, "error", err)
			missing = append(missing, name)
		}
	}
	a.magic.Store(m)
	close(a.loaded)
	select {
	case <-a.begun:
	case <-ctx.Done():
		return
	}
	var group sync.WaitGroup
	for _, name := range missing {
		group.Go(func() { a.obtain(ctx, m, name) })
	}
	// A certificate that ran out while the server was down must not wait for the first regular check.
	if err := m.cache.RenewManagedCertificates(ctx); err != nil && ctx.Err() == nil {
		a.log.Warn("certificates could not be checked for renewal", "error", err)
	}
	<-ctx.Done()
	group.Wait()
}

func (a *authority) setUp() *magic {
	log := zap.New(&bridge{log: a.log})
	var made atomic.Pointer[certmagic.Config]
	m := &magic{}
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return made.Load(), nil },
		RenewCheckInterval: a.options.Check, // 0: its default, 10 minutes
		Logger:             log,
	})
	m.config = certmagic.New(m.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: a.options.Folder}, Logger: log,
		DefaultServerName: a.options.Names[0], OnEvent: a.event, ShouldEmitFunc: told,
		// A start must not wait for somebody else's server, and the authorities are giving OCSP up.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	template := certmagic.ACMEIssuer{
		CA: a.options.Directory, Email: a.options.Email, Agreed: true, TrustedRoots: a.roots, Logger: log,
		DisableHTTPChallenge: a.options.HTTP == "", DisableTLSALPNChallenge: a.options.TLS == "",
	}
	// certmagic would listen on ports 80 and 443 itself while a challenge is under way. It leaves that to whoever
	// listens there already, so it is told where we do.
	var hosts [2]string
	hosts[0], template.AltHTTPPort = apart(a.options.HTTP)
	hosts[1], template.AltTLSALPNPort = apart(a.options.TLS)
	if hosts[0] == hosts[1] || a.options.HTTP == "" {
		template.ListenHost = hosts[1]
	} else if a.options.TLS == "" {
		template.ListenHost = hosts[0]
	} // else it has room for one only; every address is the one that no listener of ours lets it have
	m.issuer = certmagic.NewACMEIssuer(m.config, template)
	m.config.Issuers = []certmagic.Issuer{m.issuer}
	made.Store(m.config)
	return m
}

func apart(address string) (host string, port int) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0
	}
	port, _ = strconv.Atoi(text)
	return host, port
}

// tearDown ends the cache's goroutine. It may be asking the authority something, with no way to interrupt it and half a
// minute of patience; nothing is lost when the process ends under it.
func (a *authority) tearDown(m *magic) {
	ended := make(chan struct{})
	go func() {
		m.cache.Stop()
		close(ended)
	}()
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
	}
}

// obtain gets the first certificate for a name. certmagic tries again for 30 days, after a minute at first and after
// six hours at last.
func (a *authority) obtain(ctx context.Context, m *magic, name string) {
	a.log.Info("obtaining a certificate", "name", name, "from", m.issuer.CA)
	err := m.config.ObtainCertAsync(ctx, name)
	var cert certmagic.Certificate
	if err == nil {
		cert, err = m.config.CacheManagedCertificate(ctx, name)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		a.log.Error("no certificate for a name; it is not tried again before the next start", "name", name, "error", err)
	default:
		a.announce("certificate ready", name, cert.Leaf)
	}
}

func (a *authority) announce(what, name string, leaf *x509.Certificate) {
	a.log.Info(what, "name", name, "valid_until", leaf.NotAfter.Format(time.DateTime))
}

// told says which of certmagic's events are listened to. One comes with every handshake.
func told(event string) bool { return event == "cert_obtained" || event == "cert_failed" }

// event says what has become of an attempt.
func (a *authority) event(ctx context.Context, event string, data map[string]any) error {
	name, renewal := fmt.Sprint(data["identifier"]), data["renewal"] == true
	if event == "cert_obtained" {
		if renewal { // of a first one, obtain speaks
			a.log.Info("certificate renewed", "name", name)
		}
		return nil
	}
	if failure, ok := data["error"].(error); ok && ctx.Err() == nil {
		a.complain(name, renewal, failure)
	}
	return nil
}

func (a *authority) complain(name string, renewal bool, failure error) {
	what := "no certificate could be obtained, clients of this name are refused until one is; it is tried again"
	if renewal {
		what = "a certificate could not be renewed, the old one stays in use; it is tried again"
	}
	reason, hint := explain(failure, a.options)
	a.log.Error(what, "name", name, "reason", reason, "hint", hint)
}

// certificate gives the one for a hello.
func (a *authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if m := a.magic.Load(); m != nil {
		if cert, err := m.config.GetCertificate(hello); err == nil {
			return cert, nil
		}
	}
	return nil, fmt.Errorf("there is no certificate for %q yet", hello.ServerName)
}

// isChallenge recognises an authority's check by its one protocol (RFC 8737 3).
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == ACMEProtocol
}

// challengeConfig answers such a check. It asks for no client certificate: authorities have none of ours.
func (a *authority) challengeConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, // RFC 8737 3
		NextProtos: []string{ACMEProtocol},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			m := a.magic.Load()
			if m == nil || !a.owns(hello.ServerName) {
				return nil, fmt.Errorf("no certificate is being obtained for %q", hello.ServerName)
			}
			return m.config.GetCertificate(hello)
		},
	}
}
