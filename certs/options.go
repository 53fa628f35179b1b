package certs

import (
	"crypto/tls"
	"log/slog"
	"time"
)

// Options say which certificates there are. Without Pairs and without ACME there is nothing to serve TLS with, and New
// refuses them.
type Options struct {
	// Pairs are certificates in files. The first one is for clients that name no host, or one that no certificate is for.
	Pairs []Pair
	// MinVersion is the oldest version of TLS that is spoken. 0 means TLS 1.2.
	MinVersion uint16
	// ClientCAs is a PEM file of the authorities whose client certificates are accepted. It must be given where ClientAuth
	// asks for certificates, and is not read where it does not.
	ClientCAs string
	// ClientAuth is whether clients present certificates: tls.NoClientCert (0), tls.VerifyClientCertIfGiven or
	// tls.RequireAndVerifyClientCert.
	ClientAuth tls.ClientAuthType
	// ACME obtains certificates from an authority. nil: none are obtained.
	ACME *ACME
	// Interval is how often files are looked at for changes. 0 means 5 s.
	Interval time.Duration
	// Log gets what people should know. nil: nothing is logged.
	Log *slog.Logger
}

// Pair is one certificate, with the chain that leads to its authority, and its private key, both as PEM.
type Pair struct {
	Cert string
	Key  string // empty: Cert holds the key as well
}

// ACME says which certificates are obtained, from whom, and how the authority finds that the names are ours.
type ACME struct {
	// Names are the hosts, each of which gets its own certificate.
	Names []string
	// Email is told to the authority, which may write to it about its certificates. It may be empty.
	Email string
	// Directory is the authority's URL. Empty means Let's Encrypt's.
	Directory string
	// Roots is a PEM file of what the authority's own certificate leads to. Empty means the system's.
	Roots string
	// Folder holds accounts, keys and certificates, so that a restart obtains nothing anew. It is made if it is missing,
	// for this user alone.
	Folder string
	// HTTP and TLS are the addresses, "host:port", that the authority reaches as ports 80 and 443 of the names. Empty: it
	// does not reach us that way, and the challenge that needs it (HTTP-01, TLS-ALPN-01) is not offered.
	HTTP, TLS string
	// Check is how often certificates are looked at for renewal: in the last third of their time, or when the authority
	// says so. 0 means 10 minutes.
	Check time.Duration
}

// looks is how often files are looked at. Certificates change every few weeks; whoever cannot wait sends a signal.
const looks = 5 * time.Second

func (o *Options) setDefaults() {
	if o.MinVersion == 0 {
		o.MinVersion = tls.VersionTLS12
	}
	if o.Interval == 0 {
		o.Interval = looks
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}
