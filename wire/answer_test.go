package wire

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"testing"
)

// helloAnswers is a packet of count answers as the worker package sends them.
func helloAnswers(c Codec, wsgi bool, count int) []byte {
	packet := c.appendList(nil, count)
	for stream := range count {
		packet = c.appendInt(c.appendInt(c.appendTuple(packet, 5), int(KindAnswer)), stream)
		text := c.appendBytes
		if wsgi {
			packet, text = c.appendUTF8(packet, []byte("200 OK")), c.appendUTF8
		} else {
			packet = c.appendInt(packet, 200)
		}
		packet = c.appendList(packet, 2)
		for _, f := range [][2]string{{"content-type", "text/plain; charset=utf-8"}, {"content-length", "13"}} {
			packet = text(text(c.appendTuple(packet, 2), []byte(f[0])), []byte(f[1]))
		}
		packet = c.appendBytes(packet, []byte("Hello, World!"))
	}
	return packet
}

func TestAnswersDoNotAllocate(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts the whole process
	var messages Messages
	var m Message
	for _, c := range codecs {
		for _, wsgi := range []bool{true, false} {
			packet := helloAnswers(c, wsgi, 8)
			read := 0
			allocations := testing.AllocsPerRun(100, func() {
				read = 0
				for more := messages.Open(packet) == nil; more; read++ {
					more, _ = messages.Next(&m)
				}
			})
			if allocations != 0 || read != 9 {
				t.Errorf("%s, WSGI %v: %v allocations for %d messages", c, wsgi, allocations, read-1)
			}
		}
	}
}

// TestFourBillionElements: five bytes that announce a list must not cost its size.
func TestFourBillionElements(t *testing.T) {
	t.Parallel()
	answer := func(headers string) string {
		return "[\x01\x00\x00\x00)\x05i\x20\x00\x00\x00i\x01\x00\x00\x00i\xc8\x00\x00\x00" + headers
	}
	for _, packet := range []string{
		"[\xff\xff\xff\xff", "[\xff\xff\xff\x7f", "\xdd\xff\xff\xff\xff", answer("[\xff\xff\xff\x7f"),
		"[\x01\x00\x00\x00(\xff\xff\xff\x7f", "\x91\xdd\xff\xff\xff\xff", "\x91\x93\x23\x01\xc6\xff\xff\xff\xff",
	} {
		var messages Messages
		var m Message
		err := messages.Open([]byte(packet))
		if err == nil {
			_, err = messages.Next(&m)
		}
		if err == nil || cap(m.Fields) > 0 {
			t.Errorf("%q: %v, room for %d fields", packet, err, cap(m.Fields))
		}
	}
}

func TestPieceThatIsTooLarge(t *testing.T) {
	t.Parallel()
	for _, c := range codecs {
		for size, want := range map[int]bool{MaxPiece: true, MaxPiece + 1: false} {
			packet := c.appendInt(c.appendInt(c.appendTuple(c.appendList(nil, 1), 3), int(KindData)), 1)
			var messages Messages
			if err := messages.Open(c.appendBytes(packet, make([]byte, size))); err != nil {
				t.Fatal(err)
			}
			if more, err := messages.Next(&Message{}); more != want || (err == nil) != want {
				t.Errorf("%s: a piece of %d bytes: %v, %v", c, size, more, err)
			}
		}
	}
}

func TestManyFields(t *testing.T) {
	t.Parallel()
	for _, count := range []int{maxFields, maxFields + 1} {
		c := Marshal
		packet := c.appendInt(c.appendInt(c.appendTuple(c.appendList(nil, 2), 5), int(KindAnswer)), 1)
		packet = c.appendList(c.appendInt(packet, 200), count)
		for range count {
			packet = c.appendASCII(c.appendASCII(c.appendTuple(packet, 2), []byte("a")), []byte("b"))
		}
		packet = c.appendBytes(packet, []byte("body"))
		packet = c.appendInt(c.appendInt(c.appendTuple(packet, 2), int(KindDone)), 2)
		var messages Messages
		var m Message
		if err := messages.Open(packet); err != nil {
			t.Fatal(err)
		}
		more, err := messages.Next(&m)
		if !more || err != nil || (m.Bad != nil) != (count > maxFields) || len(m.Fields) != maxFields || string(m.Data) != "body" {
			t.Errorf("%d fields: %v, %v, Bad = %v, %d fields, body %q", count, more, err, m.Bad, len(m.Fields), m.Data)
		}
		if more, err = messages.Next(&m); !more || err != nil || m.Kind != KindDone || m.Bad != nil || len(m.Fields) != 0 {
			t.Errorf("after %d fields: %v, %v, %+v", count, more, err, m)
		}
	}
}

// TestSurrogates: Python writes str with lone surrogates, which no header can carry.
func TestSurrogates(t *testing.T) {
	t.Parallel()
	python := exec.Command("python3", "-c", "import marshal, sys; sys.stdout.buffer.write(marshal.dumps("+
		`[(32, 1, "200 OK", [("X", "a\udcffb")], b""), (37, 2)], 2))`)
	packet, err := python.Output()
	if err != nil {
		t.Fatal(err)
	}
	var messages Messages
	var m Message
	if err := messages.Open(packet); err != nil {
		t.Fatal(err)
	}
	if more, err := messages.Next(&m); !more || err != nil || m.Bad == nil {
		t.Errorf("%v, %v, Bad = %v", more, err, m.Bad)
	}
	if more, err := messages.Next(&m); !more || err != nil || m.Stream != 2 {
		t.Errorf("what follows is lost: %v, %v, %+v", more, err, m)
	}
}

func benchmarkMessages(b *testing.B, c Codec, wsgi bool) {
	packet := helloAnswers(c, wsgi, 32)
	var messages Messages
	var m Message
	b.SetBytes(int64(len(packet)))
	for b.Loop() {
		if err := messages.Open(packet); err != nil {
			b.Fatal(err)
		}
		for {
			more, err := messages.Next(&m)
			if err != nil {
				b.Fatal(err)
			}
			if !more {
				break
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(32*b.N), "ns/message")
}

// The names say codec and interface; a packet has 32 answers.
func BenchmarkAnswers(b *testing.B) {
	for _, c := range codecs {
		b.Run(c.String()+"/wsgi", func(b *testing.B) { benchmarkMessages(b, c, true) })
		b.Run(c.String()+"/asgi", func(b *testing.B) { benchmarkMessages(b, c, false) })
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, c := range codecs {
		for name, wsgi := range map[string]bool{"/wsgi": true, "/asgi": false} {
			b.Run(c.String()+name, func(b *testing.B) {
				request := &Request{Scope: browser(), Length: -1, WSGI: wsgi, Default: &Defaults{Scheme: "http", Server: browser().Server}}
				var encoded []byte
				var batch Batch
				b.ReportAllocs()
				for b.Loop() {
					encoded = c.AppendRequest(encoded[:0], request)
					batch.Reset(c)
					batch.AddRequest(encoded, 7)
				}
			})
		}
	}
}

func BenchmarkReader(b *testing.B) {
	packet := helloAnswers(Marshal, true, 8)
	packet = append(binary.LittleEndian.AppendUint32(nil, uint32(len(packet))), packet...)
	rest := packet
	r := NewReader(readerFunc(func(p []byte) (int, error) {
		n := copy(p, rest)
		if rest = rest[n:]; len(rest) == 0 {
			rest = packet
		}
		return n, nil
	}))
	b.SetBytes(int64(len(packet)))
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestIsASCII(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for length := range 17 {
			value := append(bytes.Repeat([]byte{'v'}, length), byte(c))
			if got, want := isASCII(append(value, "12345678"...)), c < 0x80; got != want {
				t.Errorf("isASCII(%q) = %v", value, got)
			}
		}
	}
}
