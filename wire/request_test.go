package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"backline"
)

// randomRequest makes a request in the form of a vector, of things that are hard to get right.
func randomRequest(r *rand.Rand) *requestVector {
	pick := func(choices ...string) string { return choices[r.IntN(len(choices))] }
	v := &requestVector{
		WSGI: r.IntN(2) == 0, Method: pick("GET", "POST", "PATCH"), Version: pick("1.0", "1.1", "2"), Scheme: pick("http", "https"),
		RootPath: pick("", "", "/shop", "/über"), Length: -1, More: r.IntN(3),
		Query:  pick("", "", "a=b&c=%20", strings.Repeat("q", 255), strings.Repeat("q", 256), strings.Repeat("q", 1000)),
		Client: addrVector{pick("127.0.0.1", "2001:db8::1"), r.IntN(2) * 54321}, Server: addrVector{pick("127.0.0.1", "::1"), 8000},
	}
	v.Path = pick("", "/shop", "/%73hop", "/sho", "/%C3%BCber") +
		pick("/", "/caf%C3%A9", "/%E2%82%AC/%25", "/"+strings.Repeat("x", 300), "/%", "/%4", "/%zz%20")
	v.Target = v.Path
	if v.Query != "" {
		v.Target += "?" + v.Query
	}
	v.Default.Scheme, v.Default.Server, v.Default.RootPath = "http", addrVector{"127.0.0.1", 8000}, pick("", "/shop", "/über")
	v.Body = hex.EncodeToString([]byte(pick("", "hello", strings.Repeat("\x00\xff", 1000))))
	if r.IntN(2) == 0 {
		v.Length = int64(r.IntN(1 << 40))
	}
	for range r.IntN(20) {
		v.Fields = append(v.Fields, [2]string{
			pick("Host", "cookie", "Cookie", "Accept", "aCCept", "X-"+strings.Repeat("n", r.IntN(300)), "Content-Type", "Proxy",
				"Transfer-Encoding", "TE", "X.Dotted", "Proxy-Authorization", "If-None-Match"),
			pick("", "a", "ä", "\u00ff\u0080", "a b, c", strings.Repeat("v", 255), strings.Repeat("v", 256), strings.Repeat("é", 200)),
		})
	}
	if r.IntN(2) == 0 {
		v.Fields = append(v.Fields, [2]string{pick("Content-Length", "content-length"), "17"})
	}
	return v
}

// TestRequestsAsPythonReadsThem lets CPython decode requests and compare them with what it makes of the same input
// itself; and lets an independent msgpack find the same in the other codec.
func TestRequestsAsPythonReadsThem(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var lines bytes.Buffer
	for range 500 {
		v := randomRequest(random)
		request := v.request()
		encoded := Marshal.AppendRequest(nil, request)
		line, err := json.Marshal(map[string]any{
			"wsgi": v.WSGI, "method": v.Method, "target": v.Target, "path": v.Path, "query": v.Query, "version": v.Version,
			"scheme": v.Scheme, "root_path": v.RootPath, "client": []any{v.Client.Host, v.Client.Port},
			"server": []any{v.Server.Host, v.Server.Port}, "fields": append([][2]string{}, v.Fields...), "body": v.Body,
			"more": v.More, "length": v.Length, "marshal": hex.EncodeToString(encoded), "default": map[string]any{
				"scheme": v.Default.Scheme, "root_path": v.Default.RootPath, "server": []any{v.Default.Server.Host, v.Default.Server.Port},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
		cursor := cursor{codec: Marshal, buf: encoded}
		same := cursor.any(0)
		if other := decodeMsgpack(t, Msgpack.AppendRequest(nil, request)); cursor.err != nil || !reflect.DeepEqual(other, same) {
			t.Fatalf("the codecs differ, %v:\nmarshal %v\nmsgpack %v", cursor.err, same, other)
		}
	}
	python := exec.Command("python3", "testdata/check_requests.py")
	python.Stdin = &lines
	if output, err := python.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("python3: %v\n%.4000s", err, output)
	}
}

// TestTextThatIsNotUTF8: a path that os.fsdecode would make of these bytes opens the file again.
func TestTextThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	const name = "caf\xe9/\xff\x80\u00e9\uFFFD"
	encoded, err := Marshal.appendAny(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	python := exec.Command("python3", "-c",
		"import marshal, os, sys; sys.stdout.buffer.write(os.fsencode(marshal.loads(bytes.fromhex(sys.argv[1]))))",
		hex.EncodeToString(encoded))
	python.Env = []string{"PYTHONUTF8=1", "PATH=/usr/bin:/bin:/usr/local/bin:/opt/homebrew/bin"}
	if python.Err != nil {
		t.Fatal(python.Err)
	}
	if output, err := python.Output(); err != nil || string(output) != name {
		t.Errorf("python3 made %q of %q: %v", output, name, err)
	}
	if got := decodeMsgpack(t, Msgpack.appendText(nil, name)); got != "caf\uFFFD/\uFFFD\u00e9\uFFFD" {
		t.Errorf("msgpack has %q", got)
	}
}

func TestDecodePath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "/": "/", "/a%20b": "/a b", "%2F%2f": "//", "%": "%", "%4": "%4", "%zz": "%zz", "%%41": "%A", "%4%41": "%4A",
		"%C3%BC": "ü", "%00": "\x00", "a%2": "a%2", "%ff": "\xff", "+": "+",
	} {
		if got := string(DecodePath(nil, []byte(in))); got != want {
			t.Errorf("DecodePath(%q) = %q, want %q", in, got, want)
		}
		if got := string(DecodePath([]byte("x"), []byte(in))); got != "x"+want {
			t.Errorf("DecodePath appends %q to x as %q", in, got)
		}
	}
}

// TestServerNameOnUnixSocket: SERVER_NAME and SERVER_PORT may never be empty (PEP 3333).
func TestServerNameOnUnixSocket(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ host, scheme, name, port string }{
		{"", "http", "localhost", "80"},
		{"", "https", "localhost", "443"},
		{"example.org", "http", "example.org", "80"},
		{"example.org", "https", "example.org", "443"},
		{"example.org:8080", "http", "example.org", "8080"},
		{"example.org:", "http", "example.org", "80"},
		{"[::1]", "http", "[::1]", "80"},
		{"[::1]:81", "http", "[::1]", "81"},
		{"caf\xe9", "http", "localhost", "80"},
		{":81", "http", ":81", "80"},
	} {
		scope := &backline.Scope{Scheme: test.scheme, Version: "1.1", Server: backline.Addr{Host: "/run/x.sock"},
			Fields: []backline.Field{{Name: []byte("Accept")}, {Name: []byte("HOST"), Value: []byte(test.host)}}}
		encoded := Msgpack.AppendRequest(nil, &Request{Scope: scope, WSGI: true, Default: &Defaults{Server: scope.Server}})
		environ := decodeMsgpack(t, encoded).([]any)[2].(map[string]any)
		if environ["SERVER_NAME"] != test.name || environ["SERVER_PORT"] != test.port {
			t.Errorf("Host %q: %v and %v, want %q and %q", test.host, environ["SERVER_NAME"], environ["SERVER_PORT"], test.name, test.port)
		}
	}
}

// browser is a request as browsers send it.
func browser() *backline.Scope {
	scope := &backline.Scope{
		Method: []byte("GET"), Target: []byte("/shop/cart?item=7"), Path: []byte("/shop/cart"), Query: []byte("item=7"),
		Version: "1.1", Scheme: "http", Client: backline.Addr{Host: "203.0.113.7", Port: 54321},
		Server: backline.Addr{Host: "127.0.0.1", Port: 8000},
	}
	for _, f := range [][2]string{
		{"Host", "example.org"}, {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, {"Accept-Language", "de,en-US;q=0.7"},
		{"Accept-Encoding", "gzip, deflate, br, zstd"}, {"Connection", "keep-alive"}, {"Cookie", "sessionid=0123456789abcdef"},
		{"Upgrade-Insecure-Requests", "1"}, {"Sec-Fetch-Dest", "document"}, {"Sec-Fetch-Mode", "navigate"},
	} {
		scope.Fields = append(scope.Fields, backline.Field{Name: []byte(f[0]), Value: []byte(f[1])})
	}
	return scope
}

func TestRequestsDoNotAllocate(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts the whole process
	buffer := make([]byte, 0, 8192)
	for _, c := range codecs {
		for _, wsgi := range []bool{true, false} {
			request := &Request{Scope: browser(), Length: -1, WSGI: wsgi, Default: &Defaults{Scheme: "http", Server: browser().Server}}
			if n := testing.AllocsPerRun(100, func() { buffer = c.AppendRequest(buffer[:0], request) }); n != 0 {
				t.Errorf("%s, WSGI %v: %v allocations for a request", c, wsgi, n)
			}
		}
	}
}
