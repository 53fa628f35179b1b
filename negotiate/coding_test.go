package negotiate_test

import (
	"testing"

	"backline"
	"backline/negotiate"
)

func TestBest(t *testing.T) {
	t.Parallel()
	all := []negotiate.Coding{negotiate.Zstd, negotiate.Brotli, negotiate.Gzip}
	for _, c := range []struct {
		accept string
		order  []negotiate.Coding
		want   string
	}{
		{"", all, "identity"},
		{"gzip", all, "gzip"},
		{"GZip", all, "gzip"},
		{"x-gzip", all, "gzip"},
		{"gzip, deflate, br, zstd", all, "zstd"},
		{"gzip, deflate, br", all, "br"},
		{"gzip, deflate, br, zstd", []negotiate.Coding{negotiate.Gzip}, "gzip"},
		{"gzip, br", []negotiate.Coding{negotiate.Zstd}, "identity"},
		{"gzip;q=1, br;q=0.5", all, "gzip"},
		{"gzip;q=0.5,br;q=0.501", all, "br"},
		{"gzip;q=0.001", all, "gzip"},
		{"gzip;q=0", all, "identity"},
		{"gzip;q=0, *", all, "zstd"},
		{"*;q=0.1", all, "zstd"},
		{"*;q=0", all, "identity"},
		{"zstd;q=0, br;q=0, *;q=0.3", all, "gzip"},
		{"identity", all, "identity"},
		{"identity, gzip;q=0.5", all, "identity"},
		{"identity;q=0.5, gzip;q=0.5", all, "gzip"},
		{"identity;q=0.5, gzip", all, "gzip"},
		{"identity;q=0, gzip;q=0.001", all, "gzip"},
		{"identity;q=0", all, "identity"},
		{"*;q=0, br", all, "br"},
		{" br ; q=0.8 ,\tgzip ;q=0.2", all, "br"},
		{"deflate, compress", all, "identity"},
		{"gzip;q=2", all, "identity"},
		{"gzip;q=1.001", all, "identity"},
		{"gzip;q=1.000", all, "gzip"},
		{"gzip;q=0.", all, "identity"},
		{"gzip;q=", all, "identity"},
		{"gzip;q=x", all, "identity"},
		{"gzip;q=0.1234", all, "identity"},
		{"gzip;q=00", all, "identity"},
		{"gzip;level=1", all, "identity"},
		{";q=1,,,gzip", all, "gzip"},
		{"gzip;Q=0.5", all, "gzip"},
	} {
		accepted := negotiate.AcceptEncoding([]backline.Field{{Name: []byte("Accept-Encoding"), Value: []byte(c.accept)}})
		if got := accepted.Best(c.order).String(); got != c.want {
			t.Errorf("%q of %v: %s, want %s", c.accept, c.order, got, c.want)
		}
	}
}

func TestAcceptEncodingInSeveralLines(t *testing.T) {
	t.Parallel()
	order := []negotiate.Coding{negotiate.Brotli, negotiate.Gzip}
	accepted := negotiate.AcceptEncoding([]backline.Field{
		{Name: []byte("Accept"), Value: []byte("br")},
		{Name: []byte("ACCEPT-ENCODING"), Value: []byte("br;q=0.1")},
		{Name: []byte("accept-encoding"), Value: []byte("gzip")},
	})
	if got := accepted.Best(order); got != negotiate.Gzip {
		t.Errorf("got %s", got)
	}
	accepted = negotiate.AcceptEncoding(nil)
	if got := accepted.Best(order); got != negotiate.Identity {
		t.Errorf("without the field: %s", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for coding, want := range map[negotiate.Coding][2]string{
		negotiate.Identity: {"identity", ""}, negotiate.Gzip: {"gzip", ".gz"},
		negotiate.Brotli: {"br", ".br"}, negotiate.Zstd: {"zstd", ".zst"},
	} {
		if coding.String() != want[0] || coding.Suffix() != want[1] {
			t.Errorf("%d: %s %s", coding, coding, coding.Suffix())
		}
	}
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip, br;q=0.5", "*;q=0", "identity;q=0.001,,", ";;;q=", "gzip;q=1.0000"} {
		f.Add([]byte(seed))
	}
	order := []negotiate.Coding{negotiate.Zstd, negotiate.Brotli, negotiate.Gzip}
	f.Fuzz(func(t *testing.T, value []byte) {
		accepted := negotiate.AcceptEncoding([]backline.Field{{Name: []byte("accept-encoding"), Value: value}})
		for c, weight := range accepted {
			if weight < -1 || weight > 1000 {
				t.Errorf("%q: weight %d for %d", value, weight, c)
			}
		}
		if best := accepted.Best(order); best != negotiate.Identity && accepted[best] <= 0 {
			t.Errorf("%q: %s, which is not accepted", value, best)
		}
	})
}
