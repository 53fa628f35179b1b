package config

import (
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "30": 30 * time.Second, "0.5": 500 * time.Millisecond, "30s": 30 * time.Second, "2m": 2 * time.Minute,
		"1h30m": 90 * time.Minute, "500ms": 500 * time.Millisecond,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".", "s", "30x", "30 s", "1d", "-1s", "-5", "1e3", "99999999999999999999", "NaN"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	t.Parallel()
	for value, want := range map[time.Duration]string{
		0: "0s", 30 * time.Second: "30s", 2 * time.Minute: "120s", 75 * time.Second: "75s", 1500 * time.Millisecond: "1.5s", 24 * time.Hour: "24h",
		90 * time.Minute: "1h30m", 10 * time.Minute: "10m", time.Hour + 20*time.Second: "1h0m20s",
	} {
		if got := formatDuration(value); got != want {
			t.Errorf("formatDuration(%d) = %q, want %q", value, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "1000": 1000, "64KiB": 64 << 10, "1MiB": 1 << 20, "1G": 1 << 30, "1g": 1 << 30, "2Ti": 2 << 40, "10MB": 10e6,
		"5 MiB": 5 << 20, "7B": 7, "9223372036854775807": math.MaxInt64,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "1.5G", "-1", "1X", "1MiBs", "0x10", "9223372036854775808", "9007199254740993K", "١"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestParseMode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]fs.FileMode{"0660": 0o660, "660": 0o660, "0o660": 0o660, "0": 0} {
		if got, err := parseMode(text); err != nil || got != want {
			t.Errorf("parseMode(%q) = %o, %v, want %o", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0680", "rw", "-1", "0o0o7", "777777777777777"} {
		if got, err := parseMode(text); err == nil {
			t.Errorf("parseMode(%q) = %o, want an error", text, got)
		}
	}
}

func TestParseBool(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"true": true, "1": true, "YES": true, "on": true, "false": false, "0": false, "No": false, "off": false} {
		if got, err := parseBool(text); err != nil || got != want {
			t.Errorf("parseBool(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "maybe", "2", "t"} {
		if _, err := parseBool(text); err == nil {
			t.Errorf("parseBool(%q): want an error", text)
		}
	}
}

func TestTextsInCanonicalForm(t *testing.T) {
	t.Parallel()
	cases := []struct {
		check      func(string) (string, error)
		text, want string // want "!..." is a part of the error
	}{
		{checkRootPath, "", ""},
		{checkRootPath, "/", ""},
		{checkRootPath, "/site/", "/site"},
		{checkRootPath, "site", "!expected /site"},
		{checkApp, "", ""},
		{checkApp, "mysite.wsgi", "mysite.wsgi"},
		{checkApp, "mysite:create_app('a/b')", "mysite:create_app('a/b')"},
		{checkApp, "src/mysite.py", "src/mysite.py"},
		{checkApp, ":app", "!no module before the colon"},
		{checkPair, "A=b=c", "A=b=c"},
		{checkPair, "A=", "A="},
		{checkPair, "=b", "!KEY=VALUE"},
		{checkPair, "A=\x00", "!zero byte"},
		{checkLogLevel, "CRITICAL", "error"},
		{checkLogLevel, "trace", "debug"},
		{checkLogLevel, "Warn", "warning"},
		{checkRetry, "true", "safe"},
		{checkRetry, "no", "off"},
		{checkRetry, "safe", "safe"},
		{checkLogFile, "", "!/dev/null"},
		{checkWorkerMemory, "512", "!bare number is bytes"},
		{checkWorkerMemory, "512MiB", "512MiB"},
		{checkWorkerMemory, "0", "0"},
	}
	for _, c := range cases {
		got, err := c.check(c.text)
		if part, wantError := strings.CutPrefix(c.want, "!"); wantError {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q: error %v, want one with %q", c.text, err, part)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%q = %q, %v, want %q", c.text, got, err, c.want)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"30", "30s", "2m", "500ms", "1h0m20s", "0.5", "-1", "1e9", "", "9999999h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := parseDuration(text)
		if err != nil {
			return
		}
		if again, err := parseDuration(formatDuration(value)); value < 0 || err != nil || again != value {
			t.Errorf("%q is %v, shown as %q, read as %v, %v", text, value, formatDuration(value), again, err)
		}
	})
}

func FuzzParseSize(f *testing.F) {
	for _, seed := range []string{"0", "1000", "64KiB", "1G", "10MB", "9223372036854775807", "1.5G", "-1", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := parseSize(text)
		if err != nil {
			return
		}
		if again, err := parseSize(formatSize(value)); value < 0 || err != nil || again != value {
			t.Errorf("%q is %d, shown as %q, read as %d, %v", text, value, formatSize(value), again, err)
		}
	})
}

func TestMounts(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"/static/=./staticfiles": true, "/static=/srv/static": true, "/=dist": true, "/favicon.ico=./favicon.ico": true, "/a/=b=c": true,
		"": false, "static": false, "/static/": false, "/static/=": false, "=./x": false, "static/=./x": false, "./x=/static/": false,
		"/a?b=c": false, "/a%20b/=c": false, "//a/=c": false, "/a/../b/=c": false,
	} {
		if got, err := checkMount(text); (err == nil) != good || good && got != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestCompressionValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"zstd": "zstd", "GZIP": "gzip", "br": "br", "Brotli": "br", "deflate": "", "": ""} {
		if got, err := checkCoding(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"text/*": "text/*", "*+XML": "*+xml", "application/json": "application/json", "text/html; charset=utf-8": "", "*": "", "*/*": "", "html": "", "": "",
	} {
		if got, err := checkMediaType(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
