package cluster_test

import (
	"testing"

	"backline/channel/channeltest"
)

const nodes = 3

func TestMemory(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, nodes, open(memory))
}

func TestNATS(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, nodes, open(overNATS(natsServer(t))))
}

func TestRedis(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, nodes, open(overRedis(redisServer(t))))
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, nodes, open(inProcess))
}
