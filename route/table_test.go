package route_test

import (
	"strings"
	"testing"

	"backline"
	"backline/route"
)

func request(text string) *backline.Scope {
	method, rest, _ := strings.Cut(text, " ")
	path, host, named := strings.Cut(rest, " ")
	scope := &backline.Scope{Method: []byte(method), Path: []byte(path)}
	if named {
		scope.Fields = []backline.Field{
			{Name: []byte("Accept"), Value: []byte("*/*")}, {Name: []byte("hOST"), Value: []byte(host)},
		}
	}
	return scope
}

// TestMostSpecificRuleWins gives the rules in an order that is wrong for every case.
func TestMostSpecificRuleWins(t *testing.T) {
	t.Parallel()
	const none = -1
	rules := []route.Rule{
		{Method: "POST", To: 1},
		{Protocol: route.WebSocket, To: 2},
		{Path: "/a", To: 3},
		{Path: "/a", Protocol: route.WebSocket, To: 4},
		{Path: "/a", Method: "POST", To: 5},
		{Path: "/a/b", To: 6},
		{Host: "*.example.com", To: 7},
		{Host: "*.eu.example.com", To: 8},
		{Host: "example.com", To: 9},
		{Host: "x.example.com", Path: "/a", To: 10},
		{Host: "[::1]", To: 11},
		{Path: "/grüße", To: 12},
	}
	table := route.NewTable(rules)
	for _, c := range []struct {
		request, protocol string
		want              int
	}{
		{"GET /", route.HTTP, none},
		{"GET * ", route.HTTP, none},
		{"POST /", route.HTTP, 1},
		{"GET /", route.WebSocket, 2},
		{"GET /a", route.HTTP, 3},
		{"GET /a/", route.HTTP, 3},
		{"GET /a/c", route.HTTP, 3},
		{"GET /ab", route.HTTP, none},
		{"GET /A", route.HTTP, none},
		{"GET /%61", route.HTTP, 3},
		{"GET /a%2Fb", route.HTTP, 6},
		{"GET /a%2", route.HTTP, none},
		{"GET /a%", route.HTTP, none},
		{"GET /a/%", route.HTTP, 3},
		{"GET /%zz", route.HTTP, none},
		{"GET //a", route.HTTP, none},
		{"GET /a", route.WebSocket, 4},
		{"POST /a", route.HTTP, 5},
		{"POST /a/b", route.HTTP, 6},
		{"GET /a/b", route.WebSocket, 6},
		{"GET / www.example.com", route.HTTP, 7},
		{"GET / EXAMPLE.com:8000", route.HTTP, 9},
		{"GET / example.com.", route.HTTP, 9},
		{"GET / notexample.com", route.HTTP, none},
		{"GET / .example.com", route.HTTP, none},
		{"GET / example.org", route.HTTP, none},
		{"GET / a.eu.example.com", route.HTTP, 8},
		{"GET / eu.example.com", route.HTTP, 7},
		{"GET /a www.example.com", route.HTTP, 7},
		{"GET /a x.example.com", route.HTTP, 10},
		{"GET / [::1]:8000", route.HTTP, 11},
		{"GET / " + strings.Repeat("a", 300) + ".example.com", route.HTTP, none},
		{"GET /gr%C3%BC%c3%9fe", route.HTTP, 12},
	} {
		at, got := table.Next(request(c.request), c.protocol, 0), none
		if at >= 0 {
			got = table.Rules()[at].To
		}
		if got != c.want {
			t.Errorf("%s by %s goes to %d, want %d", c.request, c.protocol, got, c.want)
		}
	}
}

func TestNextGoesOnBehindARule(t *testing.T) {
	t.Parallel()
	table := route.NewTable([]route.Rule{{To: 1}, {Path: "/a/b", To: 2}, {Path: "/a", To: 3}, {Method: "GET", To: 4}})
	var order []int
	for at := table.Next(request("GET /a/b/c"), route.HTTP, 0); at >= 0; {
		order = append(order, table.Rules()[at].To)
		at = table.Next(request("GET /a/b/c"), route.HTTP, at+1)
	}
	if want := []int{2, 3, 4, 1}; len(order) != 4 || order[0] != 2 || order[1] != 3 || order[2] != 4 || order[3] != 1 {
		t.Errorf("the order is %v, want %v", order, want)
	}
}

func TestIs(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"/healthz": true, "/health%7a": true, "/healthz/": false, "/healthzz": false, "/health": false, "/": false, "": false,
	} {
		if got := route.Is([]byte(path), "/healthz"); got != want {
			t.Errorf("Is(%q) is %v, want %v", path, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		parse           func(string) (string, error)
		text, want, err string
	}{
		{route.ParsePath, "/reports", "/reports", ""},
		{route.ParsePath, "/reports/", "/reports", ""},
		{route.ParsePath, "/", "", ""},
		{route.ParsePath, "reports", "", "expected /reports"},
		{route.ParsePath, "", "", "does not begin with /"},
		{route.ParsePath, "/api/*", "", "expected /api"},
		{route.ParsePath, "/*", "", "expected /"},
		{route.ParsePath, "/a?b=1", "", "the path alone"},
		{route.ParsePath, "/a%20b", "", "decoded"},
		{route.ParsePath, "/a//b", "", "empty segment"},
		{route.ParseHost, "Example.COM.", "example.com", ""},
		{route.ParseHost, "*.example.com", "*.example.com", ""},
		{route.ParseHost, "127.0.0.1", "127.0.0.1", ""},
		{route.ParseHost, "::1", "[::1]", ""},
		{route.ParseHost, "example.com:80", "", "without a port"},
		{route.ParseHost, "*", "", "is no host"},
		{route.ParseHost, "", "", "is no host"},
		{route.ParseHost, "a.*.com", "", "is no host"},
		{route.ParseHost, "http://example.com", "", "is no host"},
		{route.ParseMethod, "post", "POST", ""},
		{route.ParseMethod, "GET POST", "", "is no method"},
		{route.ParseMethod, "", "", "is no method"},
		{route.ParseProtocol, "WebSocket", "websocket", ""},
		{route.ParseProtocol, "http", "http", ""},
		{route.ParseProtocol, "https", "", "with and without TLS"},
		{route.ParseProtocol, "wss", "", "written websocket"},
		{route.ParseProtocol, "tcp", "", "expected http or websocket"},
	} {
		got, err := c.parse(c.text)
		if c.err == "" && (err != nil || got != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q gives %q, %v; want %q, %q", c.text, got, err, c.want, c.err)
		}
	}
}

func TestChoosingAllocatesNothing(t *testing.T) { //nolint:paralleltest // the number would be that of all tests together
	table, scope := busy(), request("GET /none/of%20them www.example.org")
	if n := testing.AllocsPerRun(100, func() { table.Next(scope, route.HTTP, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// busy is a table of ten routes of which the last one fits.
func busy() route.Table {
	var rules []route.Rule
	for name := range strings.FieldsSeq("reports admin api media live search export import") {
		rules = append(rules, route.Rule{Path: "/" + name})
	}
	return route.NewTable(append(rules, route.Rule{Host: "*.example.com"}, route.Rule{Method: "GET"}))
}

func BenchmarkNext(b *testing.B) {
	table, scope := busy(), request("GET /none/of%20them www.example.org")
	for b.Loop() {
		table.Next(scope, route.HTTP, 0)
	}
}

func FuzzNext(f *testing.F) {
	f.Add("GET", "/a%2fb", "example.com:80")
	f.Fuzz(func(t *testing.T, method, path, host string) {
		table := route.NewTable([]route.Rule{{Path: "/a"}, {Host: "*.example.com"}, {Method: "GET"}})
		at := table.Next(request(method+" "+path+" "+host), route.HTTP, 0)
		if at < -1 || at > 2 {
			t.Errorf("rule %d", at)
		}
	})
}
