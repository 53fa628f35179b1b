package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"backline"
	"backline/config"
)

// settings loads what an environment says.
func settings(t *testing.T, environ ...string) *config.Loaded {
	t.Helper()
	loaded, err := config.Loader{Environ: environ}.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	g, err := gateOptions(settings(t))
	if err != nil {
		t.Fatal(err)
	}
	local, other := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")
	switch {
	case !g.Forwarded.Peers.Contains(local) || !g.Forwarded.Peers.Contains(netip.Addr{}) || g.Forwarded.Peers.Contains(other):
		t.Error("by default, proxies on this machine and on Unix sockets are believed, and nobody else")
	case !g.Announcers.Contains(local) || g.Announced:
		t.Error("by default, a proxy on this machine may send PROXY headers where that is switched on")
	case g.Rate != nil || g.PerAddress != 5000 || !g.Exempt.Empty():
		t.Errorf("limits: %+v", g)
	}
	g, err = gateOptions(settings(t, "BACKLINE_LIMIT_RATE=1/h", "BACKLINE_LIMIT_EXEMPT=192.0.2.0/24", "BACKLINE_PROXY_PROTOCOL=yes",
		"BACKLINE_LIMIT_CONNECTIONS_PER_ADDRESS=0", "BACKLINE_LIMIT_BURST=2"))
	if err != nil || !g.Announced || g.PerAddress != 0 || !g.Exempt.Contains(other) {
		t.Fatalf("%+v, %v", g, err)
	}
	waits := []bool{g.Rate.Take(local, 1) > 0, g.Rate.Take(local, 1) > 0, g.Rate.Take(local, 1) > 0}
	if !slices.Equal(waits, []bool{false, false, true}) {
		t.Errorf("waits %v, expected the third request to", waits)
	}
}

func TestMistakesAboutClients(t *testing.T) {
	t.Parallel()
	for entry, word := range map[string]string{
		"FORWARDED_ALLOW_IPS=example.com":       "environment FORWARDED_ALLOW_IPS: \"example.com\" is neither",
		"BACKLINE_FORWARDED_HEADERS=x-real-ip":  "environment BACKLINE_FORWARDED_HEADERS",
		"BACKLINE_PROXY_ALLOW_FROM=10.0.0.1/8":  "environment BACKLINE_PROXY_ALLOW_FROM",
		"BACKLINE_LIMIT_EXEMPT=a":               "environment BACKLINE_LIMIT_EXEMPT",
		"BACKLINE_ALLOWED_HOSTS=example.com:80": "environment BACKLINE_ALLOWED_HOSTS",
		"BACKLINE_LIMIT_RATE=100":               "environment BACKLINE_LIMIT_RATE",
	} {
		_, err := gateOptions(settings(t, entry))
		if e := backline.AsError(err); err == nil || e.Code != backline.CodeUsage || !strings.Contains(e.Error(), word) {
			t.Errorf("%s: %v, expected something with %q", entry, err, word)
		}
	}
}
