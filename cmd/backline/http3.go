package main

import (
	"context"
	"time"

	"backline/edge"
)

// bindPackets opens the UDP ports for HTTP/3. It comes after the certificates: they decide which addresses speak https.
// A process that takes another's place does so later.
func (s *server) bindPackets(ctx context.Context) error {
	if s.process.predecessor != nil {
		return nil
	}
	for _, l := range s.overPackets() {
		if err := l.ListenPackets(ctx); err != nil {
			return err
		}
	}
	return nil
}

// overPackets gives the listeners beside which HTTP/3 is spoken.
func (s *server) overPackets() (all []*edge.Listener) {
	for _, l := range s.listeners {
		if s.config.HTTP3 && !l.Plain {
			all = append(all, l)
		}
	}
	return all
}

// packetsInterval is how often a process that takes another's place looks whether that one has given its UDP ports up.
const packetsInterval = time.Second

// takePackets opens them when it has. Until then clients are not told of HTTP/3.
func (s *server) takePackets(ctx context.Context) error {
	ticker := time.NewTicker(packetsInterval)
	defer ticker.Stop()
	for _, l := range s.overPackets() {
		for said := false; ; said = true {
			err := l.ListenPackets(ctx)
			if err == nil {
				err = s.edge.ServePackets(l)
			}
			if err == nil {
				break
			}
			if !said {
				s.log.Info("HTTP/3 waits for the UDP port, which the process before this one still has", "error", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	}
	<-ctx.Done()
	return nil
}
