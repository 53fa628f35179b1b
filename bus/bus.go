// Package bus carries packets between the nodes of a cluster: to everybody who has subscribed to a subject, at most
// once, in the order of the publisher, without a promise. What is lost is found and repaired by those who use it
// (cluster). The folders below have one implementation each; this package has what they share.
package bus

import (
	"context"
	"net/url"
	"strings"
)

// Bus is a way to the other nodes.
type Bus interface {
	// Run connects, and connects again, until the context ends. It tells h what happens; h is told one thing at a time.
	Run(ctx context.Context, h Handler) error
	// Send publishes packets and changes subscriptions, in order. It may wait for a slow server, and is called by one
	// goroutine. An error means that some of it may be lost; subscriptions are kept all the same, and made when the bus
	// is back.
	Send(ctx context.Context, batch []Packet) error
	// Name says which bus it is, for people: without passwords.
	Name() string
}

// Packet is something for a bus to do.
type Packet struct {
	Do      Do
	Subject string // of A-Z, a-z, 0-9, ".", "-" and "_"
	Data    []byte
}

// Do is what a packet asks for.
type Do uint8

// What a bus can do.
const (
	Publish Do = iota
	Subscribe
	Unsubscribe
)

// Handler hears from a bus. Its methods never block for long.
type Handler interface {
	// Receive gets a packet that somebody published, perhaps this node itself. It keeps data.
	Receive(subject string, data []byte)
	// Up says that the bus carries packets: at first, and after every interruption, in which some may have been lost. All
	// subscriptions are made by then.
	Up()
	// Down says that it does not, and why; the bus tries again.
	Down(why error)
	// Lost says that packets were lost though the bus was up, since this node was too slow to read them.
	Lost()
}

// MaxData is how large a packet may be: what NATS takes when it is not told otherwise.
const MaxData = 1 << 20

// Redact takes passwords out of addresses that are separated by commas.
func Redact(addresses string) string {
	all := strings.Split(addresses, ",")
	for i, each := range all {
		if u, err := url.Parse(strings.TrimSpace(each)); err == nil {
			all[i] = u.Redacted()
		} else {
			all[i] = "an address that cannot be read"
		}
	}
	return strings.Join(all, ",")
}
