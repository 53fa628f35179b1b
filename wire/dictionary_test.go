package wire

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"
)

// Each case is what Python writes with marshal.dumps(value, 2), and what msgpack.packb makes of the same.
func TestTranscode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, marshal, msgpack, back string }{
		{"empty", "7b30", "df00000000", "7b30"},
		{"None, True, False", "7b" + u("a") + "4e" + u("b") + "54" + u("c") + "4630", "df00000003a161c0a162c3a163c2", ""},
		{"a small int", "7b" + u("n") + "69ffffffff30", "df00000001a16ed3ffffffffffffffff", ""},
		{"the largest int", "7b" + u("n") + "6c05000000ff7fff7fff7fff7f070030", "df00000001a16ed37fffffffffffffff", ""},
		{"the smallest int", "7b" + u("n") + "6cfbffffff0000000000000000080030", "df00000001a16ed38000000000000000", ""},
		{"a float", "7b" + u("f") + "67000000000000f83f30", "df00000001a166cb3ff8000000000000", ""},
		{"infinity", "7b" + u("f") + "67000000000000f0ff30", "df00000001a166cbfff0000000000000", ""},
		{"not a number", "7b" + u("f") + "67000000000000f87f30", "df00000001a166cb7ff8000000000000", ""},
		{"bytes are no str", "7b" + u("b") + "730100000061" + u("s") + u("a") + "30", "df00000002a162c40161a173a161", ""},
		{"an emoji", "7b" + u("😀") + u("\x00") + "30", "df00000001a4f09f9880a100", ""},
		{"a tuple", "7b" + u("t") + "28010000004e30", "df00000001a174dd00000001c0", "7b" + u("t") + "5b010000004e30"},
		{"nested", "7b" + u("d") + "7b" + u("l") + "5b000000003030", "df00000001a164df00000001a16cdd00000000", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			marshal, msgpack, back := mustHex(t, c.marshal), mustHex(t, c.msgpack), mustHex(t, c.back)
			if c.back == "" {
				back = marshal
			}
			if got, err := Transcode([]byte("before"), marshal, Marshal, Msgpack); err != nil || string(got) != "before"+string(msgpack) {
				t.Errorf("msgpack %x, %v; want %x", got, err, msgpack)
			}
			if got, err := Transcode(nil, msgpack, Msgpack, Marshal); err != nil || !bytes.Equal(got, back) {
				t.Errorf("marshal %x, %v; want %x", got, err, back)
			}
			if err := CheckDictionary(Marshal, marshal); err != nil {
				t.Error(err)
			}
			if err := CheckDictionary(Msgpack, msgpack); err != nil {
				t.Error(err)
			}
		})
	}
}

// u is marshal's str, in hexadecimal.
func u(s string) string {
	return "75" + hex.EncodeToString([]byte{byte(len(s)), 0, 0, 0}) + hex.EncodeToString([]byte(s))
}

func TestTranscodeRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("81a161", MaxDictionaryDepth+2) + "c0"
	for _, c := range []struct {
		name  string
		codec Codec
		value string
		want  string
	}{
		{"a list", Marshal, "5b00000000", "expected a dictionary"},
		{"nothing", Marshal, "", "in the middle of a value"},
		{"more behind it", Msgpack, "80c0", "1 bytes behind"},
		{"half a dictionary", Marshal, "7b" + u("a"), "in the middle of a value"},
		{"a pair too few", Msgpack, "82a161c0", "in the middle of a value"},
		{"a key of bytes", Msgpack, "81c40161c0", "key is bytes"},
		{"a key that is an int", Marshal, "7b69010000004e30", "expected bytes or str"},
		{"deep nesting", Msgpack, deep, "nested deeper"},
		{"a count that cannot be", Msgpack, "81a161ddffffffff", "in the middle of a value"},
		{"a dictionary that cannot be", Msgpack, "dfffffffff", "in the middle of a value"},
		{"half a surrogate pair", Marshal, "7b" + u("a") + "7503000000eda08030", "not Unicode"},
		{"half a surrogate pair as a key", Marshal, "7b7503000000eda0804e30", "not Unicode"},
		{"latin-1 in a type for ASCII", Marshal, "7b" + u("a") + "7a01e930", "not Unicode"},
		{"no UTF-8", Msgpack, "81a161a1ff", "not Unicode"},
		{"an int of 65 bits", Marshal, "7b" + u("a") + "6c050000000000000000000000100030", "does not fit 64 bits"},
		{"an int above the largest", Msgpack, "81a161cfffffffffffffffff", "does not fit 64 bits"},
		{"a reference", Marshal, "7b" + u("a") + "720000000030", "expected bytes or str"},
		{"an extension", Msgpack, "81a161d40100", "expected bytes or str"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			value := mustHex(t, c.value)
			err := CheckDictionary(c.codec, value)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("CheckDictionary: %v; want %q", err, c.want)
			}
			if _, again := Transcode(nil, value, c.codec, 1-c.codec); again == nil || again.Error() != err.Error() {
				t.Errorf("Transcode: %v; CheckDictionary: %v", again, err)
			}
		})
	}
}

// FuzzTranscode: whatever is accepted is the same in the other codec and back again, costs a small multiple of its size,
// and CheckDictionary agrees.
func FuzzTranscode(f *testing.F) {
	for _, v := range readVectors[handshakeVector](f, "handshakes.json") {
		f.Add(mustHex(f, v.Python), false)
	}
	f.Add(mustHex(f, "7b"+u("a")+"28010000004e"+u("b")+"6c05000000ff7fff7fff7fff7f070030"), false)
	f.Add(mustHex(f, "7b"+u("f")+"67000000000000f87f"+u("b")+"73010000006130"), false)
	f.Add(mustHex(f, "83a161c3a162c0a16381a16490"), true)
	f.Add(mustHex(f, "82a161ca3fc00000a162cf00000000ffffffff"), true)
	f.Fuzz(func(t *testing.T, value []byte, msgpack bool) {
		from, to := Marshal, Msgpack
		if msgpack {
			from, to = to, from
		}
		before := bytes.Clone(value)
		var there []byte
		var err error
		withinBound(t, len(value), func() { there, err = Transcode(nil, value, from, to) })
		if check := CheckDictionary(from, value); (check == nil) != (err == nil) {
			t.Fatalf("Transcode: %v; CheckDictionary: %v", err, check)
		}
		if !bytes.Equal(value, before) {
			t.Fatal("the source was written to")
		}
		if err != nil {
			return
		}
		if len(there) > 5*len(value) {
			t.Errorf("%d bytes became %d", len(value), len(there))
		}
		back, err := Transcode(nil, there, to, from)
		if err != nil {
			t.Fatalf("back: %v", err)
		}
		again, err := Transcode(nil, back, from, to)
		if err != nil || !bytes.Equal(again, there) {
			t.Fatalf("a second time: %x, %v; want %x", again, err, there)
		}
		if a, b := (&cursor{codec: from, buf: value}), (&cursor{codec: to, buf: there}); !same(a.any(0), b.any(0)) && a.err == nil {
			t.Errorf("%x became %x", value, there)
		}
	})
}

// same is equality in which not a number equals itself.
func same(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && math.Float64bits(a) == math.Float64bits(b) || ok && math.IsNaN(a) && math.IsNaN(b)
	case []any:
		b, ok := b.([]any)
		for i := range a {
			ok = ok && len(a) == len(b) && same(a[i], b[i])
		}
		return ok && len(a) == len(b)
	case map[string]any:
		b, ok := b.(map[string]any)
		for key := range a {
			ok = ok && same(a[key], b[key])
		}
		return ok && len(a) == len(b)
	}
	return reflect.DeepEqual(a, b)
}

func TestAppendPair(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		codec      Codec
		have, want string
	}{
		{Marshal, "7b30", "7b" + u("k") + u("v") + "30"},
		{Marshal, "7b" + u("a") + "4e30", "7b" + u("a") + "4e" + u("k") + u("v") + "30"},
		{Msgpack, "80", "df00000001a16ba176"},
		{Msgpack, "81a161c0", "df00000002a161c0a16ba176"},
		{Msgpack, "de0001a161c0", "df00000002a161c0a16ba176"},
		{Msgpack, "c0", "c0"},
		{Marshal, "", ""},
	} {
		if got := AppendPair(nil, c.codec, mustHex(t, c.have), "k", "v"); !bytes.Equal(got, mustHex(t, c.want)) {
			t.Errorf("%s: %x; want %s", c.have, got, c.want)
		}
	}
}

func BenchmarkTranscode(b *testing.B) {
	message := mustHex(b, "7b"+u("type")+u("chat.message")+u("text")+u("hello")+u("n")+"690100000030")
	var dst []byte
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = Transcode(dst[:0], message, Marshal, Msgpack); err != nil {
			b.Fatal(err)
		}
	}
}
