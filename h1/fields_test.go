package h1

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestParseContentLength(t *testing.T) {
	t.Parallel()
	good := map[string]int64{"0": 0, "7": 7, "007": 7, "9223372036854775807": math.MaxInt64, strings.Repeat("0", 40) + "1": 1}
	for text, want := range good {
		if got, ok := ParseContentLength([]byte(text)); !ok || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, ok, want)
		}
	}
	bad := []string{
		"", " ", "+1", "-1", "1 ", " 1", "1_0", "0x1", "1.0", "1e3", "a", "1,1", "\xd9\xa1", "9223372036854775808",
		"9223372036854775809", "9223372036854775810", "18446744073709551615", "18446744073709551617", strings.Repeat("9", 99),
	}
	for _, text := range bad {
		if got, ok := ParseContentLength([]byte(text)); ok {
			t.Errorf("%q was read as %d", text, got)
		}
	}
	for n := int64(1); n > 0; n *= 3 {
		if got, ok := ParseContentLength(strconv.AppendInt(nil, n, 10)); !ok || got != n {
			t.Errorf("%d: %d, %v", n, got, ok)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	known := map[string]Known{
		"Host": Host, "Content-Length": ContentLength, "Transfer-Encoding": TransferEncoding, "Connection": Connection,
		"Expect": Expect, "Upgrade": Upgrade, "Content-Type": ContentType, "Date": Date, "Server": Server,
		"Keep-Alive": KeepAlive, "Proxy-Connection": ProxyConnection, "TE": TE, "Trailer": Trailer,
	}
	for name, want := range known {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := Lookup([]byte(spelling)); got != want {
				t.Errorf("%q is %d, want %d", spelling, got, want)
			}
		}
		// No other byte in any place may pass for the right one, as "\r" does for "-" where case is folded by a bit.
		for i := range len(name) {
			for c := range 256 {
				wrong := []byte(name)
				wrong[i] = byte(c)
				if Lookup(wrong) != Other && !strings.EqualFold(string(wrong), name) {
					t.Errorf("%q was taken for %q", wrong, name)
				}
			}
		}
	}
	for _, name := range []string{"", "x", "Hos", "Hosts", "Accept", "Cookie", "User-Agent", "\u212aeep-alive"} {
		if got := Lookup([]byte(name)); got != Other {
			t.Errorf("%q is %d, want Other", name, got)
		}
	}
}
