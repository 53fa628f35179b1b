package grip_test

import (
	"fmt"
	"strings"
	"testing"

	"backline/channel"
	"backline/grip"
)

func goesOn(t *testing.T, last string, channels ...string) []grip.Place {
	t.Helper()
	in, err := grip.Read(200, nil, fields("Content-Type: text/event-stream; charset=utf-8", "Grip-Hold: stream",
		"Grip-Channel: "+strings.Join(channels, ", "), "backline-since: "+last), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(in.Answer.Header) != 1 {
		t.Errorf("the client sees %v", in.Answer.Header)
	}
	return in.Places()
}

func TestPlacesInOneText(t *testing.T) {
	t.Parallel()
	one, two := channel.Position{Epoch: 0x1f, Offset: 7, Origins: ".a-b"}, channel.Position{Epoch: 2, Offset: 9}
	for _, channels := range [][]string{{"a"}, {"a", "b"}, {"a", "b", "c", "d"}} {
		places := goesOn(t, "", channels...)
		for i := range places {
			if _, first, known := places[i].Position(); !first || !known {
				t.Errorf("%q begins with something seen", channels[i])
			}
		}
		if text := grip.AppendPlaces(nil, places); len(text) > 0 {
			t.Errorf("%q before anything was seen", text)
		}
		places[0].Move(one)
		if len(places) > 1 {
			places[1].Move(two)
		}
		if len(places) > 2 {
			places[2].Move(channel.Position{Sequence: 5})
		}
		text := string(grip.AppendPlaces(nil, places))
		back := goesOn(t, text, channels...)
		if from, first, known := back[0].Position(); first || !known || from != one {
			t.Errorf("%q: %+v", text, from)
		}
		if len(channels) == 1 {
			if text != one.String() {
				t.Errorf("of one group it is not its position, but %q", text)
			}
			continue
		}
		if from, _, known := back[1].Position(); !known || from != two {
			t.Errorf("%q: %+v", text, from)
		}
		if len(channels) > 2 {
			if _, first, known := back[2].Position(); first || known {
				t.Errorf("%q: a group without a history is known", text)
			}
			if _, first, known := back[3].Position(); !first || !known {
				t.Errorf("%q: something was seen of the last", text)
			}
		}
	}
}

func TestPlacesThatNobodyKnows(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"7", "?", "x", "x-y", "1f", ":", "a:b", strings.Repeat("1", 5000), "1f-7" + strings.Repeat(".1-1", 300)} {
		places := goesOn(t, last, "a")
		if _, first, known := places[0].Position(); known && !first {
			t.Errorf("%.20q is a position", last)
		}
	}
	for _, last := range []string{"1f-7", "1f-7,2-9", "a:1-1,what", strings.Repeat("a:1-1,", 1000)} {
		for _, place := range goesOn(t, last, "a", "b") {
			if from, first, known := place.Position(); known || first {
				t.Errorf("%.20q: %+v", last, from)
			}
		}
	}
}

// What has no room leaves out what other nodes need, and the text never is longer than it may be.
func TestPlacesAreBounded(t *testing.T) {
	t.Parallel()
	channels := make([]string, 64)
	for i := range channels {
		channels[i] = fmt.Sprint("channel-", i)
	}
	places := goesOn(t, "", channels...)
	at := channel.Position{Epoch: 1<<64 - 1, Offset: 1<<64 - 1, Origins: strings.Repeat(".3w5e11264sgsf-3w5e11264sgsf", 32)}
	for i := range places {
		places[i].Move(at)
	}
	text := grip.AppendPlaces([]byte("id: "), places)
	if len(text) > 4096+len("id: ") {
		t.Fatalf("%d bytes", len(text))
	}
	for _, place := range goesOn(t, string(text[len("id: "):]), channels...) {
		if from, _, known := place.Position(); !known || from != (channel.Position{Epoch: at.Epoch, Offset: at.Offset}) {
			t.Fatalf("%+v", from)
		}
	}
}

func TestWhatCannotGoOn(t *testing.T) {
	t.Parallel()
	stream := []string{"Content-Type: text/event-stream", "Grip-Hold: stream", "Grip-Channel: a", "Backline-Since: "}
	for want, lines := range map[string][]string{
		"is for streams of events":   {"Content-Type: text/plain", "Grip-Hold: stream", "Grip-Channel: a", "Backline-Since: "},
		"with Grip-Hold: stream":     {"Content-Type: text/event-stream", "Grip-Hold: response", "Grip-Channel: a", "Backline-Since: "},
		"beside a Grip-Link":         append(stream, "Grip-Link: </next>; rel=next"),
		"or a prev-id":               append(stream[:2:2], "Grip-Channel: a; prev-id=1", "Backline-Since: "),
		"at most 64 have room":       append(stream[:2:2], "Grip-Channel: a"+strings.Repeat(", a", 64), "Backline-Since: "),
		"an event cannot name":       {"Content-Type: application/grip-instruct", "Backline-Since: "},
		"is for streams of events: ": {"Backline-Since: 7", "Grip-Status: 200"},
	} {
		body := `{"hold": {"mode": "stream", "channels": [{"name": "a\nb"}]}, "response": {"headers": {"Content-Type": "text/event-stream"}}}`
		if _, err := grip.Read(200, nil, fields(lines...), []byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}
