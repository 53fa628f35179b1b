package wire

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"runtime"
	"testing"
	"unicode/utf8"

	"backline"
)

// allocated is a bound on what decoding may cost, in bytes of memory for a byte of packet: a value of any type in a
// dictionary is the dearest.
const allocated = 400

// withinBound fails the test when f allocates more than a multiple of size. It is only asked for small inputs, where
// other goroutines' allocations drown in the constant.
func withinBound(t *testing.T, size int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if cost := after.TotalAlloc - before.TotalAlloc; cost > uint64(allocated*size+1<<20) {
		t.Errorf("%d bytes of packet took %d of memory", size, cost)
	}
}

// FuzzMessages: no packet panics, takes more than its share of memory, or is read past its end; errors stick.
func FuzzMessages(f *testing.F) {
	for _, v := range readVectors[answerVector](f, "answers.json") {
		f.Add(mustHex(f, v.Marshal))
		f.Add(mustHex(f, v.Msgpack))
	}
	for _, v := range readVectors[badVector](f, "bad.json") {
		f.Add(mustHex(f, v.Packet))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		withinBound(t, len(packet), func() { readAll(t, packet) })
	})
}

func readAll(t *testing.T, packet []byte) {
	t.Helper()
	var messages Messages
	var m Message
	err := messages.Open(packet)
	for count := 0; err == nil; count++ {
		var more bool
		if more, err = messages.Next(&m); !more {
			break
		}
		if shape(m.Kind) == 0 || m.N < 0 || m.Stream > math.MaxInt32 || len(m.Fields) > maxFields || count > len(packet) {
			t.Errorf("message %d is %+v", count, m)
		}
		for _, field := range m.Fields {
			if !backline.ValidFieldName(field.Name) || !backline.ValidFieldValue(field.Value) {
				t.Errorf("the field %q: %q got through", field.Name, field.Value)
			}
		}
		if isAnswer := shape(m.Kind) == 5 && m.Kind != KindOffload; isAnswer && m.Bad == nil && (m.Status < 100 || m.Status > 999 || !backline.ValidFieldValue(m.Reason)) {
			t.Errorf("status %d %q got through", m.Status, m.Reason)
		}
	}
	for range 2 {
		if more, again := messages.Next(&m); more || !errors.Is(again, err) {
			t.Errorf("after %v Next = %v, %v", err, more, again)
		}
	}
}

// FuzzHandshake: the same for dictionaries of any values; and what can be read is written and read again the same.
func FuzzHandshake(f *testing.F) {
	for _, v := range readVectors[handshakeVector](f, "handshakes.json") {
		f.Add(mustHex(f, v.Marshal))
		f.Add(mustHex(f, v.Msgpack))
		f.Add(mustHex(f, v.Python))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		var kind Kind
		var fields map[string]any
		var err error
		withinBound(t, len(packet), func() { kind, fields, _, err = decodeHandshake(bytes.Clone(packet)) })
		_, _ = ReadHello(bytes.NewReader(packetOf(string(packet))), version)
		if err != nil || !isText(fields) {
			return
		}
		for _, c := range codecs {
			var again bytes.Buffer
			if err := writeHandshake(&again, c, kind, fields); err != nil {
				t.Fatalf("%s cannot write what was read: %v", c, err)
			}
			_, got, codec, err := decodeHandshake(again.Bytes()[4:])
			if err != nil || codec != c || !reflect.DeepEqual(got, fields) {
				t.Fatalf("%s: %v\n got %#v\nwant %#v", c, err, got, fields)
			}
		}
	})
}

// isText tells whether every str is UTF-8 and every float a number, since others are not written as they are.
func isText(v any) bool {
	switch v := v.(type) {
	case string:
		return utf8.ValidString(v)
	case float64:
		return !math.IsNaN(v)
	case []any:
		for _, e := range v {
			if !isText(e) {
				return false
			}
		}
	case map[string]any:
		for key, e := range v {
			if !isText(key) || !isText(e) {
				return false
			}
		}
	}
	return true
}

// FuzzReader: packets are the same however the stream is cut.
func FuzzReader(f *testing.F) {
	f.Add(append(packetOf("one"), packetOf("")...), uint8(1))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1}, uint8(3))
	f.Add([]byte{0, 0, 0, 4, 1, 2, 3}, uint8(2))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		whole, wholeErr := readPackets(t, stream, 0)
		for _, piece := range []int{1, int(size)} {
			got, err := readPackets(t, stream, piece)
			if !reflect.DeepEqual(got, whole) || err.Error() != wholeErr.Error() {
				t.Errorf("in pieces of %d: %q, %v\nwhole: %q, %v", piece, got, err, whole, wholeErr)
			}
		}
	})
}

func readPackets(t *testing.T, stream []byte, size int) (packets []string, err error) {
	t.Helper()
	withinBound(t, len(stream), func() {
		for r := NewReader(pieces(stream, size)); ; {
			var payload []byte
			if payload, err = r.Next(); err != nil {
				break
			}
			packets = append(packets, string(payload))
		}
	})
	if errors.Is(err, io.EOF) && len(packets) == 0 && len(stream) > 0 {
		t.Errorf("the end of %d bytes that are no packet counts as one between packets", len(stream))
	}
	return packets, err
}

// FuzzRequest: both codecs write a request that can be read back, the same one, whatever a parser let through.
func FuzzRequest(f *testing.F) {
	f.Add("/caf%C3%A9", "Cookie", "caf\xe9", "/shop", true)
	f.Add("/%FF", "X-A", "", "", false)
	f.Fuzz(func(t *testing.T, path, name, value, root string, wsgi bool) {
		if !isPrintable([]byte(path)) || path == "" || name == "" || !backline.Printable([]byte(name)) || len(name) > 60_000 {
			return // h1 lets no such request through
		}
		scope := browser()
		scope.Path, scope.RootPath = []byte(path), root
		for range 2 {
			field := scope.Fields[0]
			field.Name, field.Value = []byte(name), []byte(value)
			scope.Fields = append(scope.Fields, field)
		}
		request := &Request{Scope: scope, Length: -1, WSGI: wsgi, Default: &Defaults{}}
		read := [2]any{}
		for i, c := range codecs {
			encoded := c.AppendRequest(nil, request)
			cursor := cursor{codec: c, buf: encoded}
			if read[i] = cursor.any(0); cursor.err != nil || cursor.off != len(encoded) {
				t.Fatalf("%s: %v after %d of %d bytes", c, cursor.err, cursor.off, len(encoded))
			}
		}
		if utf8.ValidString(root) && !reflect.DeepEqual(read[0], read[1]) {
			t.Errorf("the codecs differ:\nmarshal %v\nmsgpack %v", read[0], read[1])
		}
	})
}
