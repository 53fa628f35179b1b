package channel_test

import (
	"context"
	"testing"

	"backline/channel"
	"backline/channel/channeltest"
)

func TestHub(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, 1, func(t *testing.T, _ int, options channel.Options) []channel.Layer {
		t.Helper()
		return []channel.Layer{running(t, options)}
	})
}

// running makes a hub that runs until the test ends.
func running(t testing.TB, options channel.Options) *channel.Hub {
	t.Helper()
	h := channel.New(options)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return h
}
