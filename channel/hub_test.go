package channel_test

import (
	"testing"

	"backline/channel"
	"backline/channel/channeltest"
)

func TestHub(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, func(*testing.T) channel.Layer { return channel.New(channel.Options{}) })
}
