package cluster

import "sync"

// inbox is what has come from the bus and waits for the loop. It implements bus.Handler.
type inbox struct {
	limit int

	mu    sync.Mutex
	items []arrival
	bytes int
	full  bool // something was dropped since the loop looked
	wake  chan struct{}
}

// arrival is a packet, or news of the bus.
type arrival struct {
	event event
	data  []byte
	why   error
}

type event uint8

const (
	packet event = iota
	up
	down
	lost
)

// Receive implements bus.Handler. The subject is not kept: packets say themselves what they are.
func (i *inbox) Receive(_ string, data []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.bytes+len(data) > i.limit {
		i.full = true
		return
	}
	i.bytes += len(data)
	i.put(arrival{event: packet, data: data})
}

// Up implements bus.Handler.
func (i *inbox) Up() { i.say(arrival{event: up}) }

// Down implements bus.Handler.
func (i *inbox) Down(why error) { i.say(arrival{event: down, why: why}) }

// Lost implements bus.Handler.
func (i *inbox) Lost() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.full = true
	i.rouse()
}

func (i *inbox) say(a arrival) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.put(a)
}

// packetCost is what a packet that waits takes besides its bytes.
const packetCost = 64

func (i *inbox) put(a arrival) {
	i.bytes += packetCost
	i.items = append(i.items, a)
	i.rouse()
}

func (i *inbox) rouse() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

func (i *inbox) take() []arrival {
	i.mu.Lock()
	defer i.mu.Unlock()
	items := i.items
	if i.full {
		items = append(items, arrival{event: lost})
	}
	i.items, i.bytes, i.full = nil, 0, false
	return items
}
