// Package bustest has a bus inside a test, whose nodes can be cut off from each other.
package bustest

import (
	"context"
	"errors"
	"sync"

	"backline/bus"
)

// Network joins buses.
type Network struct {
	mu    sync.Mutex
	buses []*Bus
}

// Bus is one of them.
type Bus struct {
	network *Network
	wanted  map[string]bool
	handler bus.Handler
	cut     bool
	deaf    bool
	lose    func(data []byte) bool
}

var errCut = errors.New("the cable is cut")

// Open gives another bus.
func (n *Network) Open() *Bus {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := &Bus{network: n, wanted: map[string]bool{}}
	n.buses = append(n.buses, b)
	return b
}

// Name implements bus.Bus.
func (b *Bus) Name() string { return "a network inside a test" }

// Run implements bus.Bus.
func (b *Bus) Run(ctx context.Context, h bus.Handler) error {
	b.network.mu.Lock()
	b.handler = h
	h.Up()
	b.network.mu.Unlock()
	<-ctx.Done()
	b.network.mu.Lock()
	defer b.network.mu.Unlock()
	b.handler = nil
	return nil
}

// Send implements bus.Bus.
func (b *Bus) Send(_ context.Context, batch []bus.Packet) (err error) {
	b.network.mu.Lock()
	defer b.network.mu.Unlock()
	for _, p := range batch {
		switch {
		case p.Do != bus.Publish:
			b.wanted[p.Subject] = p.Do == bus.Subscribe
		case b.cut:
			err = errCut
		default:
			for _, each := range b.network.buses {
				if each != b && !each.cut && !each.deaf && each.handler != nil && each.wanted[p.Subject] {
					if each.lose == nil || !each.lose(p.Data) {
						each.handler.Receive(p.Subject, p.Data)
					}
				}
			}
		}
	}
	return err
}

// Cut takes the cable away and says so, as a client that loses its server; Mend puts it back.
func (b *Bus) Cut() {
	b.network.mu.Lock()
	defer b.network.mu.Unlock()
	b.cut = true
	b.handler.Down(errCut)
}

// Mend ends Cut and Deafen.
func (b *Bus) Mend() {
	b.network.mu.Lock()
	defer b.network.mu.Unlock()
	cut := b.cut
	b.cut, b.deaf = false, false
	if cut {
		b.handler.Up()
	}
}

// Lose has those packets for this bus disappear of which lose says so. It is called with a lock held; nil: none.
func (b *Bus) Lose(lose func(data []byte) bool) {
	b.network.mu.Lock()
	defer b.network.mu.Unlock()
	b.lose = lose
}

// Deafen has packets for this bus disappear without a word.
func (b *Bus) Deafen() {
	b.network.mu.Lock()
	defer b.network.mu.Unlock()
	b.deaf = true
}
