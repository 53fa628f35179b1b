package forwarded

import (
	"fmt"
	"net/netip"
	"strings"

	"backline"
)

// Peers is a set of ends of connections. The zero value has nobody in it.
type Peers struct {
	networks []netip.Prefix
	everyone bool
	unix     bool
}

// ParsePeers reads addresses ("192.0.2.1", "2001:db8::1"), networks ("10.0.0.0/8"), "*" for everybody and "unix" for
// whoever connects by a Unix socket.
func ParsePeers(texts []string) (Peers, error) {
	var p Peers
	for _, text := range texts {
		switch {
		case text == "*":
			p.everyone = true
		case strings.EqualFold(text, "unix"):
			p.unix = true
		default:
			network, err := parseNetwork(text)
			if err != nil {
				return Peers{}, err
			}
			p.networks = append(p.networks, network)
		}
	}
	return p, nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return network, fmt.Errorf("%q is neither an address (192.0.2.1), a network (10.0.0.0/8), unix nor *", text)
	case network.Addr().Is4In6():
		// Addresses are compared as IPv4, which this one would never equal.
		return network, fmt.Errorf("%q is an IPv4 network in IPv6 form: expected 10.0.0.0/8 or the like", text)
	case network != network.Masked():
		// Half of those who write 10.1.2.3/8 mean one address, the other half a network; a guess would trust strangers.
		return network, fmt.Errorf(
			"%q is both an address and a network: expected %s or %s", text, network.Addr(), network.Masked())
	}
	return network, nil
}

// Contains tells whether a is in the set. The zero Addr stands for a Unix socket, which has no address.
func (p *Peers) Contains(a netip.Addr) bool {
	if p.everyone {
		return true
	}
	if !a.IsValid() {
		return p.unix
	}
	for _, network := range p.networks {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// Empty tells whether nobody is in the set.
func (p *Peers) Empty() bool { return !p.everyone && !p.unix && len(p.networks) == 0 }

// Address gives the IP address of one end of a connection, without IPv6's disguise of IPv4; the zero Addr for a Unix
// socket.
func Address(end backline.Addr) netip.Addr {
	if end.Host == "" {
		return netip.Addr{} // spares the error that nobody reads
	}
	a, err := netip.ParseAddr(end.Host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
