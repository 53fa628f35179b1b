package admin

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"time"

	"backline"
	"backline/dispatch"
	"backline/grip"
)

// Publishing takes publications from outside (GRIP's POST /publish/).
type Publishing struct {
	// Keys are whose tokens are believed. Empty: whoever asks from this machine is.
	Keys []grip.Key
	// Publish takes what was sent, or says what is wrong with it.
	Publish func(items []byte) error
	// Recover has everybody who waits ask the application what was missed (POST /recover).
	Recover func()
}

func isPublish(path string) bool { return path == "/publish/" || path == "/publish" || isRecover(path) }

func isRecover(path string) bool { return path == "/recover" || path == "/recover/" }

func (p *Publishing) take(ex *dispatch.Exchange) {
	switch {
	case string(ex.Scope.Method) != "POST":
		respond(ex, 405, textPlain, []byte("Publish with POST.\n"), field("Allow", "POST"))
	case len(p.Keys) == 0 && !isLocal(ex.Scope.Client):
		respond(ex, 403, textPlain, []byte("Without grip_keys only this machine may publish.\n"))
	case len(p.Keys) > 0 && !p.knows(&ex.Scope):
		respond(ex, 401, textPlain, []byte("A token of one of grip_keys is needed, or the key itself.\n"),
			field("WWW-Authenticate", "Bearer"))
	case isRecover(string(ex.Scope.Path)):
		p.Recover()
		respond(ex, 200, textPlain, []byte("Updated\n"))
	default:
		if err := p.Publish(ex.Body); err != nil {
			respond(ex, 400, textPlain, []byte(err.Error()+"\n"))
			return
		}
		respond(ex, 200, textPlain, []byte("Published\n"))
	}
}

// knows looks at Authorization: a token, or issuer and key.
func (p *Publishing) knows(scope *backline.Scope) bool {
	said := ""
	for _, f := range scope.Fields {
		if backline.EqualFold(f.Name, "authorization") {
			said = string(f.Value)
		}
	}
	scheme, rest, _ := strings.Cut(said, " ")
	rest = strings.TrimSpace(rest)
	switch strings.ToLower(scheme) {
	case "bearer":
		now := time.Now()
		return slices.ContainsFunc(p.Keys, func(k grip.Key) bool { return k.Verify(rest, now) })
	case "basic":
		pair, err := base64.StdEncoding.DecodeString(rest)
		user, password, found := strings.Cut(string(pair), ":")
		return err == nil && found && slices.ContainsFunc(p.Keys, func(k grip.Key) bool { return k.Is(user, password) })
	}
	return false
}

// isLocal tells whether a client is on this machine.
func isLocal(client backline.Addr) bool {
	address, err := netip.ParseAddr(client.Host)
	return err != nil || address.Unmap().IsLoopback() // what has no address came over a Unix socket
}
