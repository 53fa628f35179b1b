package backline_test

import (
	"bytes"
	"strings"
	"testing"

	"backline"
)

// Printable looks at eight bytes at once; here every byte is put at every place of values of every length around that.
func TestValidFieldValueEverywhere(t *testing.T) {
	t.Parallel()
	for length := 1; length <= 19; length++ {
		for at := range length {
			for c := range 256 {
				value := bytes.Repeat([]byte{'a'}, length)
				value[at] = byte(c)
				valid := c == '\t' || c >= ' ' && c != 0x7f
				if got := backline.ValidFieldValue(value); got != valid {
					t.Fatalf("byte %#02x at %d of %d: valid %v, want %v", c, at, length, got, valid)
				}
				if got := backline.Printable(value); got != (c >= ' ' && c < 0x7f) {
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
			if got := backline.Printable(value); got != want {
				t.Errorf("bytes %#02x at %d: plain %v, want %v", pair, at, got, want)
			}
		}
	}
	if !backline.ValidFieldValue(nil) {
		t.Error("an empty value is valid")
	}
}

func TestValidFieldName(t *testing.T) {
	t.Parallel()
	const tchar = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for c := range 256 {
		want := strings.IndexByte(tchar, byte(c)) >= 0
		if got := backline.ValidFieldName([]byte{'X', byte(c)}); got != want {
			t.Errorf("X%q: %v, want %v", byte(c), got, want)
		}
	}
	if backline.ValidFieldName(nil) {
		t.Error("an empty name was accepted")
	}
}

func TestEqualFold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given string
		same  bool
	}{
		{"accept-range", true}, {"Accept-Range", true}, {"ACCEPT-RANGE", true},
		{"accept-ranges", false}, {"accept_range", false}, {"accept\rrange", false}, {"", false}, {"ACCEPT-R\u212bNGE", false},
	} {
		if got := backline.EqualFold([]byte(c.given), "accept-range"); got != c.same {
			t.Errorf("%q: %v", c.given, got)
		}
	}
	if backline.EqualFold([]byte("\u212a"), "k") {
		t.Error("the Kelvin sign is no k")
	}
}
