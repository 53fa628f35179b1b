package session_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"backline/channel"
	"backline/channel/session"
	"backline/wire"
)

// apart is a hub that is cut off from the others.
type apart struct{ *channel.Hub }

func (apart) Send(_ string, _ *channel.Message, done func(error)) { done(channel.ErrAway) }

// TestAProcessThatIsOutOfReach: the sender is told that, and not that its message is wrong.
func TestAProcessThatIsOutOfReach(t *testing.T) {
	t.Parallel()
	one := connect(t, apart{channel.New(channel.Options{})}, session.Options{})
	one.say(int(wire.KindAttach), 1, "one")
	one.hears("\x50")
	one.say(int(wire.KindChannelSend), 2, "specific.two!0-x", "\x80", 0, 0)
	one.hears("\x50\xd2\x00\x00\x00\x02\xd2\x00\x00\x00\x05")
}

// TestPublicationsThatAreRefused: the process hears no more than that, so the log has the reason, and not each time.
func TestPublicationsThatAreRefused(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var taken []string
	options := session.Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Publish: func(items []byte) error {
		if string(items) == "bad" {
			return errors.New("the code is 99")
		}
		taken = append(taken, string(items))
		return nil
	}}
	p := newPeer(t, channel.New(channel.Options{}), "web1", options)
	say := func(items string) string { return p.say(&wire.Message{Kind: wire.KindItems, Data: []byte(items)}) }
	refused := say("bad")
	if done := say("good"); done == refused || len(taken) != 1 {
		t.Errorf("the process cannot tell %q from %q; %q was taken", done, refused, taken)
	}
	if again := say("bad"); again != refused {
		t.Errorf("%q, and then %q", refused, again)
	}
	if text := log.String(); strings.Count(text, "a publication is refused") != 1 || words(text, "process=web1", "the code is 99") != nil {
		t.Errorf("the log says %q", text)
	}
}
