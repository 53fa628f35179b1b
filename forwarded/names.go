package forwarded

import (
	"fmt"
	"slices"
	"strings"

	"backline"
)

// Headers says which fields of a peer that is believed are believed. A proxy sets some of these fields and passes the
// others on as the client sent them, so that believing a field which the proxy does not set means to believe the
// client.
type Headers struct {
	believed [unknown]bool
	// rfc7239First says which of the two families counts where a request carries both and both are believed.
	rfc7239First bool
}

// name is a field that can be believed.
type name uint8

const (
	xFor name = iota
	xProto
	xHost
	xPort
	rfc7239
	unknown
)

// names are spelled as they are configured.
func names() []string {
	return []string{"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded"}
}

// lookup classifies a field's name.
func lookup(field []byte) name {
	switch len(field) {
	case len("forwarded"):
		return match(field, "forwarded", rfc7239)
	case len("x-forwarded-for"):
		return match(field, "x-forwarded-for", xFor)
	case len("x-forwarded-proto"):
		return match(field, "x-forwarded-proto", xProto)
	case len("x-forwarded-host"): // and port
		return min(match(field, "x-forwarded-host", xHost), match(field, "x-forwarded-port", xPort))
	}
	return unknown
}

func match(field []byte, want string, n name) name {
	if isFold(field, want) {
		return n
	}
	return unknown
}

// ParseHeaders reads names of fields. Where Forwarded and the X-Forwarded family are both named, the family named first
// wins in a request that has both.
func ParseHeaders(texts []string) (Headers, error) {
	var h Headers
	for i, text := range texts {
		field := slices.Index(names(), strings.ToLower(text))
		if field < 0 {
			return Headers{}, fmt.Errorf("%q is not a field that can be believed: expected some of %s",
				text, strings.Join(names(), ", "))
		}
		h.believed[field] = true
		h.rfc7239First = h.rfc7239First || i == 0 && name(field) == rfc7239
	}
	return h, nil
}

// Carried tells whether any field claims who the client is or what it asked for. Every request passes here, so the
// first letter is looked at before a function is called.
func Carried(fields []backline.Field) bool {
	const letters = 1<<('x'&31) | 1<<('f'&31) | 1<<('c'&31) | 1<<('t'&31)
	for i := range fields {
		if name := fields[i].Name; len(name) > 0 && letters>>(name[0]&31)&1 != 0 && claims(name) {
			return true
		}
	}
	return false
}

// remove drops all such fields, in place.
func remove(fields []backline.Field) []backline.Field {
	return slices.DeleteFunc(fields, func(f backline.Field) bool { return claims(f.Name) })
}

// claims recognises the fields by which proxies and networks in front of servers tell who the client is or what it
// asked for, including those that nobody can make Backline believe: an application may (CVE-2022-2255 was such a field
// that a server forgot to remove). All of X-Forwarded-* is in the list, whatever the last word.
func claims(name []byte) bool {
	if len(name) == 0 {
		return false
	}
	switch name[0] | 0x20 {
	case 'x':
		return len(name) >= len("x-forwarded") && isFold(name[:len("x-forwarded")], "x-forwarded") || claimsX(name)
	case 'f':
		return isFold(name, "forwarded") || isFold(name, "fastly-client-ip") || isFold(name, "front-end-https")
	case 'c':
		return isFold(name, "cf-connecting-ip") || isFold(name, "cf-connecting-ipv6")
	case 't':
		return isFold(name, "true-client-ip")
	}
	return false
}

func claimsX(name []byte) bool {
	switch len(name) {
	case len("x-https"):
		return isFold(name, "x-https")
	case len("x-scheme"):
		return isFold(name, "x-scheme")
	case len("x-real-ip"):
		return isFold(name, "x-real-ip")
	case len("x-client-ip"):
		return isFold(name, "x-client-ip")
	case len("x-url-scheme"):
		return isFold(name, "x-url-scheme")
	case len("x-script-name"):
		return isFold(name, "x-script-name")
	case len("x-cluster-client-ip"):
		return isFold(name, "x-cluster-client-ip")
	case len("x-original-forwarded-for"):
		return isFold(name, "x-original-forwarded-for")
	}
	return false
}

// isFold compares a name or a value with one in lower case, without regard to ASCII case.
func isFold(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i := range b {
		if c := want[i]; b[i] != c && (c < 'a' || c > 'z' || b[i]|0x20 != c) {
			return false
		}
	}
	return true
}
