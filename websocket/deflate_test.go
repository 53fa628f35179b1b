package websocket

import (
	"bytes"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
)

// deflated compresses as a client does: without a context, and without the end of its flush.
func deflated(text string) string {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, 6)
	w.Write([]byte(text)) // writing to memory does not fail
	w.Flush()
	return strings.TrimSuffix(out.String(), flushed)
}

// hello is "Hello" compressed, in one block and not the last.
var hello = deflated("Hello")

var compressedCases = []parserCase{
	// The examples of RFC 7692 7.2.3.
	{"one block", masked(fin|rsv1|textOp, "\xf2\x48\xcd\xc9\xc9\x07\x00"), "text \"Hello\"\n"},
	{"two fragments", masked(rsv1|textOp, "\xf2\x48\xcd") + masked(fin|contOp, "\xc9\xc9\x07\x00"), "text \"Hello\"\n"},
	{"stored block", masked(fin|rsv1|textOp, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "text \"Hello\"\n"},
	{"last block", masked(fin|rsv1|textOp, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "text \"Hello\"\n"},
	{"two blocks", masked(fin|rsv1|textOp, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "text \"Hello\"\n"},
	{"empty", masked(fin|rsv1|textOp, "\x00"), "text \"\"\n"},
	{"no payload at all", masked(fin|rsv1|binOp, ""), "binary \"\"\n"},
	{"blocks after a last one", masked(fin|rsv1|textOp, "\xf3\x48\xcd\xc9\xc9\x07\x00"+hello), "text \"HelloHello\"\n"},
	{"last blocks, then nothing", masked(fin|rsv1|textOp, "\xf3\x48\xcd\xc9\xc9\x07\x00"), "text \"Hello\"\n"},
	{"last blocks at the limit", masked(fin|rsv1|textOp, strings.Repeat("\x03\x00", maxStreams)), "text \"\"\n"},
	{"last blocks above", masked(fin|rsv1|textOp, strings.Repeat("\x03\x00", maxStreams+1)),
		"error 1007 message has too many last blocks\n"},
	{"byte by byte", masked(rsv1|textOp, hello[:1]) + masked(fin|pingOp, "p") + masked(contOp, "") + masked(contOp, hello[1:4]) +
		masked(fin|contOp, hello[4:]), "ping \"p\"\ntext \"Hello\"\n"},
	{"not compressed, although it could be", masked(fin|textOp, "Hello"), "text \"Hello\"\n"},
	{"one of each", masked(fin|rsv1|textOp, hello) + masked(fin|textOp, "a") + masked(fin|rsv1|binOp, hello),
		"text \"Hello\"\ntext \"a\"\nbinary \"Hello\"\n"},
	{"text not UTF-8", masked(fin|rsv1|textOp, deflated("\xff")), "error 1007 text is not UTF-8\n"},
	{"text ends in a character", masked(fin|rsv1|textOp, deflated("\xe2\x82")), "error 1007 text is not UTF-8\n"},
	{"compressed bytes need not be UTF-8", masked(rsv1|textOp, hello[:2]) + masked(fin|contOp, hello[2:]), "text \"Hello\"\n"},
	{"binary", masked(fin|rsv1|binOp, deflated("\xff")), "binary \"\\xff\"\n"},
	{"reserved block type", masked(fin|rsv1|textOp, "\x07"), "error 1007 message does not inflate\n"},
	{"cut off", masked(fin|rsv1|textOp, hello[:3]), "error 1007 message does not inflate\n"},
	{"distance before the start", masked(fin|rsv1|textOp, "\x4b\x04\x92\x00"), "error 1007 message does not inflate\n"},
	{"bit on a continuation", masked(rsv1|textOp, hello[:2]) + masked(fin|rsv1|contOp, hello[2:]), "error 1002 reserved bit is set\n"},
	{"bit on a ping", masked(fin|rsv1|pingOp, ""), "error 1002 reserved bit is set\n"},
	{"bit on a reserved opcode", masked(fin|rsv1|3, ""), "error 1002 reserved bit is set\n"},
}

func TestCompressed(t *testing.T) {
	t.Parallel()
	runCases(t, compressedCases, Settings{}, true)
}

func TestInflatingIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	bomb := deflated(strings.Repeat("x", 100*limit))
	inflated := "error 1009 message is larger when inflated than the server takes\n"
	runCases(t, []parserCase{
		{"at the limit", masked(fin|rsv1|textOp, deflated(strings.Repeat("x", limit))), "text \"xxxxxxxxxxxxxxxxxxxx\"... 100000 bytes\n"},
		{"above", masked(fin|rsv1|textOp, deflated(strings.Repeat("x", limit+1))), inflated},
		{"bomb", masked(fin|rsv1|textOp, bomb), inflated},
		{"bomb in pieces", masked(rsv1|textOp, bomb[:50]) + masked(fin|contOp, bomb[50:]), inflated},
		{"compressed above", announced(fin|rsv1|textOp, uint64(limit+incompressible(limit)+1)), "error 1009 message is larger than the server takes\n"},
		{"compressed above in pieces", masked(rsv1|binOp, "x") + announced(contOp, uint64(limit+incompressible(limit))),
			"error 1009 message is larger than the server takes\n"},
		{"not compressed above", announced(fin|textOp, limit+1), "error 1009 message is larger than the server takes\n"},
	}, Settings{MaxMessage: limit}, true)
}

// Whatever the level, stored or compressed, a message at the limit comes through.
func TestIncompressibleMessageAtTheLimit(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 40_000)
	for i, x := 0, uint32(7); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	want := newConnection(t, Settings{}, true)
	want.note(Event{Kind: Binary, Data: noise})
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		var out bytes.Buffer
		w, err := flate.NewWriter(&out, level)
		if err != nil {
			t.Fatal(err)
		}
		for part := noise; len(part) > 0; part = part[100:] { // a flush for each 100 bytes, which is as bad as it gets
			if _, err := w.Write(part[:100]); err != nil || w.Flush() != nil {
				t.Fatal(err)
			}
		}
		packed := strings.TrimSuffix(out.String(), flushed)
		if got := events(t, masked(fin|rsv1|binOp, packed), 0, Settings{MaxMessage: len(noise)}, true); got != want.events.String() {
			t.Errorf("level %d, %d bytes: %s", level, len(packed), got)
		}
	}
}
