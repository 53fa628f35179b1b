package edge

import (
	"sync/atomic"
	"time"
)

// idleness is since when a connection that carries many requests has carried none.
type idleness struct {
	requests atomic.Int64
	since    atomic.Int64 // by the server's clock
}

func (i *idleness) begin(now int64) { i.since.Store(now) }

// interrupt is called when a request begins, resume when it ends.
func (i *idleness) interrupt() { i.requests.Add(1) }

func (i *idleness) resume(s *Server) {
	i.since.Store(s.clock.Load())
	i.requests.Add(-1)
}

// longer tells whether it has idled for age at least. A request may begin in the same moment; who closes idle
// connections has to live with that, as with every request that is still on its way.
func (i *idleness) longer(now int64, age time.Duration) bool {
	return i.requests.Load() == 0 && time.Duration(now-i.since.Load()) >= age
}
