package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"backline"
)

const version = "1.2.3"

func handshake(t *testing.T, c Codec, kind Kind, fields map[string]any) []byte {
	t.Helper()
	var packet bytes.Buffer
	if err := writeHandshake(&packet, c, kind, fields); err != nil {
		t.Fatal(err)
	}
	return packet.Bytes()
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	for _, c := range codecs {
		stream := bytes.NewBuffer(handshake(t, c, KindHello,
			map[string]any{"protocol": ProtocolVersion, "package": version, "language": "python", "pid": 42, "new": "x"}))
		stream.Write(handshake(t, c, KindUp, map[string]any{"interface": "asgi", "loop": "asyncio", "concurrency": 1000,
			"interpreter": "CPython 3.13.0", "application": "a:b", "notes": []string{"one", "two"}}))
		stream.WriteString("requests")
		hello, err := ReadHello(stream, version)
		if want := (Hello{ProtocolVersion, version, "python", 42, c}); err != nil || hello != want {
			t.Errorf("%s: hello %+v, %v\nwant %+v", c, hello, err, want)
		}
		up, err := ReadUp(stream, hello.Codec)
		want := Up{"asgi", "asyncio", true, 1000, "CPython 3.13.0", "a:b", []string{"one", "two"}}
		if err != nil || !reflect.DeepEqual(up, want) {
			t.Errorf("%s: up %+v, %v\nwant %+v", c, up, err, want)
		}
		if rest := stream.String(); rest != "requests" {
			t.Errorf("%s: the handshake left %q of what follows it", c, rest)
		}
	}
}

func TestHelloSaysWhichSideToUpgrade(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		protocol       int
		language, pack string
		message, hint  string // "" is no error
	}{
		{ProtocolVersion, "python", version, "", ""},
		{ProtocolVersion, "javascript", "", "", ""},
		{ProtocolVersion, "javascript", "0.0.1", "", ""},
		{0, "javascript", "", "the worker is the older one", "upgrade the worker's package"},
		{ProtocolVersion + 1, "python", version, "the server is the older one", "upgrade the backline binary"},
		{ProtocolVersion, "python", "1.2.2", "the worker is the older one", "pip install --upgrade backline==1.2.3"},
		{ProtocolVersion, "python", "1.2", "the worker is the older one", "upgrade the worker's package"},
		{ProtocolVersion, "python", "", "the worker is the older one", "upgrade the worker's package"},
		{ProtocolVersion, "python", "1.2.3rc1", "the worker is the older one", "upgrade the worker's package"},
		{ProtocolVersion, "python", "1.2.10", "the server is the older one", "upgrade the backline binary"},
		{ProtocolVersion, "python", "1.2.3.1", "the server is the older one", "upgrade the backline binary"},
		{ProtocolVersion, "python", "2.0", "the server is the older one", "upgrade the backline binary"},
	} {
		_, err := ReadHello(bytes.NewReader(handshake(t, Msgpack, KindHello,
			map[string]any{"protocol": test.protocol, "package": test.pack, "language": test.language, "pid": 1})), version)
		if test.message == "" {
			if err != nil {
				t.Errorf("%+v: %v", test, err)
			}
			continue
		}
		fault, ok := errors.AsType[*backline.Error](err)
		if !ok || fault.Code != backline.CodeProtocol || !strings.Contains(fault.Message, test.message) ||
			!strings.Contains(fault.Hint, test.hint) {
			t.Errorf("%+v: %+v", test, err)
		}
	}
}

func TestHandshakeFaults(t *testing.T) {
	t.Parallel()
	up := map[string]any{"interface": "wsgi", "concurrency": 8}
	hello := handshake(t, Marshal, KindHello, map[string]any{"protocol": 1})
	two := append([]byte("[\x02\x00\x00\x00"), bytes.Repeat(hello[4+5:], 2)...)
	for name, test := range map[string]struct {
		packet []byte
		want   string
	}{
		"another kind":       {hello, "message kind 1 where 3 was expected"},
		"another codec":      {handshake(t, Msgpack, KindUp, up), "hello in marshal and goes on in msgpack"},
		"no interface":       {handshake(t, Marshal, KindUp, map[string]any{"concurrency": 8}), `interface ""`},
		"no concurrency":     {handshake(t, Marshal, KindUp, map[string]any{"interface": "wsgi"}), "concurrency 0"},
		"text":               {[]byte("Traceback (most recent call last)"), "file descriptor 3"},
		"two messages":       {packetOf(string(two)), "one message of a kind and a dictionary"},
		"no dictionary":      {packetOf("[\x01\x00\x00\x00)\x02i\x03\x00\x00\x00N"), "expected a dictionary"},
		"something after it": {packetOf(string(handshake(t, Marshal, KindUp, up)[4:]) + "x"), "nothing after it"},
		"an empty packet":    {packetOf(""), "in the middle of a value"},
	} {
		_, err := ReadUp(bytes.NewReader(test.packet), Marshal)
		fault, ok := errors.AsType[*backline.Error](err)
		if !ok || !strings.Contains(fault.Message+fault.Hint, test.want) {
			t.Errorf("%s: %+v, want %q", name, err, test.want)
		}
	}
	for cut := range hello {
		if _, err := ReadHello(bytes.NewReader(hello[:cut]), version); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v, want an end of file", cut, err)
		}
	}
}

func TestFailedIsTheApplications(t *testing.T) {
	t.Parallel()
	packet := handshake(t, Msgpack, KindFailed,
		map[string]any{"kind": "raised", "message": "it raised", "hint": "mend it", "traceback": "File x"})
	_, err := ReadUp(bytes.NewReader(packet), Msgpack)
	fault, ok := errors.AsType[*BootError](err)
	if want := (BootError{"raised", "it raised", "mend it", "File x"}); !ok || *fault != want || err.Error() != "it raised" {
		t.Errorf("got %+v, want %+v", err, want)
	}
}

func TestWelcome(t *testing.T) {
	t.Parallel()
	for _, c := range codecs {
		var packet bytes.Buffer
		settings := map[string]any{"app": "a:b", "threads": 8, "server": []any{"127.0.0.1", nil}}
		if err := WriteWelcome(&packet, c, version, settings); err != nil {
			t.Fatal(err)
		}
		kind, got, codec, err := decodeHandshake(packet.Bytes()[4:])
		want := map[string]any{"protocol": ProtocolVersion, "package": version, "settings": settings}
		if err != nil || kind != KindWelcome || codec != c || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d %v %v", c, kind, got, err)
		}
		packet.Reset()
		err = WriteWelcome(&packet, c, version, map[string]any{"outer": []any{map[string]any{"inner": struct{}{}}}})
		if err == nil || !strings.Contains(err.Error(), "inner: a struct {} cannot be sent") || packet.Len() != 0 {
			t.Errorf("%s: a setting of no known type: %v, %d bytes written", c, err, packet.Len())
		}
	}
}

func TestAnyValues(t *testing.T) {
	t.Parallel()
	for _, c := range codecs {
		for _, v := range []any{
			nil, true, false, 0, -1, math.MaxInt32, math.MinInt32, math.MaxInt32 + 1, math.MinInt32 - 1, 1 << 60, math.MaxInt64,
			math.MinInt64, 0.0, -1.5, math.Inf(1), "", "é€😀", strings.Repeat("x", 70_000), []byte{}, []byte("\x00\xff"),
			[]any{}, []any{[]any{nil}}, map[string]any{}, map[string]any{"a": map[string]any{"": 1}},
		} {
			encoded, err := c.appendAny(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			for cut := range min(len(encoded), 64) {
				cursor := cursor{codec: c, buf: encoded[:cut]}
				if cursor.any(0); cursor.err == nil {
					t.Errorf("%s: %.40v cut after %d bytes is no error", c, v, cut)
				}
			}
			cursor := cursor{codec: c, buf: encoded}
			if got := cursor.any(0); cursor.err != nil || cursor.off != len(encoded) || !reflect.DeepEqual(got, v) {
				t.Errorf("%s: %.40v came back as %.40v, %v", c, v, got, cursor.err)
			}
		}
	}
}

func TestAnyValuesAreBounded(t *testing.T) {
	t.Parallel()
	nested := func(depth int) []byte { return append(bytes.Repeat([]byte{')', 1}, depth), 'N') }
	many := binary.LittleEndian.AppendUint32([]byte{'['}, maxValues)
	for name, test := range map[string]struct {
		codec Codec
		in    []byte
		want  string
	}{
		"nested too deep":    {Marshal, nested(maxDepth + 1), "nested deeper"},
		"too many values":    {Marshal, append(many, bytes.Repeat([]byte{'N'}, maxValues)...), "more than"},
		"four billion pairs": {Msgpack, []byte{0xdf, 0xff, 0xff, 0xff, 0xff}, "in the middle"},
		"a key twice":        {Msgpack, []byte{0x82, 0xa1, 'a', 1, 0xa1, 'a', 2}, `"a" comes twice`},
		"a key of bytes":     {Msgpack, []byte{0x81, 0xc4, 0, 1}, "key is bytes"},
		"a key of a number":  {Marshal, []byte("{i\x01\x00\x00\x00N0"), "expected bytes or str"},
		"an extension":       {Msgpack, []byte{0xd4, 1, 2}, "expected bytes or str"},
		"digits of 16 bits":  {Marshal, []byte("l\x01\x00\x00\x00\xff\xff"), "64 bits"},
		"the longest int":    {Marshal, []byte("l\x00\x00\x00\x80"), "64 bits"},
		"2^64-1":             {Msgpack, append([]byte{0xcf}, bytes.Repeat([]byte{0xff}, 8)...), "64 bits"},
	} {
		cursor := cursor{codec: test.codec, buf: test.in}
		if cursor.any(0); cursor.err == nil || !strings.Contains(cursor.err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, cursor.err, test.want)
		}
	}
	allowed := cursor{codec: Marshal, buf: nested(maxDepth)}
	if allowed.any(0); allowed.err != nil {
		t.Errorf("%d levels: %v", maxDepth, allowed.err)
	}
}
