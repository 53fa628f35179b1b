package config_test

import (
	"strings"
	"testing"
)

func TestHTTP3NeedsACertificate(t *testing.T) {
	t.Parallel()
	if _, err := (call{line: []string{"--http3"}}).load(t); err == nil || !strings.Contains(wholeText(t, err), "--certfile and --keyfile") {
		t.Errorf("got %v, expected to be told where a certificate comes from", err)
	}
	if got := (call{line: []string{"--http3", "--dev-tls"}}).mustLoad(t); !got.Config.HTTP3 || len(got.Warnings) > 0 {
		t.Errorf("HTTP3 is %v, warnings are %q", got.Config.HTTP3, got.Warnings)
	}
	got := call{line: []string{"--http3-port", "443"}}.mustLoad(t)
	if text := strings.Join(got.Warnings, "\n"); text != "http3_port has no effect without http3" {
		t.Errorf("warnings are %q", text)
	}
}
