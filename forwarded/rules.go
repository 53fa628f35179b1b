package forwarded

import (
	"cmp"
	"strconv"
	"strings"

	"backline"
	"backline/h1"
)

// Rules are whom a server believes, and what.
type Rules struct {
	Peers   Peers
	Headers Headers
}

// Outcome is what became of the fields by which others speak for a client.
type Outcome uint8

// The outcomes.
const (
	Silent   Outcome = iota // there were none, or none of those that are believed
	Removed                 // the peer is not believed: the application will not see them
	Believed                // the scope says what they said
)

// Apply changes a scope to what a believed peer says, or removes what another one says. The scope's Client is the peer
// when Apply is called, and the client afterwards; where the client's address is not told, or is not an address, it is
// the address of the outermost proxy that is believed. The fields of a believed peer stay: an application may know more
// of them.
func (r *Rules) Apply(scope *backline.Scope) Outcome {
	if !Carried(scope.Fields) {
		return Silent
	}
	if !r.Peers.Contains(Address(scope.Client)) {
		scope.Fields = remove(scope.Fields)
		return Removed
	}
	said := r.listen(scope.Fields)
	if said == (statement{}) {
		return Silent
	}
	said.apply(scope)
	return Believed
}

// statement is what the proxies say together. Zero values are not told.
type statement struct {
	client node
	scheme string
	host   string // "example.com" or "example.com:8443"
	port   int
}

// listen reads one of the two families: mixing them would let a client add to what the proxy says.
func (r *Rules) listen(fields []backline.Field) statement {
	usual, standard := false, false
	for i := range fields {
		switch field := lookup(fields[i].Name); {
		case field == unknown || !r.Headers.believed[field]:
		case field == rfc7239:
			standard = true
		default:
			usual = true
		}
	}
	switch {
	case standard && (r.Headers.rfc7239First || !usual):
		return r.listenStandard(fields)
	case usual:
		return r.listenUsual(fields)
	}
	return statement{}
}

// listenUsual reads the X-Forwarded family. Of the fields besides X-Forwarded-For, the value counts that the outermost
// believed proxy wrote: as far from the right as its element of X-Forwarded-For. Most proxies replace these fields
// instead of appending to them, and then there is but one.
func (r *Rules) listenUsual(fields []backline.Field) (said statement) {
	depth := 1
	if r.Headers.believed[xFor] {
		said.client, depth = r.walk(fields)
	}
	if r.Headers.believed[xProto] {
		said.scheme = scheme(nth(fields, xProto, depth))
	}
	if r.Headers.believed[xHost] {
		said.setHost(nth(fields, xHost, depth))
	}
	if r.Headers.believed[xPort] {
		said.port, _ = parsePort(nth(fields, xPort, depth))
	}
	return said
}

// walk follows X-Forwarded-For from the right to the first address that is not believed. depth is the number of proxies
// that were passed.
func (r *Rules) walk(fields []backline.Field) (client node, depth int) {
	l := list{fields: fields, name: xFor}
	for on := true; on; depth++ {
		text, ok := l.next()
		if !ok {
			break
		}
		client, on = r.follow(text, client)
	}
	return client, max(depth, 1)
}

// follow reads one element of a list of nodes. It gives the client as far as it is known then, and whether that is only
// another proxy that is believed.
func (r *Rules) follow(text []byte, before node) (client node, on bool) {
	n, ok := parseNode(text)
	if !ok {
		return before, false
	}
	return n, r.Peers.Contains(n.addr)
}

// listenStandard reads Forwarded. Each proxy tells in its element who came to it and what for, so what the outermost
// believed one wrote counts.
func (r *Rules) listenStandard(fields []backline.Field) (said statement) {
	l := list{fields: fields, name: rfc7239}
	for on := true; on; {
		text, ok := l.next()
		if !ok {
			break
		}
		e, ok := parseElement(text)
		if !ok {
			break
		}
		said.scheme, said.host = scheme(e.proto), ""
		said.setHost(e.host)
		said.client, on = r.follow(e.node, said.client)
	}
	return said
}

// setHost takes a host that may stand in a Host field.
func (s *statement) setHost(b []byte) {
	if len(b) > 0 && h1.ValidHost(b) {
		s.host = string(b)
	}
}

// scheme gives "http" or "https"; "" for anything else. WebSocket's schemes are HTTP's by other names: which of the two
// protocols it is, the request itself says.
func scheme(b []byte) string {
	switch {
	case isFold(b, "https"), isFold(b, "wss"):
		return "https"
	case isFold(b, "http"), isFold(b, "ws"):
		return "http"
	}
	return ""
}

// apply makes the scope say it.
func (s *statement) apply(scope *backline.Scope) {
	if s.client.addr.IsValid() {
		scope.Client = backline.Addr{Host: s.client.addr.String(), Port: s.client.port}
	}
	if s.scheme != "" {
		scope.Scheme = s.scheme
	}
	host := s.host
	if host == "" && s.port > 0 {
		host = hostOf(scope) // the proxy kept the client's Host, without or with the wrong port
	}
	if host != "" {
		s.address(scope, host)
	}
}

// address sets the scope's Host and Server. A port of X-Forwarded-Port wins over one in the host, which may be the
// proxy's own; the scheme's own port is left out of Host, as browsers do: applications compare it with Origin.
func (s *statement) address(scope *backline.Scope, host string) {
	name, port := splitHost(host)
	usual := 80
	if scope.Scheme == "https" {
		usual = 443
	}
	if s.port > 0 {
		port = s.port
	}
	scope.Server = backline.Addr{Host: strings.Trim(name, "[]"), Port: cmp.Or(port, usual)}
	if port != 0 && port != usual {
		name += ":" + strconv.Itoa(port)
	}
	setHost(scope, name)
}

// splitHost separates a valid host from its port, 0 where there is none.
func splitHost(host string) (name string, port int) {
	end := len(host)
	for end > 0 && host[end-1] >= '0' && host[end-1] <= '9' {
		end--
	}
	if end == 0 || host[end-1] != ':' {
		return host, 0
	}
	port, _ = strconv.Atoi("0" + host[end:])
	return host[:end-1], port
}

func hostOf(scope *backline.Scope) string {
	for i := range scope.Fields {
		if isFold(scope.Fields[i].Name, "host") {
			return string(scope.Fields[i].Value)
		}
	}
	return ""
}

// setHost replaces the Host field, or adds one to a request of HTTP/1.0 that came without.
func setHost(scope *backline.Scope, host string) {
	for i := range scope.Fields {
		if isFold(scope.Fields[i].Name, "host") {
			scope.Fields[i].Value = []byte(host)
			return
		}
	}
	scope.Fields = append(scope.Fields, backline.Field{Name: []byte("Host"), Value: []byte(host)})
}
