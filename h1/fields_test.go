package h1

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"
)

// plain looks at eight bytes at once; here every byte is put at every place of values of every length around that.
func TestValidFieldValueEverywhere(t *testing.T) {
	t.Parallel()
	for length := 1; length <= 19; length++ {
		for at := range length {
			for c := range 256 {
				value := bytes.Repeat([]byte{'a'}, length)
				value[at] = byte(c)
				valid := c == '\t' || c >= ' ' && c != 0x7f
				if got := ValidFieldValue(value); got != valid {
					t.Fatalf("byte %#02x at %d of %d: valid %v, want %v", c, at, length, got, valid)
				}
				if got := plain(value); got != (c >= ' ' && c < 0x7f) {
					t.Fatalf("byte %#02x at %d of %d: plain %v", c, at, length, got)
				}
			}
		}
	}
	// What a borrow from the byte below could hide or invent.
	for _, pair := range [][2]byte{{0x00, 0x20}, {0x00, 0x7f}, {0x7f, 0x1f}, {0x20, 0x7e}, {0x80, 0x00}, {0xff, 0x1f}} {
		for at := range 7 {
			value := bytes.Repeat([]byte{'a'}, 8)
			value[at], value[at+1] = pair[0], pair[1]
			want := pair[0] >= ' ' && pair[0] < 0x7f && pair[1] >= ' ' && pair[1] < 0x7f
			if got := plain(value); got != want {
				t.Errorf("bytes %#02x at %d: plain %v, want %v", pair, at, got, want)
			}
		}
	}
	if !ValidFieldValue(nil) {
		t.Error("an empty value is valid")
	}
}

func TestValidFieldName(t *testing.T) {
	t.Parallel()
	const tchar = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for c := range 256 {
		want := strings.IndexByte(tchar, byte(c)) >= 0
		if got := ValidFieldName([]byte{'X', byte(c)}); got != want {
			t.Errorf("X%q: %v, want %v", byte(c), got, want)
		}
	}
	if ValidFieldName(nil) {
		t.Error("an empty name was accepted")
	}
}

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
