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
