package cluster_test

import (
	"flag"
	"os"
	"testing"

	"backline/channel/channeltest"
)

const nodes = 3

// TestMain runs more tests at once than there are processors: nearly all of their time they wait for a server that is
// silent.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == flag.Lookup("test.parallel").DefValue {
		if err := flag.Set("test.parallel", "16"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

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
