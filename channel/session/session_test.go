package session_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"backline/channel"
	"backline/channel/session"
	"backline/wire"
)

// stranger is a process at the other end of a connection of its own.
type stranger struct {
	t     *testing.T
	conn  net.Conn
	ended chan error
}

func connect(t *testing.T, hub session.Hub, options session.Options) *stranger {
	t.Helper()
	ours, theirs := net.Pipe()
	s := &stranger{t, theirs, make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	go func() { s.ended <- session.Serve(ctx, ours, hub, "a test", options) }()
	t.Cleanup(func() {
		stop()
		_ = theirs.Close()
	})
	return s
}

// say sends one message of MessagePack, whose fields are texts and numbers below 128.
func (s *stranger) say(fields ...any) {
	s.t.Helper()
	payload := []byte{0x91, 0x90 | byte(len(fields))}
	for _, each := range fields {
		switch v := each.(type) {
		case int:
			payload = append(payload, byte(v))
		case string:
			payload = append(append(payload, 0xd9, byte(len(v))), v...)
		}
	}
	packet := append(binary.LittleEndian.AppendUint32(nil, uint32(len(payload))), payload...)
	if _, err := s.conn.Write(packet); err != nil {
		s.t.Fatal(err)
	}
}

// hears waits for a packet that has all of these.
func (s *stranger) hears(parts ...string) {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	payload, err := wire.NewReader(s.conn).Next()
	if err == nil {
		err = words(string(payload), parts...)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stranger) end() error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(10 * time.Second):
		s.t.Fatal("the session did not end")
		return nil
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	hub := channel.New(channel.Options{})
	one, two := connect(t, hub, session.Options{}), connect(t, hub, session.Options{})
	one.say(int(wire.KindAttach), 1, "one")
	one.hears("\x50") // KindVerdict
	two.say(int(wire.KindAttach), 1, "one")
	two.hears("\x50", "\x04") // VerdictTaken
	two.say(int(wire.KindAttach), 1, "two")
	two.hears("\x50")
	one.say(int(wire.KindJoin), 2, "room")
	one.hears("\x50")
	two.say(int(wire.KindPublish), 3, "room", "\x81\xa1a\x01")
	two.hears("\x50")
	one.hears("room", "\x81\xa1a\x01")
	two.say(int(wire.KindChannelSend), 4, "specific.one!0-x", "\x80", 0, 0)
	one.hears("specific.one!0-x", "\x80")
	one.say(int(wire.KindOutcome), 1, int(wire.VerdictFull), 100)
	two.hears("\x50", "\x64")
	// What a process that has gone was asked is answered for it.
	two.say(int(wire.KindChannelSend), 5, "specific.one!0-x", "\x80", 0, 0)
	one.hears("specific.one!0-x")
	_ = one.conn.Close()
	two.hears("\x50")
	if err := one.end(); err != nil && !strings.Contains(err.Error(), "EOF") {
		t.Error(err)
	}
}

func TestThoseWhoBreakTheProtocol(t *testing.T) {
	t.Parallel()
	for want, messages := range map[string][][]any{
		"before ATTACH":            {{int(wire.KindJoin), 1, "room"}},
		"the id":                   {{int(wire.KindAttach), 1, "a.b"}},
		"which a worker does not":  {{int(wire.KindVerdict), 1, 0, 0}},
		"none of a session's":      {{int(wire.KindAttach), 1, "a"}, {int(wire.KindAlive), 0}},
		"the verdict 9; expected":  {{int(wire.KindOutcome), 1, 9, 0}},
		"ATTACH came twice":        {{int(wire.KindAttach), 1, "a"}, {int(wire.KindAttach), 1, "b"}},
		"with 2 elements; expecte": {{int(wire.KindJoin), 1}},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s := connect(t, channel.New(channel.Options{}), session.Options{})
			for i, each := range messages {
				if s.say(each...); i < len(messages)-1 {
					s.hears("\x50")
				}
			}
			if err := s.end(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

func TestASlowProcessLosesAndIsCounted(t *testing.T) {
	t.Parallel()
	hub := channel.New(channel.Options{})
	var dropped atomic.Uint64
	slow := newPeer(t, hub, "slow", session.Options{Window: 1000, Dropped: &dropped})
	slow.say(named(wire.KindJoin, "room"))
	p := &channel.Publication{Message: channel.NewMessage(wire.Marshal, make([]byte, 600))}
	for i, want := range []bool{true, true, false} {
		if got := slow.s.Deliver("room", p); got != want {
			t.Errorf("delivery %d: %v", i, got)
		}
	}
	if dropped.Load() != 1 {
		t.Errorf("%d are counted", dropped.Load())
	}
	slow.s.Take("specific.slow!x", p.Message, func(err error) {
		if _, full := errors.AsType[*channel.FullError](err); !full {
			t.Errorf("its sender hears %v", err)
		}
	})
}

func TestWhatIsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	hub := channel.New(channel.Options{})
	p := newPeer(t, hub, "p", session.Options{MaxMessage: 10})
	m := named(wire.KindPublish, "room")
	m.Data = make([]byte, 11)
	if err := words(p.say(m), "i\x03\x00\x00\x00i\x0a\x00\x00\x00"); err != nil {
		t.Error(err)
	}
}

func TestMembershipsEndWithTheSession(t *testing.T) {
	t.Parallel()
	hub := channel.New(channel.Options{})
	p := newPeer(t, hub, "p", session.Options{})
	p.say(named(wire.KindJoin, "room"))
	p.out.batch.Reset(wire.Marshal)
	p.s.Close()
	hub.Publish("room", &channel.Publication{Message: channel.NewMessage(wire.Marshal, []byte("{0"))})
	if p.out.batch.Len() != 0 {
		t.Errorf("it still hears %q", p.out.batch.Packet())
	}
}

func TestWhatAProcessDropsIsCountedByGroup(t *testing.T) {
	t.Parallel()
	hub := channel.New(channel.Options{})
	s := connect(t, hub, session.Options{})
	s.say(int(wire.KindAttach), 1, "ab")
	s.hears("\x01")
	s.say(int(wire.KindDropped), 3, "room")
	s.say(int(wire.KindDropped), 2, "room")
	s.say(int(wire.KindJoin), 2, "other")
	s.hears("\xd2\x00\x00\x00\x02") // so that what was said before has been heard
	want := channel.Drop{Kind: "group", Name: "room", Count: 5}
	if got := hub.Drops(); len(got) != 1 || got[0] != want {
		t.Errorf("drops are %v, expected %v", got, want)
	}
}

// longway is a hub from which only short messages go to other servers.
type longway struct{ *channel.Hub }

func (longway) Send(_ string, _ *channel.Message, done func(error)) {
	done(fmt.Errorf("on the way: %w", &channel.TooLargeError{Limit: 100}))
}

func TestAMessageThatIsTooLongForTheBus(t *testing.T) {
	t.Parallel()
	s := connect(t, longway{channel.New(channel.Options{})}, session.Options{})
	s.say(int(wire.KindAttach), 1, "a")
	s.hears("P\xd2\x00\x00\x00\x01")
	s.say(int(wire.KindChannelSend), 2, "elsewhere.b!c", "\x80", 0, 0)
	s.hears("P\xd2\x00\x00\x00\x02\xd2\x00\x00\x00\x06\xd2\x00\x00\x00\x64")
}
