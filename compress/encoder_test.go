package compress

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"backline/negotiate"
)

// decode reads what there is of a body, as a client does that shows a page while it comes.
func decode(t testing.TB, coding negotiate.Coding, encoded []byte) (decoded []byte, err error) {
	t.Helper()
	var reader io.Reader
	switch coding {
	case negotiate.Zstd:
		r, err := zstd.NewReader(bytes.NewReader(encoded), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		reader = r
	case negotiate.Brotli:
		reader = brotli.NewReader(bytes.NewReader(encoded))
	default:
		r, err := gzip.NewReader(bytes.NewReader(encoded))
		if err != nil {
			return nil, err
		}
		reader = r
	}
	return io.ReadAll(reader)
}

// text is n bytes that compress as pages do.
func text(n int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "<tr><td class='name'>%d</td><td>%x</td></tr>\n", random.IntN(1000), random.IntN(1<<20))
	}
	return b.Bytes()[:n]
}

func eachCoding(t *testing.T, do func(t *testing.T, c *Compressor, coding negotiate.Coding)) {
	t.Helper()
	for _, level := range []Level{Fast, Balanced, Small} {
		options := usual()
		options.Level = level
		c := New(options)
		for _, coding := range options.Codings {
			t.Run(fmt.Sprintf("%s/%d", coding, level), func(t *testing.T) {
				t.Parallel()
				do(t, c, coding)
			})
		}
	}
}

func TestWholeBodies(t *testing.T) {
	t.Parallel()
	eachCoding(t, func(t *testing.T, c *Compressor, coding negotiate.Coding) {
		for n, data := range [][]byte{text(5000, 1), text(64<<10, 2), text(1, 3), bytes.Repeat([]byte("a"), 1<<20), []byte("x")} {
			e := c.Encoder(coding) // used again and again
			encoded := e.Close(e.Append([]byte("before"), data, false))
			rest, found := bytes.CutPrefix(encoded, []byte("before"))
			if got, err := decode(t, coding, rest); !found || err != nil || !bytes.Equal(got, data) {
				t.Errorf("body %d: %d bytes and %v, expected %d", n, len(got), err, len(data))
			}
			if len(data) > 1000 && len(rest) > len(data)/2 {
				t.Errorf("body %d: %d bytes became %d", n, len(data), len(rest))
			}
		}
	})
}

// TestPieces: with every piece the client can decode all that came so far, and the end ends it.
func TestPieces(t *testing.T) {
	t.Parallel()
	eachCoding(t, func(t *testing.T, c *Compressor, coding negotiate.Coding) {
		e := c.Encoder(coding)
		var sent, encoded []byte
		for n := range 20 {
			piece := text(1+n*n*37, uint64(n))
			sent, encoded = append(sent, piece...), e.Append(encoded, piece, true)
			if got, err := decode(t, coding, encoded); err == nil || !bytes.Equal(got, sent) {
				t.Fatalf("after piece %d: %d bytes and %v, expected %d and that there is more to come", n, len(got), err, len(sent))
			}
		}
		encoded = e.Close(encoded)
		if got, err := decode(t, coding, encoded); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("at the end: %d bytes and %v, expected %d", len(got), err, len(sent))
		}
	})
}

// TestEncodersAreBounded: as many as there may be, and each that is given back can be lent again.
func TestEncodersAreBounded(t *testing.T) {
	t.Parallel()
	c := New(usual())
	var lent []*Encoder
	for range 4 {
		lent = append(lent, c.Encoder(negotiate.Gzip))
	}
	if c.Encoder(negotiate.Zstd) != nil {
		t.Error("a fifth encoder was lent")
	}
	lent[0].Close(nil)
	lent[1].Append(nil, []byte("cut off"), true)
	lent[1].Release()
	for range 2 {
		e := c.Encoder(negotiate.Gzip)
		if e == nil {
			t.Fatal("an encoder that was given back is not lent again")
		}
		// Nothing of the body that was cut off is left in it.
		if got, err := decode(t, negotiate.Gzip, e.Close(e.Append(nil, []byte("whole"), false))); err != nil || string(got) != "whole" {
			t.Errorf("%q, %v", got, err)
		}
	}
	(*Encoder)(nil).Release()
}

// TestMemory holds the promise of the setting's help: at most five MiB each, most of them less.
func TestMemory(t *testing.T) {
	limits := map[negotiate.Coding]uint64{negotiate.Zstd: 5 << 20, negotiate.Gzip: 2 << 20, negotiate.Brotli: 5 << 20}
	for _, level := range []Level{Fast, Balanced, Small} {
		for coding, limit := range limits {
			const count = 4
			options := usual()
			options.Level, options.Encoders = level, count
			c := New(options)
			before := heap()
			encoders := make([]*Encoder, count)
			for i := range encoders {
				encoders[i] = c.Encoder(coding)
				encoders[i].Append(nil, text(300<<10, uint64(i)), true)
			}
			if each := (heap() - before) / count; each > limit {
				t.Errorf("%s at level %d: %d KiB", coding, level, each>>10)
			}
			runtime.KeepAlive(encoders)
		}
	}
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	c := New(usual())
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			for i := range 20 {
				coding := c.options.Codings[(i+n)%3]
				e := c.Encoder(coding)
				if e == nil {
					continue
				}
				data := strings.Repeat(fmt.Sprintf("%d-%d ", n, i), 100)
				if got, err := decode(t, coding, e.Close(e.Append(nil, []byte(data), i%2 == 0))); err != nil || string(got) != data {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
		})
	}
	group.Wait()
	if lent := c.lent.Load(); lent != 0 {
		t.Errorf("%d encoders are still lent", lent)
	}
}

func BenchmarkEncoder(b *testing.B) {
	page := text(30_000, 1)
	for level, name := range map[Level]string{Fast: "fast", Balanced: "balanced", Small: "small"} {
		options := usual()
		options.Level = level
		c := New(options)
		for _, coding := range options.Codings {
			b.Run(name+"/"+coding.String(), func(b *testing.B) {
				var out []byte
				b.SetBytes(int64(len(page)))
				for b.Loop() {
					e := c.Encoder(coding)
					out = e.Close(e.Append(out[:0], page, false))
				}
				b.ReportMetric(float64(len(out)), "out_bytes")
			})
		}
	}
}
