package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"backline"
)

func packetOf(payload string) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

// pieces reads at most size bytes at a time; size 0 gives all there is.
func pieces(data []byte, size int) io.Reader {
	switch size {
	case 0:
		return bytes.NewReader(data)
	case 1:
		return iotest.OneByteReader(bytes.NewReader(data))
	}
	return readerFunc(func(p []byte) (int, error) {
		if len(data) == 0 {
			return 0, io.EOF
		}
		n := copy(p[:min(len(p), size)], data)
		data = data[n:]
		return n, nil
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReaderSplits(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	var want []string
	for i := range 200 {
		payload := strings.Repeat(strconv.Itoa(i%10), []int{0, 1, 5, 300, 5000}[random.IntN(5)])
		stream, want = append(stream, packetOf(payload)...), append(want, payload)
	}
	large := strings.Repeat("x", 3*keepBuffer) // then the buffer has to shrink again
	stream, want = append(stream, packetOf(large)...), append(want, large)
	stream, want = append(stream, packetOf("end")...), append(want, "end")
	for _, size := range []int{0, 1, 2, 3, 7, 4096, 65537} {
		r := NewReader(pieces(stream, size))
		for i := range want {
			got, err := r.Next()
			if err != nil || string(got) != want[i] {
				t.Fatalf("in pieces of %d: packet %d is %.20q..., %v, want %.20q...", size, i, got, err, want[i])
			}
		}
		for range 2 {
			if _, err := r.Next(); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("in pieces of %d: after the last packet %v, want EOF", size, err)
			}
		}
		if len(r.buf) > keepBuffer {
			t.Errorf("in pieces of %d: the buffer stayed at %d bytes after one large packet", size, len(r.buf))
		}
	}
}

func TestReaderEndsInsideAPacket(t *testing.T) {
	t.Parallel()
	whole := packetOf("hello")
	for cut := 1; cut < len(whole); cut++ {
		for _, size := range []int{0, 1} {
			r := NewReader(pieces(whole[:cut], size))
			for range 2 {
				if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("cut after %d: %v, want %v", cut, err, io.ErrUnexpectedEOF)
				}
			}
		}
	}
}

func TestReaderRefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	for _, size := range []uint32{MaxPacket + 1, 1<<32 - 1} {
		r := NewReader(bytes.NewReader(binary.LittleEndian.AppendUint32(nil, size)))
		for range 2 {
			if _, err := r.Next(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d bytes", size)) {
				t.Errorf("a packet of %d bytes: %v, want a refusal", size, err)
			}
		}
	}
}

// TestReaderGrowsByWhatComes: whoever announces the largest packet and sends little of it must not cost its size.
func TestReaderGrowsByWhatComes(t *testing.T) {
	t.Parallel()
	stream := append(binary.LittleEndian.AppendUint32(nil, MaxPacket), make([]byte, 100_000)...)
	r := NewReader(bytes.NewReader(stream))
	if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Next = %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if len(r.buf) > 1<<20 {
		t.Errorf("100 kB of an announced packet of 64 MiB took a buffer of %d bytes", len(r.buf))
	}
}

func TestReaderPassesErrorsOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	r := NewReader(io.MultiReader(bytes.NewReader(packetOf("first")), iotest.ErrReader(broken)))
	if got, err := r.Next(); err != nil || string(got) != "first" {
		t.Errorf("Next = %q, %v", got, err)
	}
	if _, err := r.Next(); !errors.Is(err, broken) {
		t.Errorf("Next = %v, want %v", err, broken)
	}
}

func TestBuffered(t *testing.T) {
	t.Parallel()
	r := NewReader(bytes.NewReader(slices.Concat(packetOf("one"), packetOf("two"), packetOf("three")[:5])))
	for i, want := range []bool{true, false} {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if r.Buffered() != want {
			t.Errorf("after packet %d Buffered = %v, want %v", i+1, r.Buffered(), want)
		}
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	for _, c := range codecs {
		var b Batch
		b.Reset(c)
		if got := readBack(t, c, b.Packet()); len(got) != 0 {
			t.Errorf("%s: an empty batch has the messages %v", c, got)
		}
		b.Reset(c)
		request := &Request{Scope: &backline.Scope{Version: "1.1"}, Default: &Defaults{}}
		b.AddRequest(c.AppendRequest(nil, request), 70_000)
		b.AddBody(1, []byte("piece"), true)
		b.AddBody(1, nil, false)
		b.AddCredit(2, 65536)
		b.Add(KindStop, 0)
		b.AddStacks(3, []uint32{4, 5})
		b.AddStacks(6, nil)
		b.AddProfile(7, 10_000, 100)
		b.AddConnect(7, netip.MustParseAddrPort("192.0.2.7:5123"))
		b.AddConnect(8, netip.MustParseAddrPort("[fe80::1%eth0]:65535"))
		b.AddGiven(9, true)
		b.AddGiven(10, false)
		if b.Len() != 12 || b.Size() != len(b.Packet()) {
			t.Errorf("%s: Len = %d, Size = %d of %d", c, b.Len(), b.Size(), len(b.Packet()))
		}
		got := readBack(t, c, b.Packet())
		if request := got[0].([]any); request[0] != 16 || request[1] != 70_000 || len(request) != 5 {
			t.Errorf("%s: the request is %v", c, request)
		}
		rest := fmt.Sprintf("%v", got[1:])
		want := "[[17 1 [112 105 101 99 101] true] [17 1 [] false] [18 2 65536] [21 0] [22 3 [4 5]] [22 6 []] [30 7 10000 100] " +
			"[31 7 [192.0.2.7 5123]] [31 8 [fe80::1 65535 0 0]] [59 9 1] [59 10 0]]"
		if rest != want {
			t.Errorf("%s:\n got %s\nwant %s", c, rest, want)
		}
	}
}

func TestBatchGivesLargeBuffersBack(t *testing.T) {
	t.Parallel()
	var b Batch
	b.Reset(Marshal)
	b.AddBody(1, make([]byte, 2*keepBuffer), false)
	b.Reset(Marshal)
	if cap(b.buf) > keepBuffer || b.Len() != 0 {
		t.Errorf("after Reset the batch holds %d messages in a buffer of %d", b.Len(), cap(b.buf))
	}
}

// readBack gives the messages of one packet by this package's own decoder of any values.
func readBack(t *testing.T, c Codec, packet []byte) []any {
	t.Helper()
	payload, err := NewReader(bytes.NewReader(packet)).Next()
	if err != nil {
		t.Fatal(err)
	}
	cursor := newCursor(payload)
	value := cursor.any(0)
	if cursor.err != nil || cursor.codec != c || cursor.off != len(payload) {
		t.Fatalf("%s: read as %s to %d of %d: %v", c, cursor.codec, cursor.off, len(payload), cursor.err)
	}
	return value.([]any)
}
