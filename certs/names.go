package certs

import (
	"crypto/tls"
	"net"
	"strings"
	"time"
)

// chest holds certificates by name. It is never changed once it is made: handshakes read it without a lock, and a
// reload puts another in its place.
type chest struct {
	byName map[string][]*tls.Certificate // exact names, addresses, and wildcards as "*.example.com"
	first  *tls.Certificate
}

func newChest(all []*tls.Certificate) *chest {
	c := &chest{byName: map[string][]*tls.Certificate{}}
	for _, each := range all {
		if c.first == nil {
			c.first = each
		}
		for _, name := range namesOf(each) {
			c.byName[name] = append(c.byName[name], each)
		}
	}
	return c
}

// namesOf gives what a certificate is for. The common name counts only where there is nothing else, in old files of
// private authorities: no client has believed it since 2017, but those that check nothing exist.
func namesOf(cert *tls.Certificate) []string {
	leaf := cert.Leaf
	var names []string
	for _, name := range leaf.DNSNames {
		names = append(names, canonical(name))
	}
	for _, address := range leaf.IPAddresses {
		names = append(names, address.String())
	}
	if len(names) == 0 && leaf.Subject.CommonName != "" {
		names = append(names, canonical(leaf.Subject.CommonName))
	}
	return names
}

// choose gives the certificate for the name in a client's hello, the exact one before a wildcard, and the first of all
// where nothing fits: a client that goes on in spite of the name (a health check by address) is its own judge. nil
// where there is none at all.
func (c *chest) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	fitting := c.find(canonical(hello.ServerName))
	for _, each := range fitting {
		if hello.SupportsCertificate(each) == nil { // an RSA and an ECDSA one may stand side by side
			return each
		}
	}
	if len(fitting) > 0 {
		return fitting[0]
	}
	return c.first
}

func (c *chest) find(name string) []*tls.Certificate {
	if exact := c.byName[name]; len(exact) > 0 {
		return exact
	}
	if _, parent, found := strings.Cut(name, "."); found { // a wildcard is one label, the leftmost (RFC 9525 6.3)
		return c.byName["*."+parent]
	}
	return nil
}

// canonical is how names are compared: lower case, without the final dot of a complete one.
func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// splitHost takes a Host field apart, which is known to be well formed. The port is empty where there is none.
func splitHost(field string) (name, port string) {
	name, port, err := net.SplitHostPort(field)
	if err != nil {
		name, port = strings.TrimSuffix(strings.TrimPrefix(field, "["), "]"), ""
	}
	return canonical(name), port
}

// validity says in words how long a certificate is good for.
func validity(cert *tls.Certificate, now time.Time) (text string, good bool) {
	switch leaf := cert.Leaf; {
	case now.After(leaf.NotAfter):
		return "it expired on " + leaf.NotAfter.Format(time.DateTime) + " UTC", false
	case now.Before(leaf.NotBefore):
		return "it is not valid before " + leaf.NotBefore.Format(time.DateTime) + " UTC", false
	default:
		return "", true
	}
}
