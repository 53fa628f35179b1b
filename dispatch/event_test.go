package dispatch

import (
	"testing"
	"time"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// event makes one that is not submitted yet.
func (b *bundle) event(what wire.What) *client {
	c := b.request("EVENT", "/chat")
	c.ex.Event = &Event{What: what, ID: "id", State: []byte("s"), Data: []byte("hello"), Text: true}
	return c
}

// acted says that the handler has returned.
func (a *attached) acted(stream uint32) {
	a.Send(dispatchtest.Tuple{wire.KindActed, stream, []dispatchtest.Tuple{{int(wire.DoSend), "hi"}}, []byte("state")})
}

func TestEventsAreExchangesOfTheirOwn(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("sockets", 1)
	if b.WSGI() || !b.WebSockets() {
		t.Error("an application of sockets has WebSockets, and takes the bodies of others' requests as they come")
	}
	client := b.event(wire.EventReceive)
	b.Submit(client.ex)
	w.Send(dispatchtest.Tuple{wire.KindAct, w.Expect(wire.KindEvent).Stream, []dispatchtest.Tuple{}, nil})
	client.expect(" 0 ")
	w.acted(0)
	client.expect(" 0 state")
}

// TestEventsAreNotTurnedAway: the queue is full, and then they wait for longer than others may.
func TestEventsAreNotTurnedAway(t *testing.T) {
	b := setup(t, Options{QueueSize: 1, QueueTimeout: time.Second})
	b.submit("GET", "/first")
	refused := b.submit("GET", "/refused")
	refused.expect("fail queue-full")
	client := b.event(wire.EventReceive)
	b.Submit(client.ex)
	b.look(later(time.Minute))
	client.expectNothing()
	w := b.attach("sockets", 1)
	w.acted(w.Expect(wire.KindEvent).Stream)
	client.expect(" 0 state")
}

func TestAWorkerDiesWithAnEvent(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		what    wire.What
		options Options
		begun   byte
		act     bool
		again   int // how often another worker gets it after that
	}{
		"a message that was not begun":    {wire.EventReceive, Options{}, 0, false, 1},
		"a message":                       {wire.EventReceive, Options{}, 1, false, 0},
		"a message, to be repeated":       {wire.EventReceive, Options{Redeliver: true}, 1, false, 1},
		"a message of which some is done": {wire.EventReceive, Options{Redeliver: true}, 1, true, 0},
		"a disconnect":                    {wire.EventDisconnect, Options{}, 1, false, 1},
		"a connect":                       {wire.EventConnect, Options{}, 1, false, 0},
		"a connect, to be repeated":       {wire.EventConnect, Options{Retry: true}, 1, false, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := setup(t, c.options)
			client := b.event(c.what)
			for i := range c.again + 1 {
				w := b.attach("sockets", 4)
				if i == 0 {
					b.Submit(client.ex)
				}
				w.Expect(wire.KindEvent)
				b.locked(func() { w.marks[wire.BegunSize-1], w.marks[0] = 1, max(c.begun, byte(i)) })
				if c.act {
					w.Send(dispatchtest.Tuple{wire.KindAct, 0, []dispatchtest.Tuple{}, nil})
					client.expect(" 0 ")
				}
				w.Die()
				await(t, "the worker's end", w.link.Gone())
			}
			client.expect("fail worker") // and no sooner
		})
	}
}

// TestAClientThatGoesDoesNotEndItsEvent: what it has said holds.
func TestAClientThatGoesDoesNotEndItsEvent(t *testing.T) {
	b := setup(t, Options{})
	w := b.attach("sockets", 1)
	client := b.event(wire.EventReceive)
	b.Submit(client.ex)
	stream := w.Expect(wire.KindEvent).Stream
	client.ex.Disconnect()
	w.acted(stream)
	client.expect(" 0 state")
}

func TestWhatBelongsToNoEventEndsTheWorker(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]dispatchtest.Tuple{
		"an answer to an event":     {wire.KindAnswer, 0, 200, []dispatchtest.Tuple{}, []byte("a")},
		"an accept for an event":    {wire.KindAccept, 0, nil, []dispatchtest.Tuple{}},
		"an action that is none":    {wire.KindActed, 0, []dispatchtest.Tuple{{9, "a"}}, nil},
		"an action of another size": {wire.KindActed, 0, []dispatchtest.Tuple{{int(wire.DoSend), "a", "b"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Options{})
			w := b.attach("sockets", 1)
			client := b.event(wire.EventReceive)
			b.Submit(client.ex)
			w.Expect(wire.KindEvent)
			b.locked(func() { w.marks[wire.BegunSize-1], w.marks[0] = 1, 1 })
			w.Send(say)
			w.expectRetired(t, RetireProtocol)
			client.expect("fail worker")
		})
	}
}
