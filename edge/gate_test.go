package edge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"backline"
	"backline/dispatch"
	"backline/forwarded"
	"backline/h1"
	"backline/ratelimit"
)

// peers makes a set of them.
func peers(t testing.TB, texts ...string) forwarded.Peers {
	t.Helper()
	p, err := forwarded.ParsePeers(texts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// believing makes rules that believe peers about everything.
func believing(t testing.TB, texts ...string) forwarded.Rules {
	t.Helper()
	h, err := forwarded.ParseHeaders([]string{"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded"})
	if err != nil {
		t.Fatal(err)
	}
	return forwarded.Rules{Peers: peers(t, texts...), Headers: h}
}

// scope answers with what the application would be told.
func scope(ex *dispatch.Exchange) {
	s := &ex.Scope
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", s.Client.Host, s.Scheme, s.Server.Host)
	for _, f := range s.Fields {
		if h1.Lookup(f.Name) == h1.Host {
			fmt.Fprintf(&b, " host=%s", f.Value)
		}
		if bytes.HasPrefix(f.Name, []byte("X-")) {
			fmt.Fprintf(&b, " %s=%s", f.Name, f.Value)
		}
	}
	respond(ex, b.String())
}

// log is what a server has said.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// count is how often it said so.
func (l *log) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// here is the scheme of connections in this run of the tests.
func here() string {
	if overTLS {
		return "https"
	}
	return "http"
}

const toldRequest = "GET / HTTP/1.1\r\nHost: inside\r\nX-Forwarded-For: 198.51.100.9, 203.0.113.7\r\nX-Forwarded-Proto: https\r\n" +
	"X-Forwarded-Host: www.example.org\r\nX-Real-IP: 203.0.113.7\r\n\r\n"

func TestForwardedFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules forwarded.Rules
		want  string
	}{
		{believing(t, "127.0.0.1"), "203.0.113.7 https www.example.org host=www.example.org X-Forwarded-For=198.51.100.9, 203.0.113.7 " +
			"X-Forwarded-Proto=https X-Forwarded-Host=www.example.org X-Real-IP=203.0.113.7"},
		{believing(t, "10.0.0.0/8", "::1", "unix"), "127.0.0.1 " + here() + " 127.0.0.1 host=inside"},
		{forwarded.Rules{}, "127.0.0.1 " + here() + " 127.0.0.1 host=inside"},
	} {
		said := &log{}
		b := start(t, Options{Gate: Gate{Forwarded: c.rules}, Log: logTo(said)}, handler{answer: scope})
		caller := b.dial()
		for range 2 {
			caller.say(toldRequest)
			if got, _ := caller.expect(200); got != c.want {
				t.Errorf("%s, expected %s", got, c.want)
			}
		}
		want := 1 // once for many requests: 127.0.0.1 may be a proxy that somebody forgot
		if strings.HasPrefix(c.want, "203") {
			want = 0
		}
		if n := said.count("add --forwarded-allow-ips 127.0.0.1"); n != want {
			t.Errorf("%d hints in the log, expected %d: %s", n, want, said.text.String())
		}
	}
}

func TestForwardedFieldsOverHTTP2(t *testing.T) {
	t.Parallel()
	for _, kind := range multiplexed() {
		b := start(t, over(kind, Options{Gate: Gate{Forwarded: believing(t, "127.0.0.1")}}), handler{answer: scope})
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url(kind, "/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Forwarded", "for=203.0.113.7;proto=https;host=www.example.org")
		answer, err := b.client(kind).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if want := "203.0.113.7 https www.example.org host=www.example.org"; err != nil || string(body) != want {
			t.Errorf("%s: %s, %v; expected %s", kind, body, err, want)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	hosts, err := ParseHosts([]string{"www.example.org", ".example.com"})
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, Options{Gate: Gate{Hosts: hosts, Forwarded: believing(t, "127.0.0.1")}}, handler{answer: hello})
	c := b.dial()
	for _, each := range []struct {
		fields string
		status int
	}{
		{"Host: www.example.org", 200},
		{"Host: example.org", 421},
		{"Host: a.example.com:8000", 200},
		{"Host: inside\r\nX-Forwarded-Host: www.example.org", 200},
		{"Host: www.example.org\r\nX-Forwarded-Host: evil.example", 421},
	} {
		c.say("GET / HTTP/1.1\r\n" + each.fields + "\r\n\r\n")
		if _, closes := c.expect(each.status); closes {
			t.Errorf("%s: the connection closes", each.fields)
		}
	}
	c.say("GET / HTTP/1.0\r\n\r\n")
	c.expect(421)
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ hosts, served, refused string }{
		{"example.com", "example.com EXAMPLE.com example.com. example.com:80 Example.Com.:80", "www.example.com example.org xexample.com com example.com.evil"},
		{".example.com", "example.com www.example.com a.b.example.com. WWW.example.com:1", "xexample.com com"},
		{"*.example.com", "www.example.com a.b.example.com", "example.com xexample.com"},
		{"*.example.com,example.com", "www.example.com example.com", "example.org"},
		{"127.0.0.1", "127.0.0.1 127.0.0.1:80", "127.0.0.2 [::1]"},
		{"::1", "[::1] [::1]:80 [0:0::1]", "[::2] 127.0.0.1"},
		{"[2001:DB8::1]", "[2001:db8::1]", "[2001:db8::2]"},
		{"localhost", "localhost localhost:8000", "localhost.example " + strings.Repeat("a", 300)},
		{"*", "anything [::1]", ""},
		{"example.com,*", "anything", ""},
		{"", "anything", ""},
		{"münchen.example", "", ""},
	} {
		h, err := ParseHosts(strings.FieldsFunc(c.hosts, func(r rune) bool { return r == ',' }))
		if c.served == "" {
			if err == nil {
				t.Errorf("%s was taken", c.hosts)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for host := range strings.FieldsSeq(c.served) {
			if !h.all() && !h.has([]byte(host)) {
				t.Errorf("%s: %s is not served", c.hosts, host)
			}
		}
		for host := range strings.FieldsSeq(c.refused) {
			if h.all() || h.has([]byte(host)) {
				t.Errorf("%s: %s is served", c.hosts, host)
			}
		}
	}
	for _, wrong := range []string{"example.com:80", "http://example.com", "a b", "*example.com", "www.*.example.com", ".", "", "*.", "example.com.", "*:80"} {
		if _, err := ParseHosts([]string{wrong}); err == nil || !strings.Contains(err.Error(), "without a port") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// FuzzHosts compares with a slower way to say the same.
func FuzzHosts(f *testing.F) {
	f.Add("www.Example.com:80")
	f.Add("[::1]:80")
	f.Fuzz(func(t *testing.T, host string) {
		if !h1.ValidHost([]byte(host)) || len(host) > 256 {
			t.Skip("h1 refuses it")
		}
		h, err := ParseHosts([]string{"example.org", ".example.com", "*.example.net"})
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(strings.ToLower(host), ":")
		name = strings.TrimSuffix(name, ".")
		want := name == "example.org" || name == "example.com" || strings.HasSuffix(name, ".example.com") || strings.HasSuffix(name, ".example.net")
		if got := h.has([]byte(host)); got != want {
			t.Errorf("%q: %v, expected %v", host, got, want)
		}
	})
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	said := &log{}
	b := start(t, Options{Log: logTo(said), Gate: Gate{
		Rate:      ratelimit.NewRequests(ratelimit.Rate{Requests: 3, Per: time.Hour}, 0, 0),
		Forwarded: believing(t, "127.0.0.1"), Exempt: peers(t, "192.0.2.0/24"),
	}}, handler{answer: hello})
	c := b.dial()
	ask := func(client string) (status int, wait string, closes bool) {
		field := ""
		if client != "" {
			field = "X-Forwarded-For: " + client + "\r\n"
		}
		c.say("GET / HTTP/1.1\r\nHost: x\r\n" + field + "\r\n")
		answer, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
		return answer.StatusCode, answer.Header.Get("Retry-After"), answer.Close
	}
	for _, each := range []struct {
		client string
		asked  int
		served int
	}{{"203.0.113.7", 5, 3}, {"9.9.9.9, 203.0.113.7", 1, 0}, {"203.0.113.8", 3, 3}, {"192.0.2.1", 9, 9}, {"", 5, 3}} {
		served := 0
		for range each.asked {
			status, wait, closes := ask(each.client)
			if status == http.StatusOK {
				served++
				continue
			}
			// A third of an hour, of which no more than the test's own time has gone.
			third := wait == "1200" || len(wait) == 4 && wait[:2] == "11"
			if status != http.StatusTooManyRequests || !third || closes {
				t.Errorf("%s: status %d, Retry-After %s, close %v", each.client, status, wait, closes)
			}
		}
		if served != each.served {
			t.Errorf("%s: %d of %d requests served, expected %d", each.client, served, each.asked, each.served)
		}
	}
	if said.count("address=203.0.113.7") != 1 || said.count("address=") != 1 {
		t.Errorf("log, expected one line: %s", said.text.String())
	}
}

// TestRateLimitExplainsProxies: a proxy that does not tell its clients shares one limit among them, and is named.
func TestRateLimitExplainsProxies(t *testing.T) {
	t.Parallel()
	said := &log{}
	b := start(t, Options{Log: logTo(said), Gate: Gate{
		Rate: ratelimit.NewRequests(ratelimit.Rate{Requests: 1, Per: time.Hour}, 0, 0), Forwarded: believing(t, "127.0.0.1"),
	}}, handler{answer: hello})
	c := b.dial()
	for _, status := range []int{200, 429} {
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		c.expect(status)
	}
	if said.count("have it say who its clients are") != 1 {
		t.Errorf("log: %s", said.text.String())
	}
}

// TestGateIsFree: a request that nobody speaks for, on a server without limits, costs nothing here.
func TestGateIsFree(t *testing.T) {
	s := New(Options{Gate: Gate{Forwarded: believing(t, "127.0.0.1", "::1", "unix")}}, nothing())
	request := ordinary()
	if n := testing.AllocsPerRun(100, func() {
		if s.gate(request) != nil {
			t.Fatal("refused")
		}
	}); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
}

// ordinary is what a small client asks.
func ordinary() *backline.Scope {
	request := &backline.Scope{Scheme: "http", Client: backline.Addr{Host: "203.0.113.7", Port: 41000}, Server: backline.Addr{Host: "192.0.2.1", Port: 80}}
	for _, name := range []string{"Host", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Connection", "Cookie"} {
		request.Fields = append(request.Fields, backline.Field{Name: []byte(name), Value: []byte("x")})
	}
	return request
}

func BenchmarkGate(b *testing.B) {
	request := ordinary()
	b.Run("open", func(b *testing.B) {
		s := New(Options{Gate: Gate{Forwarded: believing(b, "127.0.0.1", "::1", "unix")}}, nothing())
		b.ReportAllocs()
		for b.Loop() {
			s.gate(request)
		}
	})
	b.Run("limits", func(b *testing.B) {
		hosts, _ := ParseHosts([]string{"x", ".example.com"})
		s := New(Options{Gate: Gate{
			Hosts: hosts, Rate: ratelimit.NewRequests(ratelimit.Rate{Requests: 1e6, Per: time.Second}, 1e6, 0),
		}}, nothing())
		b.ReportAllocs()
		for b.Loop() {
			s.gate(request)
		}
	})
}
