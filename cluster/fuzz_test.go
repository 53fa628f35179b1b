package cluster

import (
	"bytes"
	"reflect"
	"testing"
	"time"

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
		ID: "1", PrevID: "0", Meta: map[string]string{"k": "v"}, Filters: &channel.Filters{Stream: []string{"build-id"}}, Close: channel.FormStream,
	}
	publication, err := appendPublication(appendText(append(head(kindPublication, 7), 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0), "room"), p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(publication)
	f.Add(appendBeat(head(kindBeat, 7), beat{1, 0, 0, "seven", false}))
	f.Add(appendFill(head(kindFill, 7), fill{1, 0, "room", true, [][]byte{publication}}))
	f.Add(appendWant(append(head(kindAsk, 7), 1, 1), want{"room", 1, 0}))
	f.Add(appendChange(append(head(kindNews, 7), 1), change{what: enters, at: place{"room", "ann", "1"}, info: "{}"}))
	f.Add(appendChange(append(head(kindNews, 7), 1), change{what: enlists, at: place{"room", "thumbs", ""}, age: time.Second}))
	f.Add(appendChange(append(head(kindState, 7), 1, 0, 1, 1), change{what: reads, at: place{group: "thumbs"}}))
	f.Add(append(head(kindPart, 7), 1, 0, 1, 0))
	f.Add(appendText(append(head(kindRecall, 7), 1), "room"))
	p.Stamp, p.Position = channel.Stamp{Origin: 7, Number: 3}, channel.Position{Epoch: 1, Offset: 2, Origins: ".7-3"}
	f.Add(appendMemory(head(kindRecalled, 7), memory{1, "room", channel.Remembrance{
		Size: 1, Age: time.Minute, Marks: []channel.Mark{{Origin: 7, Floors: channel.FloorsAt(1), Top: 3}},
		Items: []channel.Remembered{{Publication: p, Age: time.Second}},
	}}, bus.MaxData))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_ = n.receive(data) // whatever it says, it neither panics nor takes memory for what is not there
		n.outbox.take()
	})
}

// What a node remembers arrives as it was; where there is no room for all of it the newest does, and is said to be no more.
func TestMemoriesKeepTheNewest(t *testing.T) {
	t.Parallel()
	want := memory{9, "room", channel.Remembrance{
		Size: 5, Age: time.Minute, Marks: []channel.Mark{{Origin: 7, Floors: channel.FloorsAt(1), Top: 9}},
	}}
	for number := uint64(2); number <= 4; number++ {
		want.Items = append(want.Items, channel.Remembered{Age: time.Second, Publication: &channel.Publication{
			Stream: make([]byte, maxBatch/4), Stamp: channel.Stamp{Origin: 7, Number: number},
			Position: channel.Position{Epoch: 3, Offset: number, Origins: ".7-a"},
		}})
	}
	for most, first := range map[int]uint64{2 * maxBatch: 2, maxBatch * 9 / 8: 3, 0: 5} {
		r := &reader{buf: appendMemory(nil, want, most)}
		got, err := r.memory()
		if err != nil {
			t.Fatal(err)
		}
		floors := channel.FloorsAt(1)
		floors[channel.Streams] = first - 1 // of the other kinds nothing is left out
		if got.Size != 5 || len(got.Items) != int(5-first) || got.Marks[0] != (channel.Mark{Origin: 7, Floors: floors, Top: 9}) {
			t.Errorf("of %d bytes: %d publications, %+v", most, len(got.Items), got.Marks)
		}
		for i, each := range got.Items {
			if p := each.Publication; p.Stamp.Number != first+uint64(i) || p.Position.Origins != ".7-a" || each.Age != time.Second {
				t.Errorf("publication %d: %+v", i, each)
			}
		}
	}
}

// A publication arrives with every form that it has.
func TestPublicationsKeepTheirForms(t *testing.T) {
	t.Parallel()
	want := &channel.Publication{
		Socket: &channel.SocketMessage{Data: []byte("x"), Text: true}, Stream: []byte{}, ID: "1", PrevID: "0", Close: channel.FormStream,
		Refresh: channel.FormResponse | channel.FormSocket, Farewell: &channel.Farewell{Code: 4001, Reason: "over"},
		Response: &channel.Response{Status: 404, Reason: "Gone", Header: [][2]string{{"a", "b"}, {"c", ""}}, Body: []byte("y"), Patches: true},
		Meta:     map[string]string{"k": "v"}, Filters: &channel.Filters{Response: []string{"f", "g"}, Socket: []string{"h"}},
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
	if again, _ := appendPublication(nil, got); !bytes.Equal(data, again) || got.Stream == nil || got.Response.Header[1][0] != "c" ||
		got.Response.Status != 404 || !got.Response.Patches || got.Close != want.Close || got.Refresh != want.Refresh || *got.Farewell != *want.Farewell ||
		!reflect.DeepEqual(got.Filters, want.Filters) {
		t.Errorf("%+v", got)
	}
	for _, control := range []string{"", "ping", "pong"} {
		data, err := appendPublication(nil, &channel.Publication{Socket: &channel.SocketMessage{Data: []byte("x"), Control: control}})
		if got := (&reader{buf: data}).publication().Socket; err != nil || got.Control != control || got.Text || string(got.Data) != "x" {
			t.Errorf("%q: %q %t %q %v", control, got.Control, got.Text, got.Data, err)
		}
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
