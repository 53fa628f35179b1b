package edge

import (
	"testing"
	"time"

	"backline/grip"
)

// TestSpread: what many wait for does not happen to them at once, and never later than was said.
func TestSpread(t *testing.T) {
	t.Parallel()
	const begin = 1000
	second := int64(time.Second)
	poll := &grip.Instruct{Mode: grip.Response, Timeout: 50 * time.Second}
	stream := &grip.Instruct{Mode: grip.Stream, KeepAlive: grip.KeepAlive{Timeout: 20 * time.Second}}
	quiet := &grip.Instruct{Mode: grip.Stream}
	cases := []struct {
		in          *grip.Instruct
		least, most int64
		named       string
		endless     bool
	}{
		{in: poll, least: 45 * second, most: 50 * second, named: "a long poll"},
		{in: stream, least: 18 * second, most: 20 * second, named: "a keep-alive"},
		{in: quiet, named: "a stream without", endless: true},
	}
	for _, c := range cases {
		ends := map[string]func(int64) int64{
			"the least": func(n int64) int64 { return n - 1 },
			"the most":  func(int64) int64 { return 0 },
		}
		for which, random := range ends {
			h := &hold{holds: &holds{random: random}, in: c.in}
			h.wait(begin)
			want := begin + c.most
			if which == "the least" {
				want = begin + c.least
			}
			if c.endless {
				want = never
			}
			if h.due != want {
				t.Errorf("%s, %s: due at %d, expected %d", c.named, which, h.due, want)
			}
		}
	}
}
