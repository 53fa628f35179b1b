package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/mholt/acmez/v3/acme"
)

// explain says why no certificate was obtained, and what to do about it: what the authority found wrong, or why it
// could not be asked.
func explain(err error, options ACME) (reason, hint string) {
	if problem, ok := errors.AsType[acme.Problem](err); ok {
		return details(problem), hintFor(problem.Type, options)
	}
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return unknown.Error(), "an authority of your own has a root certificate of your own: --acme-ca-root FILE"
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Error(), "the server has to reach the authority: look at outgoing connections, proxies and --acme-ca"
	}
	return err.Error(), ""
}

func details(problem acme.Problem) string {
	all := make([]string, 0, 1+len(problem.Subproblems))
	all = append(all, problem.Detail)
	for _, part := range problem.Subproblems {
		all = append(all, part.Detail)
	}
	return strings.Join(all, "; ")
}

// hintFor is what helps against each of the problems of RFC 8555 6.7 that people can do something about.
func hintFor(problem string, options ACME) string {
	switch problem {
	case acme.ProblemTypeConnection:
		return "the authority could not connect: the name's " + ports(options) +
			" must lead to this server from the whole Internet (firewall, port forwarding, A and AAAA records)"
	case acme.ProblemTypeDNS:
		return "the name must have an A or AAAA record with this server's public address"
	case acme.ProblemTypeUnauthorized, acme.ProblemTypeIncorrectResponse, acme.ProblemTypeTLS:
		return "something else answered at the name's " + ports(options) +
			": another server or proxy, or an old A or AAAA record"
	case acme.ProblemTypeCAA:
		return "the name's CAA record does not allow this authority"
	case acme.ProblemTypeRateLimited:
		return "the authority allows so many certificates in a time; keep the state folder from one start to the next"
	case acme.ProblemTypeRejectedIdentifier, acme.ProblemTypeUnsupportedIdentifier:
		return "this authority gives no certificate for that name: is it public, and spelt right?"
	case acme.ProblemTypeInvalidContact, acme.ProblemTypeUnsupportedContact:
		return "the authority does not take the address of --acme-email"
	case acme.ProblemTypeExternalAccountRequired:
		return "this authority wants an account made on its site first, which is not supported; choose another --acme-ca"
	default:
		return ""
	}
}

// ports names those that the authority's challenges come to, and where they have to lead.
func ports(options ACME) string {
	var all []string
	for _, each := range []struct{ public, address string }{{"80", options.HTTP}, {"443", options.TLS}} {
		if each.address == "" {
			continue
		}
		text := "port " + each.public
		if _, port, err := net.SplitHostPort(each.address); err == nil && port != each.public {
			text += fmt.Sprintf(" (here %s)", port)
		}
		all = append(all, text)
	}
	return strings.Join(all, " or ")
}
