package cluster

import (
	"context"
	"sync"
	"time"

	"backline/bus"
)

// outbox is what waits to leave this node. Whoever puts something in never waits: what has no room, or comes while the
// bus is away, is lost to the bus (the ring may have it).
type outbox struct {
	limit int
	from  nodeID

	mu      sync.Mutex
	packets []bus.Packet
	bytes   int
	up      bool
	losses  uint64 // how often something was lost: others ask again when they see it grow
	dropped uint64
	split   uint64 // packets that went in parts

	wake chan struct{}
}

// batchAtMost is how many packets go to the bus at once.
const batchAtMost = 256

func (o *outbox) publish(subject string, data []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.up || o.bytes+len(data) > o.limit {
		o.losses++
		o.dropped++
		return false
	}
	if len(data) > maxPart {
		o.split++
	}
	for _, part := range split(data, o.from, o.split) {
		o.packets = append(o.packets, bus.Packet{Do: bus.Publish, Subject: subject, Data: part})
		o.bytes += len(part)
	}
	o.rouse()
	return true
}

// subscribe changes a subscription, whatever the state of the bus, which remembers it.
func (o *outbox) subscribe(subject string, begins bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	do := bus.Unsubscribe
	if begins {
		do = bus.Subscribe
	}
	o.packets = append(o.packets, bus.Packet{Do: do, Subject: subject})
	o.rouse()
}

func (o *outbox) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) state(up bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.up = up
	if !up {
		o.losses++
	}
}

// lost notes that packets did not arrive.
func (o *outbox) lost(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.losses++
	o.dropped += uint64(n)
}

func (o *outbox) counts() (losses, dropped uint64, bytes int, up bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.losses, o.dropped, o.bytes, o.up
}

func (o *outbox) isUp() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.up
}

func (o *outbox) take() []bus.Packet {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, size := 0, 0
	for n < min(len(o.packets), batchAtMost) && size < 2*bus.MaxData {
		size += len(o.packets[n].Data)
		n++
	}
	batch := o.packets[:n:n]
	o.packets = o.packets[n:]
	for _, p := range batch {
		o.bytes -= len(p.Data)
	}
	if len(o.packets) == 0 {
		o.packets = nil
	}
	return batch
}

// run sends until the context ends, and then what is left, which is how a node says that it leaves.
func (o *outbox) run(ctx context.Context, b bus.Bus) {
	for {
		batch := o.take()
		if len(batch) == 0 {
			select {
			case <-o.wake:
				continue
			case <-ctx.Done():
				o.last(b)
				return
			}
		}
		if err := b.Send(ctx, batch); err != nil {
			o.lost(len(batch))
		}
	}
}

// lastWords is how long a node that ends tries to say so.
const lastWords = 500 * time.Millisecond

func (o *outbox) last(b bus.Bus) {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	for batch := o.take(); len(batch) > 0; batch = o.take() {
		if b.Send(ctx, batch) != nil {
			return
		}
	}
}
