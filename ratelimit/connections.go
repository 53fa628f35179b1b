package ratelimit

import (
	"hash/maphash"
	"net/netip"
	"sync"
)

// Connections limits how many connections each address has at once. Its methods may be called by any goroutine. It
// remembers only addresses that are connected, so what bounds all connections bounds its memory.
type Connections struct {
	most   int
	seed   maphash.Seed
	shards [shards]counts
}

type counts struct {
	mu    sync.Mutex
	count map[key]int
}

// NewConnections makes a limit of most connections for each address.
func NewConnections(most int) *Connections {
	c := &Connections{most: most, seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].count = map[key]int{}
	}
	return c
}

// Enter counts a connection in, unless its address has too many. Who was let in calls Leave once.
func (c *Connections) Enter(a netip.Addr) bool {
	k := keyOf(a)
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count[k] >= c.most {
		return false
	}
	s.count[k]++
	return true
}

// Leave counts a connection out.
func (c *Connections) Leave(a netip.Addr) {
	k := keyOf(a)
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count[k]--; s.count[k] <= 0 {
		delete(s.count, k)
	}
}

func (c *Connections) shard(k key) *counts { return &c.shards[spread(c.seed, k)%shards] }
