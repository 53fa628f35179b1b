package websocket

import (
	"strings"
	"testing"
	"unsafe"
)

// long has a length for each form that a header can have.
var long = strings.Repeat("0123456789", 7000)

var frameCases = []parserCase{
	{"example of RFC 6455 5.7", "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "text \"Hello\"\n"},
	{"text", masked(fin|textOp, "grüße"), "text \"grüße\"\n"},
	{"empty text", masked(fin|textOp, ""), "text \"\"\n"},
	{"binary need not be UTF-8", masked(fin|binOp, "\xff\x00"), "binary \"\\xff\\x00\"\n"},
	{"empty binary", masked(fin|binOp, ""), "binary \"\"\n"},
	{"length of 125", masked(fin|binOp, long[:125]), "binary \"" + long[:125] + "\"\n"},
	{"length of 126", masked(fin|binOp, long[:126]), "binary \"" + long[:126] + "\"\n"},
	{"length of 65535", masked(fin|binOp, long[:65535]), "binary \"01234567890123456789\"... 65535 bytes\n"},
	{"length of 65536", masked(fin|textOp, long[:65536]), "text \"01234567890123456789\"... 65536 bytes\n"},
	{"length longer than it need be", announced(fin|textOp, 5) + "\x7f\x9f\x4d\x51\x58", "text \"Hello\"\n"},
	{"ping", masked(fin|pingOp, "are you there"), "ping \"are you there\"\n"},
	{"ping without payload", masked(fin|pingOp, ""), "ping \"\"\n"},
	{"ping of 125", masked(fin|pingOp, long[:125]), "ping \"" + long[:125] + "\"\n"},
	{"pong that nobody asked for", masked(fin|pongOp, "x"), "pong \"x\"\n"},
	{"two messages", masked(fin|textOp, "a") + masked(fin|binOp, "b"), "text \"a\"\nbinary \"b\"\n"},
	{"nothing whole", masked(fin|textOp, "abc")[:6], ""},
}

func TestFrames(t *testing.T) {
	t.Parallel()
	runCases(t, frameCases, Settings{}, false)
}

var fragmentCases = []parserCase{
	{"two", masked(textOp, "Hel") + masked(fin|contOp, "lo"), "text \"Hello\"\n"},
	{"three with empty ones", masked(binOp, "") + masked(contOp, "x") + masked(contOp, "") + masked(fin|contOp, ""), "binary \"x\"\n"},
	{"all empty", masked(textOp, "") + masked(fin|contOp, ""), "text \"\"\n"},
	{"control frames between", masked(textOp, "a") + masked(fin|pingOp, "p") + masked(contOp, "b") + masked(fin|pongOp, "") +
		masked(fin|contOp, "c"), "ping \"p\"\npong \"\"\ntext \"abc\"\n"},
	{"two messages", masked(textOp, "a") + masked(fin|contOp, "b") + masked(binOp, "c") + masked(fin|contOp, "d"),
		"text \"ab\"\nbinary \"cd\"\n"},
	{"character in two", masked(textOp, "\xe2\x82") + masked(fin|contOp, "\xac"), "text \"€\"\n"},
	{"character in four", masked(textOp, "\xf0") + masked(contOp, "\x9f") + masked(contOp, "\x98") + masked(fin|contOp, "\x80"),
		"text \"😀\"\n"},
	{"closed in the middle", masked(textOp, "a") + masked(fin|closeOp, "\x03\xe8"), "close 1000 \"\"\n"},
	{"not the end", masked(textOp, "a") + masked(contOp, "b"), ""},
}

func TestFragments(t *testing.T) {
	t.Parallel()
	runCases(t, fragmentCases, Settings{}, false)
}

var violationCases = []parserCase{
	{"not masked", "\x81\x05Hello", "error 1002 frame is not masked\n"},
	{"not masked, long", "\x82\x7e\x01\x00", "error 1002 frame is not masked\n"},
	{"control frame not masked", "\x89\x00", "error 1002 frame is not masked\n"},
	{"first reserved bit without compression", masked(fin|rsv1|textOp, "a"), "error 1002 reserved bit is set\n"},
	{"second reserved bit", masked(fin|rsv2Bit|textOp, "a"), "error 1002 reserved bit is set\n"},
	{"third reserved bit", masked(fin|rsv3Bit|binOp, "a"), "error 1002 reserved bit is set\n"},
	{"reserved bit on a ping", masked(fin|rsv1|pingOp, ""), "error 1002 reserved bit is set\n"},
	{"opcode 3", masked(fin|3, ""), "error 1002 reserved opcode\n"},
	{"opcode 4", masked(fin|4, ""), "error 1002 reserved opcode\n"},
	{"opcode 5", masked(fin|5, ""), "error 1002 reserved opcode\n"},
	{"opcode 6", masked(fin|6, ""), "error 1002 reserved opcode\n"},
	{"opcode 7", masked(fin|7, ""), "error 1002 reserved opcode\n"},
	{"opcode 11", masked(fin|11, ""), "error 1002 reserved opcode\n"},
	{"opcode 12", masked(fin|12, ""), "error 1002 reserved opcode\n"},
	{"opcode 13", masked(fin|13, ""), "error 1002 reserved opcode\n"},
	{"opcode 14", masked(fin|14, ""), "error 1002 reserved opcode\n"},
	{"opcode 15", masked(fin|15, ""), "error 1002 reserved opcode\n"},
	{"opcode 5 after a message", masked(fin|textOp, "a") + masked(fin|5, ""), "text \"a\"\nerror 1002 reserved opcode\n"},
	{"ping of 126", masked(fin|pingOp, strings.Repeat("x", 126)), "error 1002 control frame is longer than 125 bytes\n"},
	{"ping with the longest length", announced(fin|pingOp, 1), "error 1002 control frame is longer than 125 bytes\n"},
	{"ping in fragments", masked(pingOp, "x"), "error 1002 control frame is fragmented\n"},
	{"close in fragments", masked(closeOp, "x"), "error 1002 control frame is fragmented\n"},
	{"continuation at the start", masked(fin|contOp, "x"), "error 1002 continuation of no message\n"},
	{"continuation after a whole message", masked(fin|textOp, "a") + masked(contOp, "x"),
		"text \"a\"\nerror 1002 continuation of no message\n"},
	{"message in a message", masked(textOp, "a") + masked(fin|textOp, "b"), "error 1002 message begins inside another\n"},
	{"fragment with the kind repeated", masked(binOp, "a") + masked(binOp, "b"), "error 1002 message begins inside another\n"},
	{"top bit of the length", announced(fin|binOp, 1<<63), "error 1002 length of a frame has its top bit set\n"},
}

func TestViolations(t *testing.T) {
	t.Parallel()
	runCases(t, violationCases, Settings{}, false)
}

var closeCases = []parserCase{
	{"without a code", masked(fin|closeOp, ""), "close 1005 \"\"\n"},
	{"with a reason", masked(fin|closeOp, "\x03\xe9"+"bye ü"), "close 1001 \"bye ü\"\n"},
	{"of 125", masked(fin|closeOp, "\x0f\xa0"+strings.Repeat("x", 123)), "close 4000 \"" + strings.Repeat("x", 123) + "\"\n"},
	{"half a code", masked(fin|closeOp, "\x03"), "error 1002 close frame with half a code\n"},
	{"of 126", masked(fin|closeOp, strings.Repeat("x", 126)), "error 1002 control frame is longer than 125 bytes\n"},
	{"reason not UTF-8", masked(fin|closeOp, "\x03\xe8"+"\xff"), "error 1007 reason of a close frame is not UTF-8\n"},
	{"reason cut in a character", masked(fin|closeOp, "\x03\xe8"+"\xe2\x82"), "error 1007 reason of a close frame is not UTF-8\n"},
	{"nothing after it counts", masked(fin|closeOp, "\x03\xe8") + masked(fin|textOp, "late") + "\xff\xff\xff", "close 1000 \"\"\n"},
}

func TestCloseFrames(t *testing.T) {
	t.Parallel()
	runCases(t, closeCases, Settings{}, false)
}

// The table of RFC 6455 7.4 and IANA's additions, from both sides of each border.
func TestCloseCodes(t *testing.T) {
	t.Parallel()
	may := map[int]bool{}
	for _, span := range [][2]int{{1000, 1003}, {1007, 1014}, {3000, 4999}} {
		for code := span[0]; code <= span[1]; code++ {
			may[code] = true
		}
	}
	for code := range 1 << 16 {
		if ValidCode(code) != may[code] {
			t.Errorf("ValidCode(%d) is %v", code, !may[code])
		}
		got := events(t, masked(fin|closeOp, string([]byte{byte(code >> 8), byte(code)})), 0, Settings{}, false)
		if refused := got == "error 1002 close frame with a code that may not be sent\n"; refused == may[code] {
			t.Errorf("code %d: %s", code, got)
		}
	}
}

// Each case is refused with its last byte and not before: that is as early as it can be known, whatever is still missing
// of the frame and the message.
func TestInvalidTextIsRefusedEarly(t *testing.T) {
	t.Parallel()
	open := func(text string) string { return announced(textOp, 1000) + masked(0, text)[6:] }
	cases := map[string]string{
		"byte that is in no character":      open("ab\xff"),
		"continuation byte without a start": open("\x80"),
		"start after a start":               open("\xe2\xe2"),
		"overlong of two":                   open("\xc0"),
		"overlong of three":                 open("\xe0\x9f"),
		"overlong of four":                  open("\xf0\x8f"),
		"surrogate":                         open("\xed\xa0"),
		"above U+10FFFF":                    open("\xf4\x90"),
		"five bytes":                        open("\xf8"),
		"third byte":                        open("€\xe2\x82\x28"),
		"fourth byte":                       open("\xf0\x9f\x98\x28"),
		"in the second fragment":            masked(textOp, "κόσμε\xf4") + masked(contOp, "\x90"),
		"character never finished":          masked(textOp, "\xe2\x82") + masked(fin|contOp, ""),
		"character cut by the end":          masked(fin|textOp, "\xe2\x82"),
	}
	for name, input := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{0, 1, 5} {
				if got := events(t, input[:len(input)-1], piece, Settings{}, false); got != "" {
					t.Errorf("without its last byte, in pieces of %d: %s", piece, got)
				}
				if got := events(t, input, piece, Settings{}, false); got != "error 1007 text is not UTF-8\n" {
					t.Errorf("in pieces of %d: %q", piece, got)
				}
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	large := "error 1009 message is larger than the server takes\n"
	many := "error 1009 message is in too many frames\n"
	runCases(t, []parserCase{
		{"at the limit", masked(fin|textOp, "0123456789"), "text \"0123456789\"\n"},
		{"above", masked(fin|textOp, "0123456789a"), large},
		{"above, announced only", announced(fin|textOp, 11), large},
		{"far above", announced(fin|binOp, 1<<62), large},
		{"fragments at the limit", masked(textOp, "01234") + masked(fin|contOp, "56789"), "text \"0123456789\"\n"},
		{"fragments above", masked(textOp, "01234") + announced(contOp, 6), large},
		{"frames at the limit", masked(binOp, "") + masked(contOp, "") + masked(fin|contOp, ""), "binary \"\"\n"},
		{"frames above", masked(binOp, "") + masked(contOp, "") + masked(contOp, "") + masked(contOp, ""), many},
		{"control frames are not counted", masked(binOp, "") + strings.Repeat(masked(fin|pingOp, "0123456789abc"), 4) + masked(fin|contOp, ""),
			strings.Repeat("ping \"0123456789abc\"\n", 4) + "binary \"\"\n"},
	}, Settings{MaxMessage: 10, MaxFragments: 3}, false)
	runCases(t, []parserCase{
		{"default, announced", announced(fin|binOp, DefaultMaxMessage+1), large},
		{"default number of frames", masked(binOp, "") + strings.Repeat(masked(contOp, ""), DefaultMaxFragments), many},
	}, Settings{}, false)
}

// A header of 4 MiB must not cost 4 MiB. feed checks what is held after each read.
func TestMemoryFollowsWhatHasArrived(t *testing.T) {
	t.Parallel()
	c := newConnection(t, Settings{}, false)
	c.feed([]byte(announced(fin|binOp, 4<<20)))
	if c.parser.message != nil {
		t.Error("a header alone has cost a buffer")
	}
	chunk := make([]byte, 32<<10)
	for range 4 << 20 / len(chunk) {
		c.feed(chunk)
	}
	if got := c.events.String(); !strings.HasSuffix(got, "... 4194304 bytes\n") {
		t.Errorf("got %s", got)
	}
}

// What a connection costs while it is idle.
func TestIdleSize(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(Parser{}); size > 64 {
		t.Errorf("a Parser takes %d bytes", size)
	}
	if size := unsafe.Sizeof(Writer{}); size > 16 {
		t.Errorf("a Writer takes %d bytes", size)
	}
}

// Small messages are the usual ones, and 100,000 connections have many of them.
func TestNoAllocations(t *testing.T) {
	input := []byte(masked(fin|textOp, "hello, world"))
	codecs := NewCodecs(Settings{})
	parser, writer := NewParser(codecs, Deflate{}), NewWriter(codecs, Deflate{})
	src, dst := make([]byte, len(input)), make([]byte, 0, 64)
	allocations := testing.AllocsPerRun(100, func() {
		copy(src, input)
		event, used, err := parser.Next(src)
		if event.Kind != Text || used != len(src) || err != nil {
			t.Fatal(event, used, err)
		}
		dst = writer.Append(dst[:0], event.Kind, event.Data, true)
	})
	if allocations != 0 || string(dst) != "\x81\x0chello, world" {
		t.Errorf("%v allocations, echo %q", allocations, dst)
	}
}

// A whole frame is not copied, also where its header came before.
func TestWholeFrameIsNotCopied(t *testing.T) {
	t.Parallel()
	parser := NewParser(NewCodecs(Settings{}), Deflate{})
	src := []byte(masked(fin|textOp, "abc"))
	for _, split := range []int{0, 1, 6} {
		if event, _, err := parser.Next(src[:split]); event.Kind != None || err != nil {
			t.Fatal(event, err)
		}
		rest := append([]byte{}, src[split:]...)
		event, _, err := parser.Next(rest)
		if err != nil || string(event.Data) != "abc" || &event.Data[0] != &rest[len(rest)-3] {
			t.Errorf("split at %d: %q was copied (%v)", split, event.Data, err)
		}
	}
}
