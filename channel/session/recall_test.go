package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"backline"
	"backline/channel"
	"backline/channel/session"
	"backline/wire"
)

// output collects what a session writes, as one packet.
type output struct{ batch wire.Batch }

func (o *output) Add(limit int, add func(*wire.Batch)) bool {
	if limit > 0 && o.batch.Size() > limit {
		return false
	}
	add(&o.batch)
	return true
}

// peer is a process that speaks with a hub.
type peer struct {
	t   *testing.T
	s   *session.Session
	out *output
}

func newPeer(t *testing.T, hub *channel.Hub, id string, options session.Options) *peer {
	t.Helper()
	out := &output{}
	out.batch.Reset(wire.Marshal)
	p := &peer{t, session.New(hub, id, wire.Marshal, out, options), out}
	p.say(&wire.Message{Kind: wire.KindAttach, Reason: []byte(id)})
	t.Cleanup(p.s.Close)
	return p
}

// say hands a message to the session and gives what it answers with, as text: names and numbers in their order.
func (p *peer) say(m *wire.Message) string {
	p.t.Helper()
	m.Stream = 7
	p.out.batch.Reset(wire.Marshal)
	if err := p.s.Handle(m); err != nil {
		p.t.Fatal(err)
	}
	return string(p.out.batch.Packet())
}

func words(answer string, want ...string) error {
	for _, each := range want {
		_, rest, found := strings.Cut(answer, each)
		if !found {
			return fmt.Errorf("%q: %q is missing", answer, each)
		}
		answer = rest
	}
	return nil
}

func named(kind wire.Kind, group string) *wire.Message {
	return &wire.Message{Kind: kind, Reason: []byte(group)}
}

func TestHistoryOverASession(t *testing.T) {
	t.Parallel()
	hub := channel.New(channel.Options{})
	p := newPeer(t, hub, "p", session.Options{Window: 4000})
	keep := named(wire.KindKeep, "room")
	keep.Status, keep.N = 2, 60
	p.say(keep)
	for _, text := range []string{"one", "two", "three"} {
		m := named(wire.KindPublish, "room")
		m.Data = wire.AppendDictionary(nil, wire.Marshal, map[string]string{"text": text})
		p.say(m)
	}
	hub.Publish("room", &channel.Publication{Stream: []byte("not for processes")})
	all := hub.Since("room", channel.Messages, channel.Position{})
	if len(all.Missed) != 2 {
		t.Fatalf("the group remembers %d publications", len(all.Missed))
	}
	ask := func(position string) string {
		m := named(wire.KindHistory, "room")
		m.Data = []byte(position)
		return p.say(m)
	}
	if err := words(ask(""), all.Now.String(), all.Missed[0].Position.String(), "three"); err != nil {
		t.Error(err)
	}
	for _, position := range []string{"1-1", "nonsense", all.Now.String() + "0", "-", "\xff", strings.Repeat(".1-1", 5000)} {
		if answer := ask(position); strings.Contains(answer, "three") {
			t.Errorf("%q: a part of what was missed came", position)
		}
	}
	complete := "i\x01\x00\x00\x00"
	if err := words(ask(all.Missed[0].Position.String()), complete, all.Now.String()); err != nil {
		t.Error(err)
	}
	servers := all.Missed[0].Position.String() + strings.Repeat(".3w5e11264sgsf-3w5e11264sgsf", 32)
	if err := words(ask(servers), complete, all.Now.String()); err != nil {
		t.Errorf("a position of as many servers as it may have, %d bytes: %v", len(servers), err)
	}
	m := named(wire.KindPublish, "room")
	m.Data = wire.AppendDictionary(nil, wire.Marshal, map[string]string{"text": strings.Repeat("x", 5000)})
	p.say(m)
	if answer := ask(all.Now.String()); strings.Contains(answer, complete+"u") || len(answer) > 1000 {
		t.Errorf("more than the window has room for: %d bytes", len(answer))
	}
}

func TestPresenceOverASession(t *testing.T) {
	t.Parallel()
	hub := channel.New(channel.Options{})
	p, other := newPeer(t, hub, "p", session.Options{}), newPeer(t, hub, "other", session.Options{})
	enter := func(p *peer, user, socket, info string) string {
		m := named(wire.KindEnter, "room")
		m.Data = []byte(user)
		m.Fields = append(m.Fields, field(socket, info))
		return p.say(m)
	}
	enter(p, "ann", "a1", `{"tab":1}`)
	enter(other, "ann", "a2", "")
	enter(other, "bob", "b1", "")
	if err := words(p.say(named(wire.KindPresence, "room")),
		"i\x02\x00\x00\x00i\x03\x00\x00\x00", "ann", "a1", `{"tab":1}`, "a2", "bob", "b1"); err != nil {
		t.Error(err)
	}
	exit := named(wire.KindExit, "room")
	exit.Data = []byte("ann")
	exit.Fields = append(exit.Fields, field("a1", ""))
	p.say(exit)
	other.s.Close()
	if err := words(p.say(named(wire.KindPresence, "room")), "i\x00\x00\x00\x00i\x00\x00\x00\x00"); err != nil {
		t.Error(err)
	}
}

// TestTermsOverASession: a process's own capacity holds for what it sends.
func TestTermsOverASession(t *testing.T) {
	t.Parallel()
	hub := channel.New(channel.Options{})
	p := newPeer(t, hub, "p", session.Options{})
	send := named(wire.KindChannelSend, "thumbs")
	send.Data = wire.AppendDictionary(nil, wire.Marshal, map[string]string{"text": "x"})
	send.Status = 1
	p.say(send)
	if err := words(p.say(send), "i\x01\x00\x00\x00i\x01\x00\x00\x00"); err != nil { // full, with 1
		t.Error(err)
	}
}

// TestPositionsOfWhatIsDelivered: messages of a group that remembers say where they stand, so that a client can come
// back with that.
func TestPositionsOfWhatIsDelivered(t *testing.T) {
	t.Parallel()
	hub := channel.New(channel.Options{})
	p := newPeer(t, hub, "p", session.Options{})
	p.say(named(wire.KindJoin, "room"))
	publish := named(wire.KindPublish, "room")
	publish.Data = wire.AppendDictionary(nil, wire.Marshal, map[string]string{"text": "x"})
	if answer := p.say(publish); strings.Contains(answer, "__position__") {
		t.Errorf("a group that remembers nothing: %q", answer)
	}
	hub.Keep("room", channel.Retention{Size: 1, Age: time.Minute})
	if err := words(p.say(publish), "__position__", hub.Since("room", channel.Messages, channel.Position{}).Now.String()); err != nil {
		t.Error(err)
	}
}

func field(name, value string) backline.Field {
	return backline.Field{Name: []byte(name), Value: []byte(value)}
}
