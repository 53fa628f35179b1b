package ratelimit

import (
	"net/netip"
	"sync"
	"testing"
)

func TestConnections(t *testing.T) {
	t.Parallel()
	c := NewConnections(2)
	other := netip.MustParseAddr("2001:db8::1")
	enter := func(a netip.Addr, times int) (entered int) {
		for range times {
			if c.Enter(a) {
				entered++
			}
		}
		return entered
	}
	if n := enter(alice, 3); n != 2 {
		t.Errorf("%d connections, expected two", n)
	}
	if !c.Enter(bob) || !c.Enter(other) || !c.Enter(other.Next()) || c.Enter(other.Next().Next()) {
		t.Error("expected one for another address, and two for a network of IPv6")
	}
	c.Leave(alice)
	if n := enter(alice, 2); n != 1 {
		t.Errorf("%d connections after one has left, expected one more", n)
	}
	for range 2 {
		c.Leave(alice)
		c.Leave(other)
	}
	c.Leave(bob)
	if n := remembered(c); n > 0 {
		t.Errorf("%d addresses are remembered after all have left", n)
	}
}

func remembered(c *Connections) (n int) {
	for i := range c.shards {
		n += len(c.shards[i].count)
	}
	return n
}

func TestConnectionsAtOnce(t *testing.T) {
	t.Parallel()
	c := NewConnections(100)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				if c.Enter(alice) {
					c.Leave(alice)
				}
			}
		})
	}
	group.Wait()
	if n := remembered(c); n > 0 {
		t.Errorf("%d addresses are remembered after all have left", n)
	}
}
