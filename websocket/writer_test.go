package websocket

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendFrame(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 65536)
	for _, c := range []struct {
		kind    Kind
		payload string
		header  string
	}{
		{Text, "", "\x81\x00"},
		{Text, "Hello", "\x81\x05"},
		{Binary, long[:125], "\x82\x7d"},
		{Binary, long[:126], "\x82\x7e\x00\x7e"},
		{Binary, long[:65535], "\x82\x7e\xff\xff"},
		{Binary, long, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
		{Ping, "", "\x89\x00"},
		{Pong, long[:125], "\x8a\x7d"},
	} {
		if got := AppendFrame([]byte("before"), c.kind, []byte(c.payload)); string(got) != "before"+c.header+c.payload {
			t.Errorf("kind %d of %d bytes begins %q, want %q", c.kind, len(c.payload), got[:min(20, len(got))], c.header)
		}
	}
	if got := AppendFrame(nil, Ping, []byte(long)); string(got) != "\x89\x7d"+long[:125] {
		t.Errorf("a ping too long gave %d bytes", len(got))
	}
}

func TestAppendClose(t *testing.T) {
	t.Parallel()
	x := strings.Repeat("x", 200)
	for _, c := range []struct {
		name   string
		code   int
		reason string
		want   string
	}{
		{"with a reason", 1000, "bye", "\x88\x05\x03\xe8bye"},
		{"without", 4999, "", "\x88\x02\x13\x87"},
		{"no status", CloseNoStatus, "bye", "\x88\x00"},
		{"abnormal", CloseAbnormal, "", "\x88\x00"},
		{"beyond 16 bits", 1000 + 1<<16, "", "\x88\x00"},
		{"negative", -1, "", "\x88\x00"},
		{"reason of 123", 1000, x[:123], "\x88\x7d\x03\xe8" + x[:123]},
		{"reason of 124", 1000, x[:124], "\x88\x7d\x03\xe8" + x[:123]},
		{"character across the end", 1000, x[:122] + "ü" + x, "\x88\x7c\x03\xe8" + x[:122]},
		{"character at the end", 1000, x[:121] + "ü" + x, "\x88\x7d\x03\xe8" + x[:121] + "ü"},
		{"wide characters", 1000, strings.Repeat("😀", 50), "\x88\x7a\x03\xe8" + strings.Repeat("😀", 30)},
		{"not UTF-8", 1000, "\xff", "\x88\x02\x03\xe8"},
		{"nothing but continuation bytes", 1000, strings.Repeat("\x80", 200), "\x88\x02\x03\xe8"},
	} {
		got := AppendClose([]byte("x"), c.code, c.reason)
		if string(got) != "x"+c.want || !utf8.Valid(got[min(5, len(got)):]) {
			t.Errorf("%s: %q, want %q", c.name, got[1:], c.want)
		}
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	w := NewWriter(NewCodecs(Settings{}), Deflate{})
	var got []byte
	got = w.Append(got, Text, []byte("a"), false)
	got = w.Append(got, Text, nil, false)
	got = AppendFrame(got, Ping, nil)
	got = w.Append(got, Text, []byte("b"), true)
	got = w.Append(got, Binary, []byte("c"), true)
	got = w.Append(got, Binary, []byte("d"), false)
	got = w.Append(got, None, []byte("e"), true)
	want := "\x01\x01a" + "\x00\x00" + "\x89\x00" + "\x80\x01b" + "\x82\x01c" + "\x02\x01d" + "\x80\x01e"
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// asClient masks the frames of a server, so that a Parser can read what a Writer has written.
func asClient(tb testing.TB, frames []byte) (out []byte) {
	tb.Helper()
	for len(frames) > 0 {
		size := headerSize(frames)
		payload := int(frames[1])
		switch payload {
		case length16:
			payload = int(frames[2])<<8 | int(frames[3])
		case length64:
			payload = int(frames[6])<<24 | int(frames[7])<<16 | int(frames[8])<<8 | int(frames[9])
		}
		out = appendMasked(out, frames[0], string(frames[size:size+payload]))
		frames = frames[size+payload:]
	}
	return out
}

func TestCompressedMessages(t *testing.T) {
	t.Parallel()
	json := []byte(strings.Repeat(`{"id": 17, "name": "somebody", "tags": ["a", "b"]}, `, 100))
	noise := make([]byte, 5000) // a linear congruential generator, whose upper bytes do not compress
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	for bits := uint8(minWindowBits); bits <= maxWindowBits; bits++ {
		codecs := NewCodecs(Settings{})
		for range 3 { // a deflater from the pool has to be as good as new
			for _, message := range [][]byte{json, noise, json[:DefaultMinSize], json[:DefaultMinSize-1], nil} {
				w := NewWriter(codecs, Deflate{On: true, windowBits: bits})
				frames := w.Append(nil, Binary, message, true)
				if isPacked := frames[0]&rsv1 != 0; isPacked != (len(message) >= DefaultMinSize && message[0] == '{') {
					t.Errorf("window 2^%d: message of %d bytes compressed: %v", bits, len(message), isPacked)
				}
				if len(frames) > len(message)+4 {
					t.Errorf("%d bytes took %d", len(message), len(frames))
				}
				p := NewParser(codecs, Deflate{On: true, windowBits: bits})
				if event, _, err := p.Next(asClient(t, frames)); err != nil || event.Kind != Binary || !bytes.Equal(event.Data, message) {
					t.Errorf("window 2^%d: %d bytes came back as %d (%v)", bits, len(message), len(event.Data), err)
				}
			}
		}
	}
}

// Each part can be read when it has arrived.
func TestCompressedParts(t *testing.T) {
	t.Parallel()
	codecs := NewCodecs(Settings{Deflate: DeflateSettings{Level: 9}})
	for _, parts := range [][]string{
		{"a", "b", "c"}, {"", "", ""}, {"", "x"}, {"x", ""}, {strings.Repeat("long ", 50_000), strings.Repeat("long ", 50_000), "end"},
	} {
		w := NewWriter(codecs, Deflate{On: true, windowBits: maxWindowBits})
		c := newConnection(t, Settings{}, true)
		var whole strings.Builder
		for i, part := range parts {
			last := i == len(parts)-1
			frame := w.Append(nil, Text, []byte(part), last)
			whole.WriteString(part)
			if isFirst := frame[0]&opcodeBits == textOp; isFirst != (i == 0) || isFirst != (frame[0]&rsv1 != 0) || last != (frame[0]&fin != 0) {
				t.Errorf("part %d begins with %02x", i, frame[0])
			}
			if !last && !bytes.HasSuffix(frame, []byte(flushed)) {
				t.Errorf("part %d cannot be read yet: it ends in %x", i, frame[len(frame)-4:])
			}
			c.feed(asClient(t, frame))
		}
		want := newConnection(t, Settings{}, false)
		want.note(Event{Kind: Text, Data: []byte(whole.String())})
		if got := c.events.String(); got != want.events.String() {
			t.Errorf("got %s, want %s", got, want.events.String())
		}
	}
}
