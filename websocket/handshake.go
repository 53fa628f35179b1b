package websocket

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 4.2.2 names it; nothing is protected by it
	"encoding/base64"
	"slices"
	"strconv"

	"backline"
)

// maxProtocols bounds the subprotocols of one request. Browsers send those that a page asks for, one as a rule;
// without a bound, telling duplicates from others would cost the square of what fits in a request's head.
const maxProtocols = 64

// guid is what RFC 6455 1.3 adds to a key, so that no other server answers by chance.
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Offer is what a client's handshake asks for.
type Offer struct {
	Key       []byte   // Sec-WebSocket-Key, aliases the request; nil for HTTP/2, which has none
	Protocols []string // in the client's order, without duplicates

	deflate []deflateOffer
}

// Refusal is a handshake that cannot be: a status, a short reason fit for the client, and fields that the answer has to
// carry besides those of every answer.
type Refusal struct {
	Status int
	Reason string
	Fields []backline.Field
}

// String gives status and reason: "426 WebSocket version is not 13".
func (r *Refusal) String() string { return strconv.Itoa(r.Status) + " " + r.Reason }

func refuse(reason string) *Refusal { return &Refusal{Status: 400, Reason: reason} }

// Upgrade reads the handshake of RFC 6455 4.2.1 from an HTTP/1.1 request. wanted is false for a request that does not
// ask to become a WebSocket; it is plain HTTP then.
func Upgrade(scope *backline.Scope) (offer Offer, wanted bool, err *Refusal) {
	var f fields
	if scope.Version != "1.1" || !f.collect(scope) || !f.upgrade || !f.connection {
		return Offer{}, false, nil
	}
	if string(scope.Method) != "GET" {
		return Offer{}, true, &Refusal{405, "a WebSocket begins with GET", fieldsOf("Allow", "GET")}
	}
	if f.body {
		// Whoever is in front may take the body for the first frames, or the first frames for a body.
		return Offer{}, true, refuse("a WebSocket's handshake has no body")
	}
	if err := f.checkVersion(); err != nil {
		err.Fields = append(err.Fields, fieldsOf("Upgrade", "websocket", "Connection", "Upgrade")...) // RFC 9110 15.5.22
		return Offer{}, true, err
	}
	if err := f.checkKey(); err != nil {
		return Offer{}, true, err
	}
	offer, err = f.offer()
	offer.Key = f.key
	return offer, true, err
}

// Connect reads the handshake of RFC 8441 5 from an extended CONNECT whose :protocol is "websocket", which the caller
// has looked at: it has neither Upgrade nor a key.
func Connect(scope *backline.Scope) (Offer, *Refusal) {
	var f fields
	f.collect(scope)
	if err := f.checkVersion(); err != nil {
		return Offer{}, err
	}
	return f.offer()
}

// AppendAccept appends the value of Sec-WebSocket-Accept for a key (RFC 6455 4.2.2, step 5.4).
func AppendAccept(dst, key []byte) []byte {
	var text [24 + len(guid)]byte                              // 24: checkKey lets no other length pass
	sum := sha1.Sum(append(append(text[:0], key...), guid...)) //nolint:gosec // see the import
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// fields are those of a request's head that a handshake is made of.
type fields struct {
	upgrade    bool // Upgrade names "websocket"
	connection bool // Connection names "upgrade"
	body       bool // there is one
	version    []byte
	versions   int
	key        []byte
	keys       int
	protocols  [][]byte // one element a field line, as for extensions
	extensions [][]byte
}

// collect looks at every field once; false where nothing of a WebSocket's was found.
func (f *fields) collect(scope *backline.Scope) (found bool) {
	for i := range scope.Fields {
		name, value := scope.Fields[i].Name, scope.Fields[i].Value
		switch len(name) {
		case len("upgrade"):
			f.upgrade = f.upgrade || is(name, "upgrade") && lists(value, "websocket")
		case len("connection"):
			f.connection = f.connection || is(name, "connection") && lists(value, "upgrade")
		case len("content-length"):
			f.body = f.body || is(name, "content-length") && string(value) != "0"
		case len("transfer-encoding"):
			switch {
			case is(name, "transfer-encoding"):
				f.body = true
			case is(name, "sec-websocket-key"):
				f.key, f.keys = value, f.keys+1
			}
		case len("sec-websocket-version"):
			if is(name, "sec-websocket-version") {
				f.version, f.versions = value, f.versions+1
			}
		case len("sec-websocket-protocol"):
			if is(name, "sec-websocket-protocol") {
				f.protocols = append(f.protocols, value)
			}
		case len("sec-websocket-extensions"):
			if is(name, "sec-websocket-extensions") {
				f.extensions = append(f.extensions, value)
			}
		}
	}
	return f.upgrade || f.versions > 0
}

// checkVersion insists on 13 (RFC 6455 4.2.1 point 6, and 4.4 for the answer). A request without a version is answered
// in the same way: it comes from software older than the RFC, and 13 is what it has to learn.
func (f *fields) checkVersion() *Refusal {
	if f.versions == 1 && string(f.version) == "13" {
		return nil
	}
	return &Refusal{426, "WebSocket version is not 13", fieldsOf("Sec-WebSocket-Version", "13")}
}

// checkKey insists on one key: 16 bytes in base64 (RFC 6455 4.2.1 point 5).
func (f *fields) checkKey() *Refusal {
	var decoded [18]byte
	switch {
	case f.keys == 0:
		return refuse("no Sec-WebSocket-Key field")
	case f.keys > 1:
		return refuse("two Sec-WebSocket-Key fields")
	case len(f.key) != 24:
		return refuse("Sec-WebSocket-Key is not 16 bytes in base64")
	}
	if n, err := base64.StdEncoding.Decode(decoded[:], f.key); n != 16 || err != nil {
		return refuse("Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return nil
}

// offer reads what is to be negotiated.
func (f *fields) offer() (o Offer, err *Refusal) {
	if o.Protocols, err = parseProtocols(f.protocols); err != nil {
		return Offer{}, err
	}
	if o.deflate, err = parseExtensions(f.extensions); err != nil {
		return Offer{}, err
	}
	return o, nil
}

// parseProtocols reads lists of tokens (RFC 6455 11.3.4). Empty elements pass, as in every list (RFC 9110 5.6.1.2).
// Anything that is no token is refused here, before an application that takes it for text can stumble over it
// (CVE-2026-42544).
func parseProtocols(lines [][]byte) (protocols []string, err *Refusal) {
	for _, line := range lines {
		for element := range bytes.SplitSeq(line, []byte(",")) {
			element = trim(element)
			switch {
			case len(element) == 0 || slices.Contains(protocols, string(element)):
			case !backline.ValidFieldName(element):
				return nil, refuse("subprotocol is not a token")
			case len(protocols) == maxProtocols:
				return nil, refuse("too many subprotocols")
			default:
				protocols = append(protocols, string(element))
			}
		}
	}
	return protocols, nil
}

// is compares without case, for ASCII alone. bytes.EqualFold takes the Kelvin sign for a "k", but that is longer, so
// that something of b would be left over.
func is(b []byte, want string) bool {
	return len(b) == len(want) && bytes.EqualFold(b, []byte(want))
}

// lists tells whether a list of tokens has one of them.
func lists(value []byte, token string) bool {
	for element := range bytes.SplitSeq(value, []byte(",")) {
		if is(trim(element), token) {
			return true
		}
	}
	return false
}

// trim removes what may stand around a list's element, SP and HTAB (RFC 9110 5.6.3).
func trim(b []byte) []byte { return bytes.Trim(b, " \t") }

// fieldsOf makes fields of names and values.
func fieldsOf(pairs ...string) []backline.Field {
	made := make([]backline.Field, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		made = append(made, backline.Field{Name: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	return made
}
