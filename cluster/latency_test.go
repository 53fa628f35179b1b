package cluster_test

import (
	"slices"
	"testing"
	"time"

	"backline/channel"
)

// bell is a member that rings.
type bell chan struct{}

// Deliver implements channel.Member.
func (b bell) Deliver(string, *channel.Publication) bool {
	b <- struct{}{}
	return true
}

// A message to a group reaches a member on another node. The log has how long that takes, one after the other.
func TestLatency(t *testing.T) {
	for name, m := range map[string]medium{
		"Memory": memory, "NATS": overNATS(natsServer(t)), "Redis": overRedis(redisServer(t)), "Embedded": inProcess,
	} {
		t.Run(name, func(t *testing.T) {
			buses, prefix := m(t, 2)
			nodes := run(t, buses, prefix, channel.Options{})
			joined(t, nodes)
			rings := make(bell, 1)
			nodes[1].Join("room", rings)
			took := make([]time.Duration, 300)
			for i := range took {
				began := time.Now()
				say(nodes[0], "1")
				<-rings
				took[i] = time.Since(began)
			}
			slices.Sort(took)
			t.Logf(name+": half of them within %v, 99 of 100 within %v", took[len(took)/2], took[len(took)*99/100])
		})
	}
}
