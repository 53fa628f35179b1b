package cluster

import (
	"bytes"
	"testing"

	"backline/bus"
	"backline/channel"
	"backline/wire"
)

// FuzzReceive gives a node whatever a bus may bring.
func FuzzReceive(f *testing.F) {
	n := New(Options{Bus: silent{}}, channel.Options{})
	empty := []byte{0x80}
	p := &channel.Publication{
		Message: channel.NewMessage(wire.Msgpack, empty), Socket: &channel.SocketMessage{Data: []byte("x"), Text: true},
		Response: &channel.Response{Status: 200, Header: [][2]string{{"a", "b"}}, Body: []byte("y")}, Stream: []byte("z"),
		ID: "1", PrevID: "0", Meta: map[string]string{"k": "v"}, Filters: []string{"skip-self"}, Close: true,
	}
	publication, err := appendPublication(appendText(append(head(kindPublication, 7), 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0), "room"), p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(publication)
	f.Add(appendBeat(head(kindBeat, 7), beat{1, 0, 0, "seven", false}))
	f.Add(appendFill(head(kindFill, 7), fill{1, "room", true, [][]byte{publication}}))
	f.Add(appendWant(append(head(kindAsk, 7), 1, 1), want{"room", 1, 0}))
	f.Add(appendChange(append(head(kindNews, 7), 1), change{enters, place{"room", "ann", "1"}, "{}"}))
	f.Add(appendChange(append(head(kindState, 7), 1, 0, 1, 1), change{what: reads, at: place{group: "thumbs"}}))
	f.Add(append(head(kindPart, 7), 1, 0, 1, 0))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_ = n.receive(data) // whatever it says, it neither panics nor takes memory for what is not there
		n.outbox.take()
	})
}

// A publication arrives with every form that it has.
func TestPublicationsKeepTheirForms(t *testing.T) {
	t.Parallel()
	want := &channel.Publication{
		Socket: &channel.SocketMessage{Data: []byte("x"), Text: true}, Stream: []byte{}, ID: "1", PrevID: "0", Close: true, Refresh: true,
		Response: &channel.Response{Status: 404, Reason: "Gone", Header: [][2]string{{"a", "b"}, {"c", ""}}, Body: []byte("y")},
		Meta:     map[string]string{"k": "v"}, Filters: []string{"f"},
	}
	data, err := appendPublication(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{buf: data}
	got := r.publication()
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if again, _ := appendPublication(nil, got); !bytes.Equal(data, again) || got.Stream == nil || got.Response.Header[1][0] != "c" {
		t.Errorf("%+v", got)
	}
	for i := range data {
		r := &reader{buf: data[:i]}
		r.publication()
		if r.end() == nil {
			t.Errorf("the first %d of %d bytes are taken for a publication", i, len(data))
		}
	}
}

type silent struct{ bus.Bus }
