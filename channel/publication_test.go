package channel

import "testing"

func TestPlaced(t *testing.T) {
	t.Parallel()
	at := Position{Epoch: 0x1f, Offset: 9}
	for _, each := range []struct {
		name, data string
		text       bool
		position   Position
		want       string
	}{
		{"an object", `{"a":1}`, true, at, `{"__position__":"1f-9","a":1}`},
		{"an empty one", "{}", true, at, `{"__position__":"1f-9"}`},
		{"one with space (RFC 8259 2)", " \n{ \t} ", true, at, "{\"__position__\":\"1f-9\" \t} "},
		{"an array", "[{}]", true, at, "[{}]"},
		{"nothing", "", true, at, ""},
		{"binary", "{}", false, at, "{}"},
		{"what is not remembered", "{}", true, Position{Sequence: 5}, "{}"},
	} {
		p := &Publication{Socket: &SocketMessage{Data: []byte(each.data), Text: each.text}, Position: each.position}
		got := p.Placed()
		if string(got.Data) != each.want || got.Text != each.text {
			t.Errorf("%s: got %q, expected %q", each.name, got.Data, each.want)
		}
		if again := p.Placed(); again != got {
			t.Errorf("%s: made twice", each.name)
		}
		if string(p.Socket.Data) != each.data {
			t.Errorf("%s: what others get has become %q", each.name, p.Socket.Data)
		}
	}
	if got := (&Publication{Position: at}).Placed(); got != nil {
		t.Errorf("a publication that is not for sockets has become %q", got.Data)
	}
}
