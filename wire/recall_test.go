package wire

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

func TestRecallVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors[channelVector](t, "recall.json") {
		message := mustHex(t, v.Message)
		for i, want := range []string{v.Marshal, v.Msgpack} {
			var batch Batch
			batch.Reset(codecs[i])
			batch.AddRecall(4, true, "1f-9", []Recalled{{"1f-8", message}, {"1f-9", message}})
			batch.AddRecall(5, false, "", nil)
			batch.AddPresent(6, 2, 3, []Attendant{
				{"ann", 1764370000123, []Seat{{"a", "{}"}, {"b", ""}}}, {"caf\u00e9", 0, nil},
			})
			if got := hex.EncodeToString(batch.Packet()[4:]); got != want {
				t.Errorf("%s in %s:\n got %s\nwant %s", v.Name, codecs[i], got, want)
			}
		}
		if got := decodeMsgpack(t, mustHex(t, v.Msgpack)); !reflect.DeepEqual(got, plainValue(v.Value)) {
			t.Errorf("%s read by another msgpack:\n got %#v\nwant %#v", v.Name, got, plainValue(v.Value))
		}
	}
}

// TestAsking: what a process asks about groups that remember, and about who is there, in either codec.
func TestAsking(t *testing.T) {
	t.Parallel()
	servers := "1f-9" + strings.Repeat(".3w5e11264sgsf-3w5e11264sgsf", 32) // a position of as many as it may have
	for _, c := range codecs {
		buf := c.appendList(nil, 5)
		begin := func(kind Kind, size int, texts ...string) {
			buf = c.appendInt(c.appendInt(c.appendTuple(buf, size), int(kind)), 7)
			for _, text := range texts {
				buf = c.appendText(buf, text)
			}
		}
		begin(KindKeep, 5, "room")
		buf = c.appendInt(c.appendInt(buf, 100), 60)
		begin(KindHistory, 4, "room", servers)
		begin(KindEnter, 6, "room", "ann", "a", "{}")
		begin(KindExit, 5, "room", "ann", "a")
		begin(KindPresence, 4, "room")
		buf = c.appendInt(buf, 10)
		var messages Messages
		if err := messages.Open(buf); err != nil {
			t.Fatal(err)
		}
		var got [][]any
		for m := (Message{}); ; {
			more, err := messages.Next(&m)
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
			seat := ""
			for _, field := range m.Fields {
				seat += string(field.Name) + "=" + string(field.Value)
			}
			got = append(got, []any{m.Kind, m.Stream, string(m.Reason), string(m.Data), seat, m.Status, m.N})
		}
		want := [][]any{
			{KindKeep, uint32(7), "room", "", "", 100, 60},
			{KindHistory, uint32(7), "room", servers, "", 0, 0},
			{KindEnter, uint32(7), "room", "ann", "a={}", 0, 0},
			{KindExit, uint32(7), "room", "ann", "a=", 0, 0},
			{KindPresence, uint32(7), "room", "", "", 0, 10},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v", c, got)
		}
	}
}
