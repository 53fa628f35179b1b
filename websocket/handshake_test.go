package websocket

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"backline"
)

const sampleKey = "dGhlIHNhbXBsZSBub25jZQ==" // of RFC 6455 1.3

// request makes a scope of "Name: value" lines.
func request(method, version string, lines ...string) *backline.Scope {
	scope := &backline.Scope{Method: []byte(method), Version: version}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		scope.Fields = append(scope.Fields, backline.Field{Name: []byte(name), Value: []byte(value)})
	}
	return scope
}

func handshake(lines ...string) []string {
	return append([]string{
		"Host: a", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: " + sampleKey, "Sec-WebSocket-Version: 13",
	}, lines...)
}

// without leaves out a field, and adds others.
func without(name string, lines ...string) []string {
	return append(slices.DeleteFunc(handshake(), func(line string) bool { return strings.HasPrefix(line, name+":") }), lines...)
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	const plain = "plain HTTP"
	cases := []struct {
		name  string
		lines []string
		want  string
	}{
		{"plain request", []string{"Host: a"}, plain},
		{"handshake", handshake(), "[]"},
		{"names and words in any case", []string{"UPGRADE: WebSocket", "CONNECTION: keep-alive, UPGRADE",
			"SEC-WEBSOCKET-KEY: " + sampleKey, "sec-websocket-version: 13"}, "[]"},
		{"Upgrade among others, in several fields", without("Upgrade", "Upgrade: h2c", "Upgrade: foo/1 ,\twebsocket"), "[]"},
		{"another protocol", without("Upgrade", "Upgrade: h2c"), plain},
		{"no Upgrade", without("Upgrade"), plain},
		{"no Connection", without("Connection"), plain},
		{"Connection without upgrade", without("Connection", "Connection: keep-alive"), plain},
		{"upgrade only in part of a word", without("Connection", "Connection: upgraded"), plain},
		{"Kelvin sign for a k", without("Upgrade", "Upgrade: websoc\u212aet"), plain},
		{"no key", without("Sec-WebSocket-Key"), "400 no Sec-WebSocket-Key field"},
		{"two keys", handshake("Sec-WebSocket-Key: " + sampleKey), "400 two Sec-WebSocket-Key fields"},
		{"short key", without("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZQ=="), "400 Sec-WebSocket-Key is not 16 bytes in base64"},
		{"key of 18 bytes", without("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSEh"),
			"400 Sec-WebSocket-Key is not 16 bytes in base64"},
		{"key with a line break", without("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n"),
			"400 Sec-WebSocket-Key is not 16 bytes in base64"},
		{"key not base64", without("Sec-WebSocket-Key", "Sec-WebSocket-Key: !GhlIHNhbXBsZSBub25jZQ=="),
			"400 Sec-WebSocket-Key is not 16 bytes in base64"},
		{"no version", without("Sec-WebSocket-Version"), "426 WebSocket version is not 13"},
		{"version 8", without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), "426 WebSocket version is not 13"},
		{"version 013", without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 013"), "426 WebSocket version is not 13"},
		{"two versions", handshake("Sec-WebSocket-Version: 13"), "426 WebSocket version is not 13"},
		{"a list of versions", without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8"), "426 WebSocket version is not 13"},
		{"empty body", handshake("Content-Length: 0"), "[]"},
		{"body", handshake("Content-Length: 3"), "400 a WebSocket's handshake has no body"},
		{"body in chunks", handshake("Transfer-Encoding: chunked"), "400 a WebSocket's handshake has no body"},
		{"subprotocols", handshake("Sec-WebSocket-Protocol: b, a ,c"), "[b a c]"},
		{"subprotocols in several fields, twice", handshake("Sec-WebSocket-Protocol: b", "Sec-WebSocket-Protocol: a,b,a"), "[b a]"},
		{"subprotocols differ in case", handshake("Sec-WebSocket-Protocol: chat, Chat"), "[chat Chat]"},
		{"empty subprotocols", handshake("Sec-WebSocket-Protocol: ,,a, ,"), "[a]"},
		{"subprotocol with a space", handshake("Sec-WebSocket-Protocol: a b"), "400 subprotocol is not a token"},
		{"subprotocol with a byte above ASCII (CVE-2026-42544)", handshake("Sec-WebSocket-Protocol: a, \xff"),
			"400 subprotocol is not a token"},
		{"subprotocol in UTF-8", handshake("Sec-WebSocket-Protocol: grüße"), "400 subprotocol is not a token"},
		{"subprotocol with NBSP around", handshake("Sec-WebSocket-Protocol: \u00a0a"), "400 subprotocol is not a token"},
		{"malformed extensions", handshake("Sec-WebSocket-Extensions: permessage-deflate;"), "400 malformed Sec-WebSocket-Extensions field"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			offer, wanted, err := Upgrade(request("GET", "1.1", c.lines...))
			got := fmt.Sprint(offer.Protocols)
			switch {
			case err != nil && !wanted:
				t.Error("refused, and not wanted")
			case err != nil:
				got = err.String()
			case !wanted:
				got = plain
			case string(offer.Key) != sampleKey:
				t.Errorf("key %q", offer.Key)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestUpgradeNeedsGetAndHTTP11(t *testing.T) {
	t.Parallel()
	if _, wanted, err := Upgrade(request("POST", "1.1", handshake()...)); !wanted || err == nil || err.Status != 405 {
		t.Errorf("POST: wanted %v, %v", wanted, err)
	}
	if _, wanted, err := Upgrade(request("GET", "1.0", handshake()...)); wanted || err != nil {
		t.Errorf("HTTP/1.0, where Upgrade has no meaning: wanted %v, %v", wanted, err)
	}
}

func TestRefusalSaysWhatWouldDo(t *testing.T) {
	t.Parallel()
	_, _, method := Upgrade(request("POST", "1.1", handshake()...))
	_, _, version := Upgrade(request("GET", "1.1", without("Sec-WebSocket-Version")...))
	for _, c := range []struct {
		got  *Refusal
		want string
	}{
		{method, "Allow: GET; "},
		{version, "Sec-WebSocket-Version: 13; Upgrade: websocket; Connection: Upgrade; "},
	} {
		var got strings.Builder
		for _, f := range c.got.Fields {
			fmt.Fprintf(&got, "%s: %s; ", f.Name, f.Value)
		}
		if got.String() != c.want {
			t.Errorf("%v with %q, want %q", c.got, got.String(), c.want)
		}
	}
}

func TestSubprotocolsAreBounded(t *testing.T) {
	t.Parallel()
	list := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("p%d", i))
		}
		return "Sec-WebSocket-Protocol: " + strings.Join(names, ",")
	}
	if offer, _, err := Upgrade(request("GET", "1.1", handshake(list(maxProtocols), "Sec-WebSocket-Protocol: p1")...)); err != nil {
		t.Errorf("%d subprotocols: %v", len(offer.Protocols), err)
	}
	if _, _, err := Upgrade(request("GET", "1.1", handshake(list(maxProtocols+1))...)); err == nil || err.Status != 400 {
		t.Errorf("one more: %v", err)
	}
}

// RFC 8441 5: no Upgrade, no Connection, no key.
func TestConnect(t *testing.T) {
	t.Parallel()
	offer, err := Connect(request("CONNECT", "2", "sec-websocket-version: 13", "sec-websocket-protocol: a, b",
		"sec-websocket-extensions: permessage-deflate"))
	if err != nil || fmt.Sprint(offer.Protocols) != "[a b]" || offer.Key != nil || len(offer.deflate) != 1 {
		t.Errorf("%+v, %v", offer, err)
	}
	_, err = Connect(request("CONNECT", "2", "sec-websocket-version: 12"))
	if err == nil || err.Status != 426 || len(err.Fields) != 1 {
		t.Errorf("version 12: %+v", err)
	}
	if _, err = Connect(request("CONNECT", "2", "sec-websocket-version: 13", "sec-websocket-protocol: ü")); err == nil || err.Status != 400 {
		t.Errorf("subprotocol that is no token: %v", err)
	}
}

// The example of RFC 6455 1.3.
func TestAccept(t *testing.T) {
	t.Parallel()
	if got := AppendAccept([]byte("x "), []byte(sampleKey)); string(got) != "x s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got %q", got)
	}
}

func TestNegotiate(t *testing.T) {
	t.Parallel()
	const none, plain = "", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	const malformed = "400 malformed Sec-WebSocket-Extensions field"
	cases := []struct {
		offer    string // several fields are separated by "|"
		settings DeflateSettings
		want     string
	}{
		{"permessage-deflate", DeflateSettings{}, plain},
		{"permessage-deflate", DeflateSettings{Off: true}, none},
		{"permessage-deflate; client_max_window_bits", DeflateSettings{}, plain}, // browsers
		{"permessage-deflate; client_max_window_bits=10", DeflateSettings{}, plain},
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover", DeflateSettings{}, plain},
		{"permessage-deflate; server_max_window_bits=15", DeflateSettings{}, plain},
		{"permessage-deflate; server_max_window_bits=10", DeflateSettings{}, plain + "; server_max_window_bits=10"},
		{"permessage-deflate; server_max_window_bits=8", DeflateSettings{}, plain + "; server_max_window_bits=8"},
		{"permessage-deflate", DeflateSettings{WindowBits: 12}, plain + "; server_max_window_bits=12"},
		{"permessage-deflate; server_max_window_bits=10", DeflateSettings{WindowBits: 12}, plain + "; server_max_window_bits=10"},
		{"permessage-deflate; server_max_window_bits=14", DeflateSettings{WindowBits: 12}, plain + "; server_max_window_bits=12"},
		{`permessage-deflate ;server_max_window_bits = "1\0"`, DeflateSettings{}, plain + "; server_max_window_bits=10"},
		{"", DeflateSettings{}, none},
		{"x-webkit-deflate-frame", DeflateSettings{}, none},
		{"Permessage-Deflate", DeflateSettings{}, none},
		{"foo; a=b; c, permessage-deflate", DeflateSettings{}, plain},
		{"foo|permessage-deflate", DeflateSettings{}, plain},
		{"permessage-deflate; server_max_window_bits=9, permessage-deflate", DeflateSettings{}, plain + "; server_max_window_bits=9"},
		// Declined, and the next one taken.
		{"permessage-deflate; unknown, permessage-deflate; server_max_window_bits=9", DeflateSettings{}, plain + "; server_max_window_bits=9"},
		{"permessage-deflate; server_max_window_bits", DeflateSettings{}, none},
		{"permessage-deflate; server_max_window_bits=7", DeflateSettings{}, none},
		{"permessage-deflate; server_max_window_bits=16", DeflateSettings{}, none},
		{"permessage-deflate; server_max_window_bits=010", DeflateSettings{}, none},
		{"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", DeflateSettings{}, none},
		{"permessage-deflate; client_max_window_bits=7", DeflateSettings{}, none},
		{"permessage-deflate; client_max_window_bits; client_max_window_bits", DeflateSettings{}, none},
		{"permessage-deflate; client_no_context_takeover=1", DeflateSettings{}, none},
		{"permessage-deflate; server_no_context_takeover; server_no_context_takeover", DeflateSettings{}, none},
		// No list of extensions.
		{"permessage-deflate;", DeflateSettings{}, malformed},
		{"permessage-deflate; a=", DeflateSettings{}, malformed},
		{"permessage-deflate foo", DeflateSettings{}, malformed},
		{"permessage-deflate=1", DeflateSettings{}, malformed},
		{`foo; a="b`, DeflateSettings{}, malformed},
		{`foo; a="b\`, DeflateSettings{}, malformed},
		{`foo; a="b c"`, DeflateSettings{}, malformed},
		{`foo; a=""`, DeflateSettings{}, malformed},
		{"permessage-deflate, foo; \xff", DeflateSettings{}, malformed},
	}
	for _, c := range cases {
		var lines []string
		for line := range strings.SplitSeq(c.offer, "|") {
			lines = append(lines, "Sec-WebSocket-Extensions: "+line)
		}
		offer, _, err := Upgrade(request("GET", "1.1", handshake(lines...)...))
		params, header := offer.Negotiate(c.settings)
		got := string(header)
		if err != nil {
			got = err.String()
		}
		if got != c.want || params.On != strings.HasPrefix(got, "permessage") {
			t.Errorf("%s with %+v:\n got %s\nwant %s (%+v)", c.offer, c.settings, got, c.want, params)
		}
	}
}
