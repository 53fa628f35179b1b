package websocket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

const (
	contOp  = byte(None)
	textOp  = byte(Text)
	binOp   = byte(Binary)
	closeOp = byte(Close)
	pingOp  = byte(Ping)
	pongOp  = byte(Pong)
	fin     = byte(finBit)
	rsv1    = byte(rsv1Bit)
)

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d} // of RFC 6455 5.7

// appendMasked appends a frame as a client sends it.
func appendMasked(dst []byte, first byte, payload string) []byte {
	start := len(dst)
	dst = appendHeader(dst, first, len(payload))
	dst[start+1] |= maskBit
	dst = append(dst, testKey[:]...)
	for i := range len(payload) {
		dst = append(dst, payload[i]^testKey[i%4])
	}
	return dst
}

func masked(first byte, payload string) string { return string(appendMasked(nil, first, payload)) }

// announced is the header of a masked frame of any length, in its longest form.
func announced(first byte, length uint64) string {
	head := binary.BigEndian.AppendUint64([]byte{first, maskBit | length64}, length)
	return string(append(head, testKey[:]...))
}

// connection is a parser with what is fed to it and what it has said.
type connection struct {
	tb     testing.TB
	parser Parser
	events strings.Builder
	over   bool // an error has come
}

func newConnection(tb testing.TB, settings Settings, deflate bool) *connection {
	tb.Helper()
	params := Deflate{}
	if deflate {
		params = Deflate{On: true, windowBits: maxWindowBits}
	}
	return &connection{tb: tb, parser: NewParser(NewCodecs(settings), params)}
}

// feed gives the parser one read's bytes. They are overwritten afterwards, so that a parser which still needs them shows.
func (c *connection) feed(input []byte) {
	c.tb.Helper()
	src := bytes.Clone(input)
	for rest := src; !c.over; {
		event, used, err := c.parser.Next(rest)
		if used > len(rest) {
			c.tb.Fatalf("%d bytes used of %d", used, len(rest))
		}
		if err != nil {
			c.over = true
			c.say("error " + err.Error())
			if _, _, again := c.parser.Next([]byte(masked(fin|pingOp, ""))); again != err {
				c.tb.Fatalf("after %v the parser went on: %v", err, again)
			}
			break
		}
		if event.Kind == None {
			if used != len(rest) {
				c.tb.Fatalf("%d of %d bytes used without an event", used, len(rest))
			}
			break
		}
		c.note(event)
		rest = rest[used:]
	}
	for i := range src {
		src[i] = '~'
	}
	c.checkMemory()
}

func (c *connection) note(event Event) {
	name := map[Kind]string{Text: "text", Binary: "binary", Close: "close", Ping: "ping", Pong: "pong"}[event.Kind]
	if event.Kind == Close {
		name = fmt.Sprintf("close %d", event.Code)
	}
	data := fmt.Sprintf("%q", event.Data)
	if len(event.Data) > 200 {
		data = fmt.Sprintf("%q... %d bytes", event.Data[:20], len(event.Data))
	}
	c.say(name + " " + data)
}

func (c *connection) say(line string) { c.events.WriteString(line + "\n") }

// checkMemory checks that nothing is held when nothing is under way, and otherwise little more than what has arrived.
func (c *connection) checkMemory() {
	c.tb.Helper()
	p := &c.parser
	if p.message == nil {
		return
	}
	if p.state&(inFrame|inMessage) == 0 || p.err != nil {
		c.tb.Fatalf("a message is held while none is under way: %+v", p)
	}
	if have, most := cap(p.message.data), 2*len(p.message.data)+maxIdleBuffer; have > most {
		c.tb.Fatalf("a buffer of %d bytes for %d that have arrived", have, len(p.message.data))
	}
}

// events feeds input in pieces of the given size; 0 is all at once.
func events(tb testing.TB, input string, piece int, settings Settings, deflate bool) string {
	tb.Helper()
	c := newConnection(tb, settings, deflate)
	if piece == 0 {
		piece = max(len(input), 1)
	}
	for rest := []byte(input); len(rest) > 0; {
		n := min(piece, len(rest))
		c.feed(rest[:n])
		rest = rest[n:]
	}
	return c.events.String()
}

// parserCase is bytes of a client and what has to come of them, one event a line. What follows a whole frame is read too,
// unless the last event is the end.
type parserCase struct {
	name  string
	input string
	want  string
}

// runCases feeds each case whole, in pieces, and with another frame behind it.
func runCases(t *testing.T, cases []parserCase, settings Settings, deflate bool) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pieces := []int{0, 1, 2, 3, 7}
			if len(c.input) > 10_000 {
				pieces = []int{0, 61, 4096}
			}
			for _, piece := range pieces {
				if got := events(t, c.input, piece, settings, deflate); got != c.want {
					t.Errorf("in pieces of %d:\n got %s\nwant %s", piece, got, c.want)
				}
			}
			if c.want == "" {
				return
			}
			want := c.want
			if !strings.Contains(want, "error") && !strings.Contains(want, "close") {
				want += "ping \"behind\"\n"
			}
			for _, piece := range pieces {
				if got := events(t, c.input+masked(fin|pingOp, "behind"), piece, settings, deflate); got != want {
					t.Errorf("with a frame behind, in pieces of %d:\n got %s\nwant %s", piece, got, want)
				}
			}
		})
	}
}
