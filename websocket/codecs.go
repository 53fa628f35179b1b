package websocket

import (
	"sync"

	"github.com/klauspost/compress/flate"
)

// Defaults of Settings.
const (
	DefaultMaxMessage   = 16 << 20
	DefaultMaxFragments = 1 << 17
	DefaultLevel        = 1
	DefaultMinSize      = 128
)

// Settings bound what a client may send, and say how what is sent to it is compressed.
type Settings struct {
	// MaxMessage is the most bytes of one message, inflated or not; 0 means 16 MiB; beyond: close 1009. What a message
	// takes grows with what has arrived, not with what a frame's header announces, but may be this much a connection.
	MaxMessage int
	// MaxFragments is the most frames of one message; 0 means 131,072; beyond: close 1009. Empty frames add nothing to a
	// message's size, and so would let one go on forever. Below 65,536, 4 MiB in pieces of 64 bytes are refused, which
	// the Autobahn test suite sends.
	MaxFragments int
	Deflate      DeflateSettings
}

// DeflateSettings say how messages are compressed.
type DeflateSettings struct {
	Off bool // no compression is negotiated, in either direction
	// Level is flate's, 1 (fastest) to 9; 0 means 1. On 64 KiB of JSON, level 6 takes 3.5 times as long and saves 7 % of
	// what is left; from 7 on, each message costs 8 us before its first byte.
	Level int
	// MinSize is the smallest message that is compressed, in bytes; 0 means 128. Without a context, JSON of 64 bytes does
	// not shrink at all and takes 1.5 us to find out; of 128 bytes it shrinks by a quarter, of 1024 by five sixths.
	MinSize int
	// WindowBits bounds the window of what is compressed, 2^8 to 2^15 bytes, given as 8 to 15; 0 means 15. A client that
	// asks for less gets less. Below 15 flate has one level only, and Level means nothing.
	WindowBits int
}

func (s *Settings) maxMessage() int   { return orDefault(s.MaxMessage, DefaultMaxMessage) }
func (s *Settings) maxFragments() int { return orDefault(s.MaxFragments, DefaultMaxFragments) }

func (s *DeflateSettings) level() int {
	return min(orDefault(s.Level, DefaultLevel), flate.BestCompression)
}
func (s *DeflateSettings) minSize() int { return orDefault(s.MinSize, DefaultMinSize) }

func (s *DeflateSettings) windowBits() uint8 {
	return uint8(min(max(orDefault(s.WindowBits, maxWindowBits), minWindowBits), maxWindowBits))
}

func orDefault(value, fallback int) int {
	if value > 0 {
		return value
	}
	return fallback
}

// Codecs are the buffers, inflaters and deflaters that connections share. Inflaters (38 KB) and deflaters (0.8 MB and
// more) are lent for one call, buffers for as long as a message is incomplete, so that there are as many as there is
// work and not as there are connections. What nobody uses, the garbage collector takes. It may be used by any number
// of goroutines.
type Codecs struct {
	maxMessage, maxFragments int
	level, minSize           int

	messages  sync.Pool                                    // of *message
	inflaters sync.Pool                                    // of *inflater
	deflaters [maxWindowBits - minWindowBits + 1]sync.Pool // of *deflater, one pool for each window
}

// NewCodecs makes what connections with these settings share.
func NewCodecs(settings Settings) *Codecs {
	return &Codecs{
		maxMessage:   settings.maxMessage(),
		maxFragments: settings.maxFragments(),
		level:        settings.Deflate.level(),
		minSize:      settings.Deflate.minSize(),
	}
}

// maxIdleBuffer is the largest buffer that a pool keeps, in bytes: most messages are far smaller, and one of 16 MiB
// should not leave 16 MiB behind.
const maxIdleBuffer = 256 << 10
