package main

import (
	"context"
	"sync"
	"time"

	"backline/channel"
	"backline/config"
	"backline/grip"
)

// publisher gives what is published by GRIP's rules to those who hold answers: in order, and each id once.
type publisher struct {
	publish func(group string, p *channel.Publication)
	woken   chan struct{} // something waits that did not before

	// mu guards the sequence, and keeps the order in which it lets publications go. Members of groups take no lock of
	// the publisher's.
	mu       sync.Mutex
	sequence grip.Sequence
}

func newPublisher(c *config.Config, publish func(string, *channel.Publication)) *publisher {
	return &publisher{publish: publish, woken: make(chan struct{}, 1), sequence: grip.Sequence{
		Remember: c.PublishRemember, Wait: c.PublishWait, Pending: c.PublishPending, IDs: c.PublishIDs,
	}}
}

// take publishes items, now or when those have come that they follow.
func (p *publisher) take(items []grip.Item) {
	for _, each := range items {
		if each.Publication.ID == "" && each.Publication.PrevID == "" {
			p.publish(each.Channel, each.Publication) // most have neither, and wait for nobody's lock
			continue
		}
		p.mu.Lock()
		for _, ready := range p.sequence.Take(each, time.Now()) {
			p.publish(ready.Channel, ready.Publication)
		}
		_, waits := p.sequence.Due()
		p.mu.Unlock()
		if waits {
			select {
			case p.woken <- struct{}{}:
			default:
			}
		}
	}
}

// Run lets those go that have waited for long enough.
func (p *publisher) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.woken:
		case <-timer.C:
		}
		p.mu.Lock()
		for _, ready := range p.sequence.Expire(time.Now()) {
			p.publish(ready.Channel, ready.Publication)
		}
		due, waits := p.sequence.Due()
		p.mu.Unlock()
		if waits {
			timer.Reset(time.Until(due))
		}
	}
}
