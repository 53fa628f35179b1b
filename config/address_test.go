package config

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Address{
		"127.0.0.1:8000":        {Network: "tcp", Host: "127.0.0.1", Port: 8000},
		":8000":                 {Network: "tcp", Port: 8000},
		"localhost:0":           {Network: "tcp", Host: "localhost"},
		"[::1]:80":              {Network: "tcp", Host: "::1", Port: 80},
		"[fe80::1%eth0]:80":     {Network: "tcp", Host: "fe80::1%eth0", Port: 80},
		"unix:/run/site.sock":   {Network: "unix", Path: "/run/site.sock"},
		"unix:///run/site.sock": {Network: "unix", Path: "/run/site.sock"},
		"unix:site.sock":        {Network: "unix", Path: "site.sock"},
		"unix:@abstract":        {Network: "unix", Path: "@abstract"},
		"fd://3":                {Network: "fd", FD: 3},
		"http://0.0.0.0:80":     {Network: "tcp", Scheme: "http", Host: "0.0.0.0", Port: 80},
		"https://[::1]:443":     {Network: "tcp", Scheme: "https", Host: "::1", Port: 443},
		"http://fd://4":         {Network: "fd", Scheme: "http", FD: 4},
		"http://:80/":           {Network: "tcp", Scheme: "http", Port: 80},
	} {
		if got, err := ParseAddress(text); err != nil || got != want {
			t.Errorf("ParseAddress(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestParseAddressSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                    "an empty address: expected HOST:PORT",
		"8000":                `"8000" has no host: expected 127.0.0.1:8000, or :8000 for all interfaces`,
		"localhost":           `"localhost" has no port: expected localhost:8000`,
		"::1":                 `"::1" is an IPv6 address without brackets or port: expected [ADDRESS]:PORT`,
		"[::1]":               "expected",
		"/run/site.sock":      `"/run/site.sock" is a path: expected unix:/run/site.sock`,
		"ftp://0.0.0.0:80":    "is a URL",
		"http://localhost":    `"localhost" has no port: expected localhost:8000`,
		"https://a:443/path":  `port "443/path" is not a number`,
		"http://unix:/a":      "Unix sockets never speak https: expected unix:/a",
		"https://fd://2":      "is not an inherited socket",
		"localhost:http":      `port "http" is not a number from 0 to 65535`,
		"localhost:65536":     `port "65536" is not a number from 0 to 65535`,
		"localhost:-1":        `port "-1" is not a number`,
		"my host:80":          `host "my host" holds ' '`,
		"höst:80":             `holds 'ö'`,
		"unix:":               "unix: without a path",
		"fd://1":              `"fd://1" is not an inherited socket: expected fd://3`,
		"fd://x":              "expected fd://3",
		"unix:/" + longName(): "the system allows 107",
	} {
		got, err := ParseAddress(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseAddress(%q) = %+v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func longName() string { return strings.Repeat("x", maxSocketPath) }

func TestHostAndSocketPath(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "0.0.0.0": "0.0.0.0", "[::1]": "::1", "::1": "::1", "localhost": "localhost"} {
		if got, err := checkHost(text); err != nil || got != want {
			t.Errorf("checkHost(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	if _, err := checkHost("localhost:80"); err == nil || !strings.Contains(err.Error(), "--port 80") {
		t.Errorf("a host with a port: %v, want an error that names --port 80", err)
	}
	for text, want := range map[string]string{"": "", "/run/a.sock": "/run/a.sock", "unix:/run/a.sock": "/run/a.sock"} {
		if got, err := checkUDS(text); err != nil || got != want {
			t.Errorf("checkUDS(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:8000", ":8000", "[::1]:80", "[fe80::1%eth0]:80", "unix:/a", "unix:////a", "fd://3", "8000", "[", "a:b:c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, err := ParseAddress(text)
		if err != nil {
			return
		}
		if again, err := ParseAddress(address.String()); err != nil || again != address {
			t.Errorf("%q is %+v, written as %q, read as %+v, %v", text, address, address.String(), again, err)
		}
	})
}
