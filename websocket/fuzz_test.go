package websocket

import (
	"bytes"
	stdflate "compress/flate"
	"io"
	"slices"
	"strings"
	"testing"
)

// maxFuzzInput keeps the runs byte by byte from eating the fuzzer's time.
const maxFuzzInput = 2048

func fuzzSettings() Settings { return Settings{MaxMessage: 1 << 20, MaxFragments: 100} }

// FuzzParser: no input panics or makes memory grow (feed checks), splitting it changes nothing, and without compression
// another implementation hears the same.
func FuzzParser(f *testing.F) {
	for _, c := range slices.Concat(frameCases, fragmentCases, violationCases, closeCases) {
		f.Add([]byte(c.input), uint8(2), false)
	}
	for _, c := range compressedCases {
		f.Add([]byte(c.input), uint8(2), true)
	}
	f.Fuzz(func(t *testing.T, input []byte, piece uint8, deflate bool) {
		if len(input) > maxFuzzInput {
			return
		}
		settings := fuzzSettings()
		whole := events(t, string(input), 0, settings, deflate)
		for _, size := range []int{1, 1 + int(piece)} {
			if got := events(t, string(input), size, settings, deflate); got != whole {
				t.Fatalf("in pieces of %d:\n%s\nwhole:\n%s", size, got, whole)
			}
		}
		if !deflate {
			compareWithGorilla(t, input, whole)
		}
	})
}

// FuzzRoundTrip: what a Writer writes, in however many parts, compressed or not, a Parser reads.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("Hello"), uint8(2), uint8(15), uint8(1))
	f.Add([]byte(strings.Repeat("again and ", 1000)), uint8(0), uint8(9), uint8(9))
	f.Add([]byte{}, uint8(1), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, cut, windowBits, level uint8) {
		params := Deflate{On: windowBits >= minWindowBits && windowBits <= maxWindowBits, windowBits: windowBits}
		codecs := NewCodecs(Settings{Deflate: DeflateSettings{Level: int(level), MinSize: 1}})
		w, p := NewWriter(codecs, params), NewParser(codecs, params)
		for range 2 {
			var frames []byte
			rest := data
			for step := 1 + len(data)/(1+int(cut)%16); len(rest) > step; rest = rest[step:] {
				frames = w.Append(frames, Binary, rest[:step], false)
			}
			frames = asClient(t, w.Append(frames, Binary, rest, true))
			event, used, err := p.Next(frames)
			if err != nil || event.Kind != Binary || used != len(frames) || !bytes.Equal(event.Data, data) {
				t.Fatalf("%q came back as %q (%d, %v)", data, event.Data, used, err)
			}
		}
	})
}

// FuzzInflate: no input panics or gets past the limit, and what the standard library inflates is inflated alike. It stops
// at the first last block, so it may know less.
func FuzzInflate(f *testing.F) {
	for _, text := range []string{"", "Hello", strings.Repeat("x", 10_000)} {
		f.Add([]byte(deflated(text)))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		const limit = 1 << 16
		codecs := NewCodecs(Settings{})
		ours, err := codecs.inflater().inflate(nil, bytes.Clone(payload), limit)
		if err == nil && len(ours) > limit {
			t.Fatalf("%d bytes, limit %d", len(ours), limit)
		}
		source := io.MultiReader(bytes.NewReader(payload), strings.NewReader(flushed+closing))
		theirs, failed := io.ReadAll(io.LimitReader(stdflate.NewReader(source), limit+1))
		switch {
		case len(payload) == 0:
		case failed != nil && err == nil:
			t.Fatalf("inflated to %q, the standard library says %v", ours, failed)
		case !bytes.HasPrefix(ours, theirs) && len(theirs) <= limit && failed == nil:
			t.Fatalf("inflated to %q (%v), the standard library to %q", ours, err, theirs)
		}
	})
}

func FuzzUpgrade(f *testing.F) {
	f.Add("chat, superchat", "permessage-deflate; client_max_window_bits")
	f.Add("a,,b", `permessage-deflate; server_max_window_bits="10", x-foo; a=b`)
	f.Fuzz(func(t *testing.T, protocols, extensions string) {
		offer, wanted, err := Upgrade(request("GET", "1.1", handshake("Sec-WebSocket-Protocol: "+protocols,
			"Sec-WebSocket-Extensions: "+extensions)...))
		if !wanted {
			t.Fatal("not wanted")
		}
		params, header := offer.Negotiate(DeflateSettings{})
		if err != nil && (len(offer.Protocols) > 0 || params.On) {
			t.Fatalf("refused with an offer: %+v", offer)
		}
		if params.On && (params.windowBits < minWindowBits || params.windowBits > maxWindowBits || len(header) == 0) {
			t.Fatalf("negotiated %+v, %q", params, header)
		}
		for i, protocol := range offer.Protocols {
			if strings.ContainsFunc(protocol, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ',' }) ||
				slices.Contains(offer.Protocols[:i], protocol) {
				t.Fatalf("subprotocols %q", offer.Protocols)
			}
		}
	})
}
