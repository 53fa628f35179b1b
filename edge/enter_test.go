package edge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"backline/channel"
	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// enters accepts every socket and does what its messages say: "enter USER SINCE", where - is None and + is empty, or
// "leave". It answers with "did", after what that has brought; of a gap it says so.
func enters(w *worker, m dispatchtest.Message) {
	var actions []dispatchtest.Tuple
	switch wire.What(m.N) {
	case wire.EventConnect:
		actions = []dispatchtest.Tuple{{int(wire.DoAccept), nil, []dispatchtest.Tuple{}}}
	case wire.EventReceive:
		switch words := strings.Fields(string(m.Data)); words[0] {
		case "enter":
			actions = []dispatchtest.Tuple{{int(wire.DoEnter), "all", perhaps(words[1]), `{"a":1}`, perhaps(words[2])}}
		case "leave":
			actions = []dispatchtest.Tuple{{int(wire.DoLeave), "all"}}
		}
		actions = append(actions, dispatchtest.Tuple{int(wire.DoSend), "did"})
	case wire.EventGap:
		actions = []dispatchtest.Tuple{{int(wire.DoSend), "gap in " + string(m.Data)}}
	case wire.EventDisconnect:
	}
	w.Send(dispatchtest.Tuple{wire.KindActed, m.Stream, actions, nil})
}

// enlists does the same for an application that is called once for each socket.
func enlists(w *worker, m dispatchtest.Message) bool {
	switch m.Kind {
	case wire.KindReceive:
		switch words := strings.Fields(string(m.Data)); words[0] {
		case "enter":
			w.Send(dispatchtest.Tuple{
				wire.KindSocketEnter, m.Stream, "all", perhaps(words[1]), fmt.Sprint("socket", m.Stream), `{"a":1}`, perhaps(words[2]),
			})
		case "leave":
			w.Send(dispatchtest.Tuple{wire.KindSocketLeave, m.Stream, "all"})
		case "die":
			w.Die()
			return false
		}
		w.Send(dispatchtest.Tuple{wire.KindSend, m.Stream, "did"})
	case wire.KindGap:
		w.Send(dispatchtest.Tuple{wire.KindSend, m.Stream, "gap in " + string(m.Data)})
	}
	return true
}

func perhaps(word string) any {
	switch word {
	case "-":
		return nil
	case "+":
		return ""
	}
	return word
}

// entering is a server whose group "all" remembers n messages.
func entering(t *testing.T, kind string, n int) (*bundle, *channel.Hub) {
	t.Helper()
	hub := channel.New(channel.Options{})
	hub.Keep("all", channel.Retention{Size: n, Age: time.Hour})
	serve := enters
	if kind == "asgi" {
		serve = accepting(enlists)
	}
	return withWorker(t, kind, Options{Layer: hub}, dispatch.Options{QueueSize: 8}, serve), hub
}

// enteredBy runs a test with sockets of either kind.
func enteredBy(t *testing.T, test func(t *testing.T, kind string)) {
	t.Helper()
	for _, kind := range []string{"sockets", "asgi"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

func object(hub *channel.Hub, text string) channel.Position {
	p := &channel.Publication{Socket: &channel.SocketMessage{Data: fmt.Appendf(nil, `{"n":%q}`, text), Text: true}}
	hub.Publish("all", p)
	return p.Position
}

func (c *caller) expectSaid(want ...string) {
	c.t.Helper()
	for _, each := range want {
		if got := c.expectAny(); got != each {
			c.t.Fatalf("got %q, expected %q", got, each)
		}
	}
}

func TestEnterGivesWhatWasMissed(t *testing.T) {
	t.Parallel()
	enteredBy(t, givesWhatWasMissed)
}

func givesWhatWasMissed(t *testing.T, kind string) {
	b, hub := entering(t, kind, 3)
	placed := func(at channel.Position, text string) string {
		return fmt.Sprintf(`{"__position__":"%s","n":%q}`, at, text)
	}
	first := object(hub, "1")
	second, third := object(hub, "2"), object(hub, "3")
	c := b.dial()
	c.open("")
	c.say(frame(1, "enter - "+first.String()))
	c.expectSaid(placed(second, "2"), placed(third, "3"), "did")
	fourth := object(hub, "4")
	c.expectSaid(placed(fourth, "4"))
	c.say(frame(1, "enter - "+first.String()))
	c.expectSaid("did") // it is a member already: nothing comes twice
	c.say(frame(1, "leave"))
	c.expectSaid("did")
	fifth := object(hub, "5")
	c.say(frame(1, "enter - "+fourth.String()))
	c.expectSaid(placed(fifth, "5"), "did")

	late := b.dial()
	late.open("")
	late.say(frame(1, "enter - "+first.String()))
	late.expectSaid("did", "gap in all")
	sixth := object(hub, "6")
	late.expectSaid(placed(sixth, "6"))

	plain := b.dial()
	plain.open("")
	plain.say(frame(1, "enter ann -"))
	plain.expectSaid("did")
	object(hub, "7")
	plain.expectSaid(`{"n":"7"}`)
}

// TestEnterGivesMoreThanAWindow: of what was missed a client gets all or nothing, and then the bound holds again.
func TestEnterGivesMoreThanAWindow(t *testing.T) {
	t.Parallel()
	enteredBy(t, givesMoreThanAWindow)
}

func givesMoreThanAWindow(t *testing.T, kind string) {
	b, hub := entering(t, kind, 1000)
	const n = 60
	var want []string
	for i := range n {
		text := fmt.Sprint(i, strings.Repeat("x", 4000))
		want = append(want, fmt.Sprintf(`{"__position__":"%s","n":%q}`, object(hub, text), text))
	}
	c := b.dial()
	c.open("")
	c.say(frame(1, "enter - +"))
	c.expectSaid(append(want, "did")...)
}

func TestEnteredSocketsArePresent(t *testing.T) {
	t.Parallel()
	enteredBy(t, arePresent)
}

func arePresent(t *testing.T, kind string) {
	b, hub := entering(t, kind, 3)
	there := func(want ...string) {
		t.Helper()
		eventually(t, fmt.Sprintf("%v are there", want), func() bool {
			var got []string
			for _, user := range hub.Present("all", 0) {
				got = append(got, fmt.Sprintf("%s %d %s", user.Name, len(user.Sockets), user.Sockets[0].Info))
			}
			return slices.Equal(got, want)
		})
	}
	one, two := b.dial(), b.dial()
	for _, c := range []*caller{one, two} {
		c.open("")
		c.say(frame(1, "enter ann -"))
		c.expectSaid("did")
	}
	there(`ann 2 {"a":1}`)
	one.say(frame(1, "enter bob -"))
	one.expectSaid("did")
	there(`ann 1 {"a":1}`, `bob 1 {"a":1}`)
	one.say(frame(1, "leave"))
	one.expectSaid("did")
	there(`ann 1 {"a":1}`)
	one.say(frame(1, "enter bob +"))
	one.expectSaid("did")
	there(`ann 1 {"a":1}`, `bob 1 {"a":1}`)
	_ = two.Close()
	there(`bob 1 {"a":1}`)
	one.say(frame(8, "\x03\xe8"))
	there()
	if users, sockets := hub.CountPresent("all"); users != 0 || sockets != 0 {
		t.Errorf("%d users by %d sockets are counted", users, sockets)
	}
}

// TestEnteredSocketsGoWithTheirWorker: sockets of an application that is called once for each end with its worker, and
// are not present any more; another one may have the same name.
func TestEnteredSocketsGoWithTheirWorker(t *testing.T) {
	t.Parallel()
	b, hub := entering(t, "asgi", 3)
	there := func(want int) {
		t.Helper()
		eventually(t, fmt.Sprint(want, " sockets are there"), func() bool {
			_, sockets := hub.CountPresent("all")
			return sockets == want
		})
	}
	one, two := b.dial(), b.dial()
	for i, c := range []*caller{one, two} {
		c.open("")
		c.say(frame(1, fmt.Sprintf("enter user%d +", i)))
		c.expectSaid("did")
	}
	there(2)
	two.say(frame(1, "die"))
	there(0)
	if got := hub.Present("all", 0); len(got) != 0 {
		t.Errorf("%v are listed", got)
	}
}
