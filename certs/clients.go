package certs

import (
	"crypto/tls"
	"crypto/x509"
	"sync"

	"backline"
)

// clients is whose certificates are accepted from clients, as of one load.
type clients struct {
	auth tls.ClientAuthType
	cas  *x509.CertPool

	once    sync.Once
	derived *tls.Config // the listeners' config with these authorities
}

// newClients reads the authorities. It gives old where nothing has changed, so that listeners need no further config.
func newClients(options Options, old *clients) (*clients, error) {
	if options.ClientAuth == tls.NoClientCert {
		if old != nil {
			return old, nil
		}
		return &clients{}, nil
	}
	if options.ClientCAs == "" {
		return nil, &backline.Error{
			Op: "cert_reqs", Code: backline.CodeUsage,
			Message: "client certificates are asked for, and nothing says whose are accepted",
			Hint:    "name the authorities' file: --ca-certs clients.pem",
		}
	}
	cas, err := pool("ca_certs", options.ClientCAs)
	if err != nil {
		return nil, err
	}
	if old != nil && old.cas.Equal(cas) {
		return old, nil
	}
	return &clients{auth: options.ClientAuth, cas: cas}, nil
}

func (c *clients) apply(config *tls.Config) { config.ClientAuth, config.ClientCAs = c.auth, c.cas }

// derive gives the listeners' config with these authorities in it. The keys of session tickets stay the original's;
// crypto/tls verifies a resumed client against the authorities of now.
func (c *clients) derive(original *tls.Config) *tls.Config {
	c.once.Do(func() {
		c.derived = original.Clone()
		c.derived.GetConfigForClient = nil
		c.apply(c.derived)
	})
	return c.derived
}
