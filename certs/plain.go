package certs

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"backline"
)

// Answer is what a request without TLS gets in the application's stead.
type Answer struct {
	Status   int
	Location string // with 308
	Body     string // text/plain
}

// challengePrefix is where authorities look (RFC 8555 8.3).
const challengePrefix = "/.well-known/acme-challenge/"

// Challenge answers the HTTP-01 challenge that an authority may have under way for a host. False where it has none, and
// before Run.
func (s *Store) Challenge(host, path string) (body string, ok bool) {
	if s.authority == nil || !strings.HasPrefix(path, challengePrefix) {
		return "", false
	}
	name, _ := splitHost(host)
	m := s.authority.magic.Load()
	if m == nil || !s.authority.owns(name) {
		return "", false
	}
	var answer challengeAnswer
	// The request is the shape in which certmagic wants the two; it looks in the folder too, where another process of
	// ours, about to take over, may have left the challenge.
	ok = m.issuer.HandleHTTPChallenge(&answer, &http.Request{
		Method: http.MethodGet, Host: name, URL: &url.URL{Path: path}, RequestURI: path,
	})
	return answer.body.String(), ok
}

// challengeAnswer keeps what certmagic writes.
type challengeAnswer struct {
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *challengeAnswer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

// Write implements http.ResponseWriter.
func (a *challengeAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }

// WriteHeader implements http.ResponseWriter.
func (a *challengeAnswer) WriteHeader(int) {}

// Plain decides about a request that came without TLS: a challenge is answered; with redirect, everything else is sent
// to https. port is the one where TLS is listened on here. nil: the application answers.
//
// Only hosts that we have certificates for are redirected to: a server that sends people to whatever host they name
// can be used to make a link look like its own.
func (s *Store) Plain(scope *backline.Scope, redirect bool, port int) *Answer {
	host := hostOf(scope)
	if body, ok := s.Challenge(host, string(scope.Path)); ok && string(scope.Method) == http.MethodGet {
		return &Answer{Status: http.StatusOK, Body: body}
	}
	if !redirect {
		return nil
	}
	name, asked := splitHost(host)
	switch {
	case name == "":
		return &Answer{Status: http.StatusBadRequest, Body: "This address leads to https, and the request names no host."}
	case !s.Serves(name):
		return &Answer{Status: http.StatusMisdirectedRequest, Body: "This server has no certificate for that host."}
	}
	location := "https://" + authorityOf(name, asked, port) + target(scope)
	return &Answer{Status: http.StatusPermanentRedirect, Location: location, Body: "This site is served by https."}
}

func hostOf(scope *backline.Scope) string {
	for _, field := range scope.Fields {
		if strings.EqualFold(string(field.Name), "host") {
			return string(field.Value)
		}
	}
	return ""
}

// authorityOf is the host to go to. A client that came to port 80 named no port, and https is at 443 for it, whatever
// the ports are called on this side of a port forwarding. One that named a port sees ours as they are.
func authorityOf(name, asked string, port int) string {
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if asked == "" || asked == "80" || port == 0 || port == 443 {
		return name
	}
	return name + ":" + strconv.Itoa(port)
}

// target is the path and query, as they came: parsers on both ends must see the same.
func target(scope *backline.Scope) string {
	path := string(scope.Path)
	if !strings.HasPrefix(path, "/") { // "OPTIONS *"
		return "/"
	}
	if len(scope.Query) > 0 {
		path += "?" + string(scope.Query)
	}
	return path
}
