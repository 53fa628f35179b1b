package forwarded

import (
	"slices"
	"strings"
	"testing"

	"backline"
)

// request makes a scope as the edge does, from "name: value" lines.
func request(peer string, lines ...string) *backline.Scope {
	scope := &backline.Scope{
		Scheme: "http", Client: backline.Addr{Host: peer, Port: 41000}, Server: backline.Addr{Host: "10.0.0.9", Port: 8000},
	}
	if peer == "" {
		scope.Client, scope.Server = backline.Addr{}, backline.Addr{Host: "/run/app.sock"}
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		scope.Fields = append(scope.Fields, backline.Field{Name: []byte(name), Value: []byte(value)})
	}
	return scope
}

// rules believes peers, and the fields named after them, by default all of them.
func rules(t testing.TB, peers string, headers ...string) *Rules {
	t.Helper()
	if len(headers) == 0 {
		headers = names()
	}
	p, err := ParsePeers(strings.Fields(peers))
	if err != nil {
		t.Fatal(err)
	}
	h, err := ParseHeaders(headers)
	if err != nil {
		t.Fatal(err)
	}
	return &Rules{Peers: p, Headers: h}
}

const (
	private = "10.0.0.0/8 192.168.0.0/16 fd00::/8"
	proxy   = "10.0.0.1"
)

func TestClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fields []string
		client string // "" for the peer
		port   int
	}{
		{name: "one proxy", fields: []string{"X-Forwarded-For: 203.0.113.7"}, client: "203.0.113.7"},
		{name: "what the client made up is to the left", fields: []string{"X-Forwarded-For: 1.1.1.1, 203.0.113.7"}, client: "203.0.113.7"},
		{name: "a chain", fields: []string{"X-Forwarded-For: 1.1.1.1, 203.0.113.7, 10.0.0.2, 192.168.1.1"}, client: "203.0.113.7"},
		{name: "a proxy's address made up", fields: []string{"X-Forwarded-For: 10.0.0.7, 203.0.113.7, 10.0.0.2"}, client: "203.0.113.7"},
		{name: "a client inside", fields: []string{"X-Forwarded-For: 10.9.9.9, 10.0.0.2"}, client: "10.9.9.9"},
		{name: "fields are one list", fields: []string{"X-Forwarded-For: 1.1.1.1", "x-forwarded-FOR: 203.0.113.7", "X-Forwarded-For: 10.0.0.2"}, client: "203.0.113.7"},
		{name: "a port", fields: []string{"X-Forwarded-For: 203.0.113.7:5123"}, client: "203.0.113.7", port: 5123},
		{name: "IPv6", fields: []string{"X-Forwarded-For: 2001:DB8::0:1"}, client: "2001:db8::1"},
		{name: "IPv6 in brackets", fields: []string{"X-Forwarded-For: [2001:db8::1]"}, client: "2001:db8::1"},
		{name: "IPv6 with a port", fields: []string{"X-Forwarded-For: [2001:db8::1]:5123, fd00::1"}, client: "2001:db8::1", port: 5123},
		{name: "IPv4 in IPv6", fields: []string{"X-Forwarded-For: ::ffff:203.0.113.7, ::ffff:10.0.0.2"}, client: "203.0.113.7"},
		{name: "empty elements", fields: []string{"X-Forwarded-For: ,203.0.113.7, ,,10.0.0.2,", "X-Forwarded-For: "}, client: "203.0.113.7"},
		{name: "tabs", fields: []string{"X-Forwarded-For: 203.0.113.7\t,\t10.0.0.2\t"}, client: "203.0.113.7"},
		{name: "unknown", fields: []string{"X-Forwarded-For: 203.0.113.7, unknown"}},
		{name: "unknown behind a proxy", fields: []string{"X-Forwarded-For: 203.0.113.7, unknown, 10.0.0.2"}, client: "10.0.0.2"},
		{name: "nonsense", fields: []string{"X-Forwarded-For: 203.0.113.7, <script>"}},
		{name: "a name", fields: []string{"X-Forwarded-For: localhost"}},
		{name: "a port that is none", fields: []string{"X-Forwarded-For: 203.0.113.7:99999"}},
		{name: "a port without digits", fields: []string{"X-Forwarded-For: 203.0.113.7:"}},
		{name: "an open bracket", fields: []string{"X-Forwarded-For: [2001:db8::1"}},
		{name: "IPv4 in brackets", fields: []string{"X-Forwarded-For: [203.0.113.7]"}},
		{name: "octal", fields: []string{"X-Forwarded-For: 0203.0.113.7"}},
		{name: "a zone", fields: []string{"X-Forwarded-For: fe80::1%eth0"}},
		{name: "long", fields: []string{"X-Forwarded-For: " + strings.Repeat("1", 500)}},
		{name: "nothing", fields: []string{"X-Forwarded-For: "}},

		{name: "Forwarded", fields: []string{"Forwarded: for=203.0.113.7;proto=https;by=10.0.0.1"}, client: "203.0.113.7"},
		{name: "Forwarded, a chain", fields: []string{`Forwarded: for=1.1.1.1, for="203.0.113.7:5123", For=10.0.0.2`}, client: "203.0.113.7", port: 5123},
		{name: "Forwarded, several fields", fields: []string{"Forwarded: for=1.1.1.1", "Forwarded: for=203.0.113.7,for=10.0.0.2"}, client: "203.0.113.7"},
		{name: "Forwarded, IPv6", fields: []string{`Forwarded: for="[2001:db8:cafe::17]:4711"`}, client: "2001:db8:cafe::17", port: 4711},
		{name: "Forwarded, IPv6 without quotes", fields: []string{`Forwarded: for=[2001:db8:cafe::17]`}, client: "2001:db8:cafe::17"},
		{name: "Forwarded, a hidden port", fields: []string{`Forwarded: for="203.0.113.7:_p"`}, client: "203.0.113.7"},
		{name: "Forwarded, a hidden name", fields: []string{"Forwarded: for=1.1.1.1, for=_hidden, for=10.0.0.2"}, client: "10.0.0.2"},
		{name: "Forwarded, unknown", fields: []string{`Forwarded: for="unknown"`}},
		{name: "Forwarded, blanks", fields: []string{"Forwarded: ; for=203.0.113.7 ; proto=https;"}, client: "203.0.113.7"},
		{name: "Forwarded, an extension", fields: []string{`Forwarded: secret="a,b;c";for=203.0.113.7`}, client: "203.0.113.7"},
		{name: "Forwarded, no for", fields: []string{"Forwarded: for=1.1.1.1, proto=https"}},
		{name: "Forwarded, two fors", fields: []string{"Forwarded: for=1.1.1.1;for=203.0.113.7"}},
		{name: "Forwarded, no value", fields: []string{"Forwarded: for=1.1.1.1, for="}},
		{name: "Forwarded, no pair", fields: []string{"Forwarded: 203.0.113.7"}},
		{name: "Forwarded, an escape", fields: []string{`Forwarded: for=1.1.1.1, for="203.0.113.\7"`}},
		{name: "Forwarded, an odd name", fields: []string{`Forwarded: f r=203.0.113.7`}},
		{name: "Forwarded, after the quote", fields: []string{`Forwarded: for="203.0.113.7"x;proto=https`}},
		{name: "Forwarded, the client's quote", fields: []string{`Forwarded: for="1.1.1.1, for=203.0.113.7`}, client: "203.0.113.7"},
		{name: "Forwarded, the client's quote and the proxy's", fields: []string{`Forwarded: for="x, for="[2001:db8::7]"`}, client: "2001:db8::7"},
		{name: "Forwarded, the client's quote in a field before", fields: []string{`Forwarded: for="x`, `Forwarded: for="[2001:db8::7]", for=10.0.0.2`}, client: "2001:db8::7"},
		{name: "Forwarded, the client's escape", fields: []string{`Forwarded: for="\", for=203.0.113.7`}, client: "203.0.113.7"},

		{name: "both: named first", fields: []string{"Forwarded: for=1.1.1.1", "X-Forwarded-For: 203.0.113.7"}, client: "203.0.113.7"},
	} {
		scope := request(proxy, append(c.fields, "Host: example.com")...)
		want := backline.Addr{Host: c.client, Port: c.port}
		if c.client == "" {
			want = scope.Client
		}
		before := len(scope.Fields)
		rules(t, private).Apply(scope)
		if scope.Client != want {
			t.Errorf("%s: client %v, expected %v", c.name, scope.Client, want)
		}
		if len(scope.Fields) != before {
			t.Errorf("%s: a believed peer's fields are removed", c.name)
		}
	}
}

func TestWhatElseIsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fields []string
		scheme string // "" for http
		host   string // "" for example.com
		server backline.Addr
	}{
		{name: "https", fields: []string{"X-Forwarded-Proto: https"}, scheme: "https"},
		{name: "in capitals", fields: []string{"X-Forwarded-Proto: HTTPS"}, scheme: "https"},
		{name: "wss", fields: []string{"X-Forwarded-Proto: wss"}, scheme: "https"},
		{name: "ws", fields: []string{"X-Forwarded-Proto: ws"}},
		{name: "another scheme", fields: []string{"X-Forwarded-Proto: javascript"}},
		{name: "appended by one proxy", fields: []string{"X-Forwarded-Proto: https, http"}},
		{name: "appended by two", fields: []string{"X-Forwarded-For: 203.0.113.7, 10.0.0.2", "X-Forwarded-Proto: http, https, http"}, scheme: "https"},
		{name: "replaced by the second", fields: []string{"X-Forwarded-For: 203.0.113.7, 10.0.0.2", "X-Forwarded-Proto: https"}, scheme: "https"},
		{name: "in two fields", fields: []string{"X-Forwarded-Proto: http", "X-Forwarded-Proto: https"}, scheme: "https"},
		{
			name: "a host", fields: []string{"X-Forwarded-Host: www.example.org"}, host: "www.example.org",
			server: backline.Addr{Host: "www.example.org", Port: 80},
		},
		{
			name: "a host with https", fields: []string{"X-Forwarded-Host: www.example.org", "X-Forwarded-Proto: https"}, scheme: "https",
			host: "www.example.org", server: backline.Addr{Host: "www.example.org", Port: 443},
		},
		{
			name: "a host with a port", fields: []string{"X-Forwarded-Host: evil.example, www.example.org:8443"}, host: "www.example.org:8443",
			server: backline.Addr{Host: "www.example.org", Port: 8443},
		},
		{
			name: "the scheme's port is left out", fields: []string{"X-Forwarded-Host: www.example.org:443", "X-Forwarded-Proto: https"}, scheme: "https",
			host: "www.example.org", server: backline.Addr{Host: "www.example.org", Port: 443},
		},
		{
			name: "an IPv6 host", fields: []string{"X-Forwarded-Host: [2001:db8::1]:81"}, host: "[2001:db8::1]:81",
			server: backline.Addr{Host: "2001:db8::1", Port: 81},
		},
		{
			name: "a port", fields: []string{"X-Forwarded-Port: 8443", "X-Forwarded-Proto: https"}, scheme: "https",
			host: "example.com:8443", server: backline.Addr{Host: "example.com", Port: 8443},
		},
		{
			name: "the scheme's port", fields: []string{"X-Forwarded-Port: 443", "X-Forwarded-Proto: https"}, scheme: "https",
			host: "example.com", server: backline.Addr{Host: "example.com", Port: 443},
		},
		{
			name: "a host and a port", fields: []string{"X-Forwarded-Port: 81", "X-Forwarded-Host: www.example.org:8000"},
			host: "www.example.org:81", server: backline.Addr{Host: "www.example.org", Port: 81},
		},
		{
			name: "an empty port in the host", fields: []string{"X-Forwarded-Host: www.example.org:"}, host: "www.example.org",
			server: backline.Addr{Host: "www.example.org", Port: 80},
		},
		{name: "a host that is none", fields: []string{"X-Forwarded-Host: www.example.org/@evil"}},
		{name: "a port that is none", fields: []string{"X-Forwarded-Port: 0"}},
		{name: "a port with a sign", fields: []string{"X-Forwarded-Port: +81"}},
		{
			name: "Forwarded", fields: []string{`Forwarded: host=evil.example;proto=http, for=203.0.113.7;host="www.example.org:8443";proto=https`},
			scheme: "https", host: "www.example.org:8443", server: backline.Addr{Host: "www.example.org", Port: 8443},
		},
		{
			name: "Forwarded: the outermost proxy's", fields: []string{`Forwarded: for=203.0.113.7;host=www.example.org;proto=https, for=10.0.0.2;host=inner;proto=http`},
			scheme: "https", host: "www.example.org", server: backline.Addr{Host: "www.example.org", Port: 443},
		},
		{
			name: "Forwarded: what is known before nonsense", fields: []string{`Forwarded: host=;x, for=10.0.0.2;host=inner;proto=https`},
			scheme: "https", host: "inner", server: backline.Addr{Host: "inner", Port: 443},
		},
	} {
		scope := request(proxy, append(c.fields, "hOST: example.com")...)
		if c.scheme == "" {
			c.scheme = "http"
		}
		if c.host == "" {
			c.host, c.server = "example.com", scope.Server
		}
		rules(t, private).Apply(scope)
		if scope.Scheme != c.scheme || hostOf(scope) != c.host || scope.Server != c.server {
			t.Errorf("%s: %s, host %q, server %v; expected %s, %q, %v", c.name, scope.Scheme, hostOf(scope), scope.Server, c.scheme, c.host, c.server)
		}
	}
}

func TestHostWithoutOne(t *testing.T) {
	t.Parallel()
	scope := request(proxy, "X-Forwarded-Port: 81")
	rules(t, private).Apply(scope)
	if hostOf(scope) != "" || scope.Server.Port != 8000 {
		t.Errorf("host %q, server %v", hostOf(scope), scope.Server)
	}
	scope = request(proxy, "X-Forwarded-Host: www.example.org")
	rules(t, private).Apply(scope)
	if hostOf(scope) != "www.example.org" {
		t.Errorf("host %q, expected the one that was told", hostOf(scope))
	}
}

// TestOthersAreNotBelieved: nothing of a stranger's claims reaches the application, and nothing else is lost.
func TestOthersAreNotBelieved(t *testing.T) {
	t.Parallel()
	claims := []string{
		"X-Forwarded-For: 1.1.1.1", "x-forwarded-proto: https", "X-FORWARDED-HOST: evil", "X-Forwarded-Port: 1", "Forwarded: for=1.1.1.1",
		"X-Forwarded-Prefix: /a", "X-Forwarded-Ssl: on", "X-Forwarded-Client-Cert: x", "X-Forwarded: for=1.1.1.1", "X-Real-IP: 1.1.1.1",
		"X-Client-IP: 1.1.1.1", "X-Cluster-Client-IP: 1.1.1.1", "True-Client-IP: 1.1.1.1", "CF-Connecting-IP: 1.1.1.1",
		"CF-Connecting-IPv6: ::1", "Fastly-Client-IP: 1.1.1.1", "X-Original-Forwarded-For: 1.1.1.1", "X-Scheme: https", "X-Https: on",
		"X-Url-Scheme: https", "Front-End-Https: on", "X-Script-Name: /a",
	}
	others := []string{"Host: example.com", "Cookie: a=b", "X-Requested-With: fetch", "TE: trailers", "X-Forwarder: a", "X-Real: a", "For: a", "T: a"}
	for _, peer := range []string{"203.0.113.7", "2001:db8::1", ""} {
		scope, fields := request(peer), request(peer)
		for i, claim := range claims {
			one := request(peer, claim)
			if r := rules(t, private); !Carried(one.Fields) || r.Apply(one) != Removed || len(one.Fields) != 0 {
				t.Errorf("%s from %q is left", claim, peer)
			}
			scope.Fields = append(scope.Fields, request(peer, others[i%len(others)]).Fields[0], request(peer, claim).Fields[0])
			fields.Fields = append(fields.Fields, request(peer, others[i%len(others)]).Fields[0])
		}
		rules(t, private).Apply(scope)
		if got, want := text(scope), text(fields); got != want {
			t.Errorf("left from %q:\n%s\nexpected:\n%s", peer, got, want)
		}
	}
}

// text is everything that Apply may change.
func text(s *backline.Scope) string {
	var b strings.Builder
	b.WriteString(s.Scheme + " " + s.Client.Host + " " + s.Server.Host + "\n")
	for _, f := range s.Fields {
		b.WriteString(string(f.Name) + ": " + string(f.Value) + "\n")
	}
	return b.String()
}

func TestWhoIsBelieved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		peers, peer string
		want        Outcome
	}{
		{"127.0.0.1 ::1 unix", "127.0.0.1", Believed},
		{"127.0.0.1 ::1 unix", "::1", Believed},
		{"127.0.0.1 ::1 unix", "::ffff:127.0.0.1", Believed},
		{"127.0.0.1 ::1 unix", "", Believed},
		{"127.0.0.1 ::1 unix", "127.0.0.2", Removed},
		{"127.0.0.1 ::1", "", Removed},
		{"127.0.0.1 ::1", "/run/client.sock", Removed},
		{"unix", "/run/client.sock", Believed},
		{"unix", "@client", Believed},
		{"", "127.0.0.1", Removed},
		{"*", "203.0.113.7", Believed},
		{"*", "", Believed},
		{"2001:db8::/32", "2001:db8:1::1", Believed},
		{"2001:db8::/32", "2001:db9:1::1", Removed},
	} {
		scope := request(c.peer, "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https")
		if got := rules(t, c.peers).Apply(scope); got != c.want || (scope.Scheme == "https") != (c.want == Believed) {
			t.Errorf("peers %q, peer %q: outcome %d, expected %d; scheme %s", c.peers, c.peer, got, c.want, scope.Scheme)
		}
	}
}

// TestEverybodyIsBelieved: then only the first element can be the client.
func TestEverybodyIsBelieved(t *testing.T) {
	t.Parallel()
	scope := request("203.0.113.7", "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3", "X-Forwarded-Proto: https, http, http")
	rules(t, "*").Apply(scope)
	if scope.Client.Host != "1.1.1.1" || scope.Scheme != "https" {
		t.Errorf("client %v, scheme %s", scope.Client, scope.Scheme)
	}
	scope = request("203.0.113.7", "X-Forwarded-For: 9.9.9.9, "+strings.Repeat("1.1.1.1,", 10*maxElements))
	rules(t, "*").Apply(scope)
	if scope.Client.Host != "1.1.1.1" {
		t.Errorf("client %v: the whole of an endless list was read", scope.Client)
	}
}

// TestWhatIsBelieved: a field that the proxy passes on without knowing it is the client's own.
func TestWhatIsBelieved(t *testing.T) {
	t.Parallel()
	fields := []string{
		"Forwarded: for=198.51.100.4;host=f.example;proto=https", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https",
		"X-Forwarded-Host: x.example", "X-Forwarded-Port: 81", "Host: example.com",
	}
	for _, c := range []struct{ headers, client, scheme, host string }{
		{"x-forwarded-for,x-forwarded-proto", "203.0.113.7", "https", "example.com"},
		{"x-forwarded-for", "203.0.113.7", "http", "example.com"},
		{"x-forwarded-proto", proxy, "https", "example.com"},
		{"x-forwarded-host", proxy, "http", "x.example"},
		{"x-forwarded-port", proxy, "http", "example.com:81"},
		{"forwarded", "198.51.100.4", "https", "f.example"},
		{"Forwarded,x-forwarded-for,x-forwarded-host", "198.51.100.4", "https", "f.example"},
		{"X-Forwarded-For,forwarded", "203.0.113.7", "http", "example.com"},
	} {
		scope := request(proxy, fields...)
		rules(t, private, strings.Split(c.headers, ",")...).Apply(scope)
		if scope.Client.Host != c.client || scope.Scheme != c.scheme || hostOf(scope) != c.host {
			t.Errorf("%s: %s, %s, %s; expected %s, %s, %s", c.headers, scope.Client.Host, scope.Scheme, hostOf(scope), c.client, c.scheme, c.host)
		}
	}
	scope := request(proxy, fields[0])
	if (&Rules{Peers: rules(t, private).Peers}).Apply(scope) != Silent || text(scope) != text(request(proxy, fields[0])) {
		t.Errorf("believing no field changed %s", text(scope))
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, word string }{
		{"localhost", "neither an address"},
		{"10.0.0.0/33", "neither an address"},
		{"10.0.0.1/8", "expected 10.0.0.1 or 10.0.0.0/8"},
		{"fe80::1%eth0", "neither an address"},
		{"::ffff:10.0.0.0/104", "IPv4 network in IPv6 form"},
		{"", "neither an address"},
	} {
		if _, err := ParsePeers([]string{"127.0.0.1", c.text}); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%q: %v, expected something with %q", c.text, err, c.word)
		}
	}
	if _, err := ParseHeaders([]string{"x-real-ip"}); err == nil || !strings.Contains(err.Error(), "x-forwarded-for, ") {
		t.Errorf("x-real-ip: %v", err)
	}
	if p, err := ParsePeers(nil); err != nil || !p.Empty() {
		t.Errorf("nobody: %v, %v", p, err)
	}
}

// TestAllocations: a request without such fields costs nothing; one with them, the strings that the scope takes.
func TestAllocations(t *testing.T) {
	r := rules(t, "127.0.0.1 ::1 unix")
	scope := browser("127.0.0.1")
	if n := testing.AllocsPerRun(100, func() { r.Apply(scope) }); n > 0 {
		t.Errorf("%.0f allocations for a request without such fields", n)
	}
	stranger := browser("203.0.113.7", "X-Forwarded-For: 198.51.100.1")
	fields := slices.Clone(stranger.Fields)
	if n := testing.AllocsPerRun(100, func() {
		stranger.Fields = append(stranger.Fields[:0], fields...)
		r.Apply(stranger)
	}); n > 0 {
		t.Errorf("%.0f allocations to remove a field", n)
	}
}

// browser is what one sends.
func browser(peer string, more ...string) *backline.Scope {
	return request(peer, append([]string{
		"Host: example.com", "Connection: keep-alive", "sec-ch-ua: x", "sec-ch-ua-mobile: ?0", "sec-ch-ua-platform: x",
		"Upgrade-Insecure-Requests: 1", "User-Agent: x", "Accept: x", "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate",
		"Sec-Fetch-User: ?1", "Sec-Fetch-Dest: document", "Accept-Encoding: gzip", "Accept-Language: de", "Cookie: a=b",
	}, more...)...)
}

func BenchmarkWithoutProxy(b *testing.B) {
	r, scope := rules(b, "127.0.0.1 ::1 unix"), browser("203.0.113.7")
	b.ReportAllocs()
	for b.Loop() {
		r.Apply(scope)
	}
}

func BenchmarkBehindProxy(b *testing.B) {
	r := rules(b, "127.0.0.1 ::1 unix", "x-forwarded-for", "x-forwarded-proto")
	scope := browser("127.0.0.1", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")
	peer := scope.Client
	b.ReportAllocs()
	for b.Loop() {
		scope.Client = peer
		r.Apply(scope)
	}
}
