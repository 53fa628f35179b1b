package main

import "context"

// bindPackets opens the UDP ports for HTTP/3. It comes after the certificates: they decide which addresses speak https.
func (s *server) bindPackets(ctx context.Context) error {
	if !s.config.HTTP3 {
		return nil
	}
	for _, l := range s.listeners {
		if l.Plain {
			continue
		}
		if err := l.ListenPackets(ctx); err != nil {
			return err
		}
	}
	return nil
}
