package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"backline"
)

// The vectors in testdata are read by python/tests/test_wire.py too. Strings that stand for bytes are latin-1, one
// character for a byte, or hexadecimal where they are called data, body, marshal or msgpack.

var codecs = []Codec{Marshal, Msgpack}

// requestVector is a request, and what either codec makes of it.
type requestVector struct {
	Name     string
	WSGI     bool
	Method   string
	Target   string
	Path     string
	Query    string
	Version  string
	Scheme   string
	RootPath string `json:"root_path"`
	Client   addrVector
	Server   addrVector
	TLS      *tlsVector // nil for a plain connection
	// WebSocket says that it is a handshake, Protocols which subprotocols the client offers.
	WebSocket bool
	Protocols []string
	Fields    [][2]string
	Body      string
	More      int
	Length    int64
	Default   struct {
		Scheme   string
		Server   addrVector
		RootPath string `json:"root_path"`
	}
	Expected any
	Marshal  string
	Msgpack  string
}

// tlsVector is a backline.TLS.
type tlsVector struct {
	Version     uint16
	CipherSuite uint16 `json:"cipher_suite"`
	Server      string
	Asked       bool
	Client      []string
	Name        string
	Mistrust    string
}

// addrVector is [host, port].
type addrVector backline.Addr

func (a *addrVector) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&a.Host, &a.Port})
}

func (v *requestVector) request() *Request {
	scope := &backline.Scope{
		Method: []byte(v.Method), Target: []byte(v.Target), Path: []byte(v.Path), Query: []byte(v.Query),
		Version: v.Version, Scheme: v.Scheme, RootPath: v.RootPath,
		Client: backline.Addr(v.Client), Server: backline.Addr(v.Server), WebSocket: v.WebSocket, Protocols: v.Protocols,
	}
	for _, f := range v.Fields {
		scope.Fields = append(scope.Fields, backline.Field{Name: fromLatin1(f[0]), Value: fromLatin1(f[1])})
	}
	if v.TLS != nil {
		about := backline.TLS(*v.TLS)
		scope.TLS = &about
	}
	body, _ := hex.DecodeString(v.Body)
	return &Request{Scope: scope, Body: body, More: v.More, Length: v.Length, WSGI: v.WSGI, Default: &Defaults{
		Scheme: v.Default.Scheme, Server: backline.Addr(v.Default.Server), RootPath: v.Default.RootPath,
	}}
}

func TestRequestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors[requestVector](t, "requests.json") {
		for i, want := range []string{v.Marshal, v.Msgpack} {
			if got := hex.EncodeToString(codecs[i].AppendRequest(nil, v.request())); got != want {
				t.Errorf("%s in %s:\n got %s\nwant %s", v.Name, codecs[i], got, want)
			}
		}
		encoded, err := hex.DecodeString(v.Msgpack)
		if err != nil {
			t.Fatal(err)
		}
		want := []any{int(KindRequest), 0, plainValue(v.Expected), mustHex(t, v.Body), v.More}
		if got := decodeMsgpack(t, encoded); !reflect.DeepEqual(got, any(want)) {
			t.Errorf("%s read by another msgpack:\n got %#v\nwant %#v", v.Name, got, want)
		}
	}
}

// answerVector is a packet from a worker as Python's marshal and another msgpack write it, and its messages.
type answerVector struct {
	Name     string
	Value    any
	Expected []struct {
		Kind   Kind
		Stream uint32
		Status int
		Reason string
		Fields [][2]string
		Data   string
		Text   bool
		N      int
		Offset int64
		Length int64
		Bad    string // a part of the error
	}
	Marshal string
	Msgpack string
}

func TestAnswerVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors[answerVector](t, "answers.json") {
		for i, packet := range []string{v.Marshal, v.Msgpack} {
			var messages Messages
			if err := messages.Open(mustHex(t, packet)); err != nil {
				t.Errorf("%s in %s: %v", v.Name, codecs[i], err)
				continue
			}
			for _, e := range v.Expected {
				want := Message{Kind: e.Kind, Stream: e.Stream, Status: e.Status, Reason: fromLatin1(e.Reason), Text: e.Text, N: e.N,
					Offset: e.Offset, Length: e.Length}
				want.Data = mustHex(t, e.Data)
				for _, f := range e.Fields {
					want.Fields = append(want.Fields, backline.Field{Name: fromLatin1(f[0]), Value: fromLatin1(f[1])})
				}
				var got Message
				if more, err := messages.Next(&got); !more || err != nil {
					t.Errorf("%s in %s: Next = %v, %v", v.Name, codecs[i], more, err)
				}
				compareMessages(t, v.Name+" in "+codecs[i].String(), got, want, e.Bad)
			}
			if more, err := messages.Next(&Message{}); more || err != nil {
				t.Errorf("%s in %s: after the last message Next = %v, %v", v.Name, codecs[i], more, err)
			}
		}
	}
}

// compareMessages takes an empty slice for a missing one.
func compareMessages(t *testing.T, name string, got, want Message, bad string) {
	t.Helper()
	switch {
	case bad == "" && got.Bad != nil, bad != "" && (got.Bad == nil || !strings.Contains(got.Bad.Error(), bad)):
		t.Errorf("%s: Bad = %v, want %q", name, got.Bad, bad)
	case got.Kind != want.Kind || got.Stream != want.Stream || got.Status != want.Status || got.Text != want.Text || got.N != want.N ||
		got.Offset != want.Offset || got.Length != want.Length,
		!bytes.Equal(got.Reason, want.Reason), !bytes.Equal(got.Data, want.Data),
		!slices.EqualFunc(got.Fields, want.Fields, sameField):
		t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
	}
}

func sameField(a, b backline.Field) bool {
	return bytes.Equal(a.Name, b.Name) && bytes.Equal(a.Value, b.Value)
}

// handshakeVector is a handshake's packet as this side writes it and as Python does.
type handshakeVector struct {
	Name    string
	Kind    Kind
	Value   any
	Marshal string
	Msgpack string
	Python  string // marshal.dumps([(kind, value)], 2)
}

func TestHandshakeVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors[handshakeVector](t, "handshakes.json") {
		value := plainMap(v.Value)
		for i, want := range []string{v.Marshal, v.Msgpack} {
			var packet bytes.Buffer
			if err := writeHandshake(&packet, codecs[i], v.Kind, value); err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(packet.Bytes()[4:]); got != want {
				t.Errorf("%s in %s:\n got %s\nwant %s", v.Name, codecs[i], got, want)
			}
		}
		if got := decodeMsgpack(t, mustHex(t, v.Msgpack)); !reflect.DeepEqual(got, any([]any{[]any{int(v.Kind), value}})) {
			t.Errorf("%s read by another msgpack: %#v", v.Name, got)
		}
		for _, packet := range []string{v.Marshal, v.Msgpack, v.Python} {
			kind, got, _, err := decodeHandshake(mustHex(t, packet))
			if err != nil || kind != v.Kind || !reflect.DeepEqual(got, value) {
				t.Errorf("%s: %d, %#v, %v\nwant %d, %#v", v.Name, kind, got, err, v.Kind, value)
			}
		}
	}
}

// badVector is bytes that no worker may send.
type badVector struct {
	Name   string
	Packet string
	Error  string // a part of it
}

func TestBadVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors[badVector](t, "bad.json") {
		var messages Messages
		err := messages.Open(mustHex(t, v.Packet))
		for more := err == nil; more; {
			more, err = messages.Next(&Message{})
		}
		if err == nil || !strings.Contains(err.Error(), v.Error) {
			t.Errorf("%s: %v, want %q", v.Name, err, v.Error)
		}
		for range 3 {
			if more, again := messages.Next(&Message{}); more || !errors.Is(again, err) {
				t.Errorf("%s: after the error Next = %v, %v, want the same error", v.Name, more, again)
			}
		}
	}
}

func readVectors[V any](t testing.TB, name string) []V {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	var vectors []V
	if err := decoder.Decode(&vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%s: %d vectors, %v", name, len(vectors), err)
	}
	return vectors
}

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fromLatin1(s string) []byte {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}

// plainValue makes of a vector's JSON what a decoder gives: {"$bytes": hex} is bytes, {"$tuple": [...]} is a list here.
func plainValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return int(n)
		}
		f, _ := v.Float64()
		return f
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plainValue(e)
		}
		return list
	case map[string]any:
		if encoded, ok := v["$bytes"].(string); ok {
			b, _ := hex.DecodeString(encoded)
			return b
		}
		if tuple, ok := v["$tuple"]; ok {
			return plainValue(tuple)
		}
		m := map[string]any{}
		for key, e := range v {
			m[key] = plainValue(e)
		}
		return m
	default:
		return v
	}
}

func plainMap(v any) map[string]any { return plainValue(v).(map[string]any) }

// decodeMsgpack reads with a library that knows nothing of this package, numbers as int.
func decodeMsgpack(t testing.TB, encoded []byte) any {
	t.Helper()
	var v any
	if err := msgpack.Unmarshal(encoded, &v); err != nil {
		t.Fatalf("another msgpack refuses it: %v\n%x", err, encoded)
	}
	return intsOf(v)
}

func intsOf(v any) any {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			v[i] = intsOf(e)
		}
	case map[string]any:
		for key, e := range v {
			v[key] = intsOf(e)
		}
	case []byte, string, bool, nil, float64:
	default:
		if n := reflect.ValueOf(v); n.CanInt() {
			return int(n.Int())
		} else if n.CanUint() {
			return int(n.Uint())
		}
	}
	return v
}

// jobVector is a job on its way to the worker that runs it, and its result on the way back.
type jobVector struct {
	Name      string
	Stream    uint32
	Function  string
	Arguments string
	Token     uint32
	Outcome   Outcome
	Data      string
	Value     any // the messages of the packet
	Marshal   string
	Msgpack   string
}

func TestJobVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors[jobVector](t, "jobs.json") {
		for i, want := range []string{v.Marshal, v.Msgpack} {
			var batch Batch
			batch.Reset(codecs[i])
			batch.AddRequest(codecs[i].AppendJob(nil, []byte(v.Function), mustHex(t, v.Arguments)), v.Stream)
			batch.AddResult(v.Token, v.Outcome, mustHex(t, v.Data))
			if got := hex.EncodeToString(batch.Packet()[4:]); got != want {
				t.Errorf("%s in %s:\n got %s\nwant %s", v.Name, codecs[i], got, want)
			}
		}
		if got := decodeMsgpack(t, mustHex(t, v.Msgpack)); !reflect.DeepEqual(got, plainValue(v.Value)) {
			t.Errorf("%s read by another msgpack:\n got %#v\nwant %#v", v.Name, got, plainValue(v.Value))
		}
	}
}
