package compress

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"backline/negotiate"
)

// Compressor makes plans and lends encoders. It is safe for concurrent use.
type Compressor struct {
	options Options
	lent    atomic.Int64
	free    map[negotiate.Coding]*sync.Pool // of *Encoder; never written to
}

// New makes a Compressor.
func New(options Options) *Compressor {
	c := &Compressor{options: options, free: map[negotiate.Coding]*sync.Pool{}}
	for _, coding := range options.Codings {
		c.free[coding] = &sync.Pool{}
	}
	return c
}

// Encoder compresses one body.
type Encoder struct {
	owner  *Compressor
	coding negotiate.Coding
	writer writer
	out    appender
}

// writer is what the three libraries have in common. None of them has goroutines, as they are used here.
type writer interface {
	io.Writer
	Reset(to io.Writer)
	Flush() error
	Close() error
}

// appender is where they write to; it never fails.
type appender struct{ bytes []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.bytes = append(a.bytes, p...)
	return len(p), nil
}

// Encoder lends an encoder, to be given back by Close or Release; nil where too many are lent.
func (c *Compressor) Encoder(coding negotiate.Coding) *Encoder {
	// Adding first and asking then cannot let two through where there is room for one.
	if c.lent.Add(1) > int64(c.options.Encoders) {
		c.lent.Add(-1)
		return nil
	}
	// The garbage collector empties the pool of what nobody has used for a while, so a burst leaves no memory behind.
	e, ok := c.free[coding].Get().(*Encoder)
	if !ok {
		e = &Encoder{owner: c, coding: coding, writer: newWriter(coding, c.options.Level)}
	}
	e.writer.Reset(&e.out)
	return e
}

// window is how far back repetitions are looked for, as a power of two. Answers are short, and a larger window costs
// memory for each of them.
const window = 17

func newWriter(coding negotiate.Coding, level Level) writer { //nolint:ireturn // three libraries, one use
	switch coding {
	case negotiate.Zstd:
		levels := [...]zstd.EncoderLevel{
			Fast: zstd.SpeedFastest, Balanced: zstd.SpeedDefault, Small: zstd.SpeedBetterCompression,
		}
		w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(levels[level]), zstd.WithWindowSize(1<<window),
			zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
		if err != nil {
			panic("compress: zstd: " + err.Error()) // the options are constants
		}
		return w
	// Levels above 4 take milliseconds for a page.
	case negotiate.Brotli:
		quality := [...]int{Fast: 1, Balanced: 4, Small: 6}[level]
		return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: quality, LGWin: window})
	default:
		w, err := gzip.NewWriterLevel(nil, [...]int{Fast: 2, Balanced: 5, Small: 6}[level])
		if err != nil {
			panic("compress: gzip: " + err.Error())
		}
		return w
	}
}

// Append compresses data and appends what comes of it. With flush, the client can decode all of data from what it has
// then; without, some may be kept back for the next call.
func (e *Encoder) Append(dst, data []byte, flush bool) []byte {
	e.out.bytes = dst
	_, _ = e.writer.Write(data) // appender never fails, and nothing else can
	if flush {
		_ = e.writer.Flush()
	}
	return e.take()
}

// Close appends the end, and gives the encoder back.
func (e *Encoder) Close(dst []byte) []byte {
	e.out.bytes = dst
	_ = e.writer.Close()
	dst = e.take()
	e.Release()
	return dst
}

// Release gives the encoder back where the body does not get an end. It may be called for nil.
func (e *Encoder) Release() {
	if e != nil {
		e.owner.free[e.coding].Put(e)
		e.owner.lent.Add(-1)
	}
}

func (e *Encoder) take() []byte {
	dst := e.out.bytes
	e.out.bytes = nil
	return dst
}
