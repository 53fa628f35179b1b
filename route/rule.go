package route

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"backline"
	"backline/h1"
)

// The protocols that a rule may ask for.
const (
	HTTP      = "http"
	WebSocket = "websocket"
)

// Rule leads the requests that fit all of its fields to one pool. An empty field fits every request.
type Rule struct {
	Host     string // "example.com", or "*.example.com" for every name below it
	Path     string // "/reports" has that path and what is below it, segment by segment: not "/reportsx"
	Protocol string // HTTP or WebSocket
	Method   string // "GET"
	To       int    // the pool
}

// Any tells whether every request fits.
func (r Rule) Any() bool { return r == Rule{To: r.To} }

// Same tells whether the same requests fit both.
func (r Rule) Same(other Rule) bool {
	other.To = r.To
	return r == other
}

// ParseHost gives a rule's Host as it is compared.
func ParseHost(text string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	if a, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		if a.Is4() {
			return a.String(), nil
		}
		return "[" + a.String() + "]", nil
	}
	plain := strings.TrimPrefix(name, "*.")
	if plain == "" || strings.ContainsAny(plain, "*:") || plain[0] == '.' || !h1.ValidHost([]byte(plain)) {
		return "", fmt.Errorf("%q is no host: expected example.com, or *.example.com for all below it, without a port", text)
	}
	return name, nil
}

// ParsePath gives a rule's Path as it is compared: without a slash at its end, and empty for the whole site.
func ParsePath(text string) (string, error) {
	switch {
	case !strings.HasPrefix(text, "/"):
		return "", fmt.Errorf("%q does not begin with /: expected /%s", text, text)
	case strings.ContainsAny(text, "*"):
		return "", fmt.Errorf("%q has a star, and a path stands for all below it anyway: expected %s", text,
			cmp.Or(strings.TrimRight(text[:strings.IndexByte(text, '*')], "/"), "/"))
	case strings.ContainsAny(text, "?#%"):
		return "", fmt.Errorf("%q holds one of ? # %%: expected the path alone, decoded, such as /reports", text)
	}
	path := strings.TrimRight(text, "/")
	if strings.Contains(path, "//") {
		return "", fmt.Errorf("%q has an empty segment: expected one slash between two", text)
	}
	return path, nil
}

// ParseMethod gives a rule's Method as clients send it.
func ParseMethod(text string) (string, error) {
	if !backline.ValidFieldName([]byte(text)) { // a token, as a field's name is (RFC 9110 9.1)
		return "", fmt.Errorf("%q is no method: expected one such as GET", text)
	}
	return strings.ToUpper(text), nil
}

// ParseProtocol takes the two that there are.
func ParseProtocol(text string) (string, error) {
	switch name := strings.ToLower(text); name {
	case HTTP, WebSocket:
		return name, nil
	case "https":
		return "", errors.New(`"https" is no protocol of a route: "http" is with and without TLS`)
	case "ws", "wss":
		return "", fmt.Errorf("%q is written websocket here, with and without TLS", text)
	}
	return "", fmt.Errorf("%q is no protocol: expected http or websocket", text)
}

// inOrder puts the rule first that says more: by its host, then its path, its protocol, its method. Of two paths that
// fit one request, one is a part of the other, so the longer one says more; it is the same with *.example.com.
func inOrder(a, b Rule) int {
	return cmp.Or(
		cmp.Compare(weight(b.Host), weight(a.Host)), cmp.Compare(len(b.Path), len(a.Path)),
		cmp.Compare(len(b.Protocol), len(a.Protocol)), cmp.Compare(len(b.Method), len(a.Method)),
	)
}

// weight is how much a host says: a name more than a star, and the star with more behind it more than another.
func weight(host string) int {
	switch {
	case host == "":
		return 0
	case host[0] == '*':
		return len(host)
	default:
		return 1 << 10 // longer than any name in the DNS
	}
}

// Sort gives rules in the order in which they are tried. Which of two comes first that say equally much does not
// matter: no request fits both.
func Sort(rules []Rule) []Rule { return slices.SortedStableFunc(slices.Values(rules), inOrder) }

// String describes the requests that fit, for people: "POST example.com/reports", "WebSockets of /live".
func (r Rule) String() string {
	if r.Any() {
		return "all else"
	}
	text := r.Host + r.Path
	if r.Method != "" {
		text = strings.TrimSpace(r.Method + " " + text)
	}
	switch {
	case r.Protocol == WebSocket && text == "":
		return "WebSockets"
	case r.Protocol == WebSocket:
		return "WebSockets of " + text
	case r.Protocol == HTTP:
		return strings.TrimSpace(text + " over HTTP")
	default:
		return text
	}
}
