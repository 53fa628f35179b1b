package wire

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"testing"
)

// TestEventVectors: what an application does with a group of which it has to know more, and what it is told of one.
func TestEventVectors(t *testing.T) {
	t.Parallel()
	vectors := readVectors[channelVector](t, "events.json")
	if len(vectors) != 4 {
		t.Fatalf("%d vectors; expected one for each direction, of events and of sockets", len(vectors))
	}
	entered, gap := vectors[0], vectors[1]
	want := []Action{
		{Do: DoEnter, Group: []byte("room"), User: []byte("ann"), Info: []byte(`{"a":1}`), Since: []byte("1f-9")},
		{Do: DoEnter, Group: []byte("room"), Since: []byte{}},
		{Do: DoEnter, Group: []byte("room"), User: []byte("café")},
	}
	for _, packet := range []string{entered.Marshal, entered.Msgpack} {
		var messages Messages
		var m Message
		if err := messages.Open(mustHex(t, packet)); err != nil {
			t.Fatal(err)
		}
		if more, err := messages.Next(&m); !more || err != nil || m.Kind != KindActed || m.Stream != 7 {
			t.Fatalf("%s: %v, %v: kind %d of stream %d", entered.Name, more, err, m.Kind, m.Stream)
		}
		for i := range m.Actions {
			if len(m.Actions[i].Info) == 0 {
				m.Actions[i].Info = nil // empty either way
			}
		}
		if !reflect.DeepEqual(m.Actions, want) {
			t.Errorf("%s:\n got %q\nwant %q", entered.Name, fmt.Sprint(m.Actions), fmt.Sprint(want))
		}
	}
	for i, packet := range []string{gap.Marshal, gap.Msgpack} {
		buf := codecs[i].appendList(nil, 1)
		buf = codecs[i].AppendEvent(buf, &Event{What: EventGap, ID: "ID", State: []byte("s"), Group: "room"}, nil)
		if got := hex.EncodeToString(buf); got != packet {
			t.Errorf("%s in %s:\n got %s\nwant %s", gap.Name, codecs[i], got, packet)
		}
	}
	if got := decodeMsgpack(t, mustHex(t, gap.Msgpack)); !reflect.DeepEqual(got, plainValue(gap.Value)) {
		t.Errorf("%s read by another msgpack:\n got %#v\nwant %#v", gap.Name, got, plainValue(gap.Value))
	}
}

// TestEntryVectors: the same of a socket whose application is called once.
func TestEntryVectors(t *testing.T) {
	t.Parallel()
	vectors := readVectors[channelVector](t, "events.json")
	entered, gap := vectors[2], vectors[3]
	want := []string{`7 "room" "ann" "tab" "{\"a\":1}" "1f-9", user: true`, `8 "room" "" "" "" "", user: false`}
	for _, packet := range []string{entered.Marshal, entered.Msgpack} {
		var messages Messages
		var m Message
		if err := messages.Open(mustHex(t, packet)); err != nil {
			t.Fatal(err)
		}
		for _, want := range want {
			if more, err := messages.Next(&m); !more || err != nil || m.Kind != KindSocketEnter || len(m.Actions) != 1 {
				t.Fatalf("%s: %v, %v: kind %d with %d actions", entered.Name, more, err, m.Kind, len(m.Actions))
			}
			a := m.Actions[0]
			got := fmt.Sprintf("%d %q %q %q %q %q, user: %v", m.Stream, a.Group, a.User, m.Data, a.Info, a.Since, a.User != nil)
			if got != want || a.Do != DoEnter || a.Since == nil {
				t.Errorf("%s:\n got %s\nwant %s", entered.Name, got, want)
			}
		}
	}
	for i, packet := range []string{gap.Marshal, gap.Msgpack} {
		var batch Batch
		batch.Reset(codecs[i])
		batch.AddGap(5, "room")
		if got := hex.EncodeToString(batch.Packet()[4:]); got != packet {
			t.Errorf("%s in %s:\n got %s\nwant %s", gap.Name, codecs[i], got, packet)
		}
	}
}

// TestWrongActions: an action of another length says what was expected.
func TestWrongActions(t *testing.T) {
	t.Parallel()
	for _, c := range codecs {
		buf := c.appendInt(c.appendInt(c.appendTuple(c.appendList(nil, 1), 4), int(KindActed)), 7)
		buf = c.appendText(c.appendInt(c.appendTuple(c.appendList(buf, 1), 2), int(DoEnter)), "room")
		var messages Messages
		err := messages.Open(buf)
		if err == nil {
			_, err = messages.Next(&Message{})
		}
		if err == nil || err.Error() == "" {
			t.Errorf("in %s: an action without its last elements is taken: %v", c, err)
		}
	}
}
