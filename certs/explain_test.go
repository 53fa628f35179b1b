package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/mholt/acmez/v3/acme"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	both := ACME{HTTP: "0.0.0.0:80", TLS: "[::]:8443"}
	problem := func(kind string) error {
		return fmt.Errorf("wrapped: %w", acme.Problem{Type: acme.ProblemTypeNamespace + kind, Detail: "the detail"})
	}
	for _, c := range []struct {
		err          error
		options      ACME
		reason, hint string
	}{
		{problem("connection"), both, "the detail", "the name's port 80 or port 443 (here 8443) must lead to this server"},
		{problem("connection"), ACME{TLS: ":443"}, "the detail", "the name's port 443 must lead to this server"},
		{problem("dns"), both, "the detail", "A or AAAA record"},
		{problem("unauthorized"), both, "the detail", "something else answered at the name's port 80 or"},
		{problem("caa"), both, "the detail", "CAA record"},
		{problem("rateLimited"), both, "the detail", "keep the state folder"},
		{problem("rejectedIdentifier"), both, "the detail", "is it public"},
		{problem("invalidContact"), both, "the detail", "--acme-email"},
		{problem("externalAccountRequired"), both, "the detail", "another --acme-ca"},
		{problem("serverInternal"), both, "the detail", ""},
		{fmt.Errorf("get: %w", x509.UnknownAuthorityError{}), both, "unknown authority", "--acme-ca-root"},
		{&url.Error{Op: "Get", URL: "https://ca.example", Err: errors.New("refused")}, both, "refused", "outgoing connections"},
		{errors.New("the disk is full"), both, "the disk is full", ""},
	} {
		reason, hint := explain(c.err, c.options)
		if !strings.Contains(reason, c.reason) || !strings.Contains(hint, c.hint) || (c.hint == "") != (hint == "") {
			t.Errorf("%v: %q, %q, want %q, %q", c.err, reason, hint, c.reason, c.hint)
		}
	}
	compound := acme.Problem{
		Type: acme.ProblemTypeCompound, Detail: "several",
		Subproblems: []acme.Subproblem{{Detail: "the first"}, {Detail: "the second"}},
	}
	if reason, _ := explain(compound, both); reason != "several; the first; the second" {
		t.Errorf("a compound problem reads %q", reason)
	}
}
