package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	quich3 "github.com/quic-go/quic-go/http3"
)

const protocol = `
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["SERVER_PROTOCOL"].encode()]
`

// TestHTTP3: the flag opens the UDP port, with the certificates of the TCP port, whose clients are told of it.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	server := begin(t, map[string]string{"site_.py": protocol}, "serve", "site_", "-b", "127.0.0.1:0", "-w", "1",
		"--python", interpreter(t), "--dev-tls", "--state-dir", state, "--http3")
	address := server.stderr.await(t, `on +https://(\S+)`)
	server.stderr.await(t, "ready in")
	root, err := os.ReadFile(filepath.Join(state, "dev", "authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	trust := &tls.Config{RootCAs: x509.NewCertPool()}
	trust.RootCAs.AppendCertsFromPEM(root)

	third := &quich3.Transport{TLSClientConfig: trust}
	defer third.Close()
	second := &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}
	defer second.CloseIdleConnections()
	_, port, _ := net.SplitHostPort(address)
	for _, c := range []struct {
		transport           http.RoundTripper
		seen, version, told string
	}{
		{second, "HTTP/2", "HTTP/2.0", `h3=":` + port + `"; ma=86400`},
		{third, "HTTP/3", "HTTP/3.0", ""},
	} {
		client := http.Client{Transport: c.transport, Timeout: patience}
		answer, err := client.Get("https://" + address + "/")
		if err != nil {
			t.Fatalf("%s: %v", c.version, err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.Proto != c.version || string(body) != c.seen || answer.Header.Get("Alt-Svc") != c.told {
			t.Errorf("%s: %s, the application saw %q, told %q, %v", c.version, answer.Proto, body, answer.Header.Get("Alt-Svc"), err)
		}
	}
	server.signals <- syscall.SIGTERM
	if status := server.end(); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}
