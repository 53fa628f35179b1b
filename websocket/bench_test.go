package websocket

import (
	"fmt"
	"strings"
	"testing"
)

// One message in and its echo out, as for a client on a socket of its own.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{16, 125, 1024, 65536} {
		b.Run(fmt.Sprintf("text %d", size), func(b *testing.B) {
			input := []byte(masked(fin|textOp, strings.Repeat("x", size)))
			codecs := NewCodecs(Settings{})
			parser, writer := NewParser(codecs, Deflate{}), NewWriter(codecs, Deflate{})
			src, dst := make([]byte, len(input)), make([]byte, 0, size+16)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				copy(src, input) // is unmasked where it lies
				event, used, _ := parser.Next(src)
				if used != len(src) {
					b.Fatal(used)
				}
				dst = writer.Append(dst[:0], event.Kind, event.Data, true)
			}
		})
	}
}

func BenchmarkNext(b *testing.B) {
	for name, text := range map[string]string{
		"text 16": strings.Repeat("x", 16), "text 1024": strings.Repeat("x", 1024), "umlauts 1024": strings.Repeat("ü", 512),
		"text 65536": strings.Repeat("x", 65536),
	} {
		b.Run(name, func(b *testing.B) {
			input := []byte(masked(fin|textOp, text))
			parser := NewParser(NewCodecs(Settings{}), Deflate{})
			src := make([]byte, len(input))
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				copy(src, input)
				if event, _, _ := parser.Next(src); event.Kind != Text {
					b.Fatal(event)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	writer := NewWriter(NewCodecs(Settings{}), Deflate{})
	data, dst := []byte(strings.Repeat("x", 16)), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst = writer.Append(dst[:0], Text, data, true)
	}
}

// A message of 1 MiB in frames and reads of 4 KiB: no byte may be copied or looked at more than a few times.
func BenchmarkFragments(b *testing.B) {
	part := strings.Repeat("x", 4096)
	frames := []byte(masked(textOp, part))
	for range 254 {
		frames = appendMasked(frames, contOp, part)
	}
	frames = appendMasked(frames, fin|contOp, part)
	parser := NewParser(NewCodecs(Settings{}), Deflate{})
	src := make([]byte, 4096)
	b.ReportAllocs()
	b.SetBytes(1 << 20)
	for b.Loop() {
		for rest := frames; len(rest) > 0; {
			n := copy(src, rest)
			rest = rest[n:]
			for used := 0; ; {
				event, n, err := parser.Next(src[used:n])
				if err != nil {
					b.Fatal(err)
				}
				if event.Kind == None {
					break
				}
				used += n
			}
		}
	}
}

func BenchmarkDeflate(b *testing.B) {
	const record = `{"id": %d, "name": "somebody", "email": "user%d@example.org", "roles": ["reader", "writer"]}, `
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, record, i, i*7)
	}
	for _, size := range []int{32, 64, 128, 256, 1024, 65536} {
		for _, level := range []int{1, 3, 6, 9} {
			b.Run(fmt.Sprintf("json %d level %d", size, level), func(b *testing.B) {
				codecs := NewCodecs(Settings{Deflate: DeflateSettings{Level: level, MinSize: 1}})
				writer := NewWriter(codecs, Deflate{On: true, windowBits: maxWindowBits})
				var dst []byte
				data := []byte(text.String()[:size])
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					dst = writer.Append(dst[:0], Text, data, true)
				}
				b.ReportMetric(float64(len(dst))/float64(size), "ratio")
			})
		}
	}
}

func BenchmarkInflate(b *testing.B) {
	for _, size := range []int{64, 1024, 65536} {
		b.Run(fmt.Sprintf("json %d", size), func(b *testing.B) {
			text := strings.Repeat(`{"id": 17, "name": "somebody", "roles": ["reader"]}, `, 2000)[:size]
			input := []byte(masked(fin|rsv1|textOp, deflated(text)))
			parser := NewParser(NewCodecs(Settings{}), Deflate{On: true, windowBits: maxWindowBits})
			src := make([]byte, len(input))
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				copy(src, input)
				if event, _, err := parser.Next(src); event.Kind != Text {
					b.Fatal(event, err)
				}
				parser.Next(nil)
			}
		})
	}
}
