package tcp

import (
	"net"
	"net/netip"

	"backline/proxyproto"
)

// readAnnouncement reads the PROXY header with which one of the proxies begins a connection, and tells who its client
// is. Only the header's own bytes are taken from the connection, one at a time: what follows is not ours to read, and
// there are some hundred of them.
//
// A client that is none of the proxies is not asked for one: raw TCP may be silent until the server speaks, so nobody
// could tell whether one is still to come.
func readAnnouncement(conn net.Conn, client netip.AddrPort) (netip.AddrPort, error) {
	var buffer [proxyproto.MaxHeader]byte
	for have := range buffer {
		if _, err := conn.Read(buffer[have : have+1]); err != nil {
			return client, err
		}
		header, size, err := proxyproto.Parse(buffer[:have+1])
		switch {
		case err != nil:
			return client, err
		case size == 0:
			continue
		case header.Local:
			return client, nil
		}
		if source, err := netip.ParseAddr(header.Source.Host); err == nil { // else a Unix socket's path
			client = netip.AddrPortFrom(source, uint16(header.Source.Port))
		}
		return client, nil
	}
	return client, proxyproto.ErrAbsent
}
