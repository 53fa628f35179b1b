package config_test

import (
	"slices"
	"testing"
)

// TestWhoIsBelieved: the list comes from where gunicorn and uvicorn have it, and may be empty.
func TestWhoIsBelieved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		call call
		want []string
	}{
		{"default", call{}, []string{"127.0.0.1", "::1", "unix"}},
		{"platform", call{environ: []string{"FORWARDED_ALLOW_IPS=10.0.0.1, 10.0.0.2"}}, []string{"10.0.0.1", "10.0.0.2"}},
		{"everybody", call{environ: []string{"FORWARDED_ALLOW_IPS=*"}}, []string{"*"}},
		{"file over platform", call{file: `forwarded_allow_ips = ["10.0.0.3"]`, environ: []string{"FORWARDED_ALLOW_IPS=*"}}, []string{"10.0.0.3"}},
		{"flag over file", call{file: `forwarded_allow_ips = ["*"]`, line: []string{"--forwarded-allow-ips", "10.0.0.4,unix"}}, []string{"10.0.0.4", "unix"}},
		{"nobody", call{line: []string{"--forwarded-allow-ips", ""}}, []string{}},
	} {
		if got := c.call.mustLoad(t).Config.ForwardedAllowIPs; !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, expected %q", c.name, got, c.want)
		}
	}
}
