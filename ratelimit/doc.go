// Package ratelimit bounds what one address may take: connections at once (Connections) and requests a second
// (Requests). It knows no sockets and no clock: addresses and the time come from the caller. Nothing in it runs by
// itself.
//
// An IPv6 address counts by its first 64 bits. That is the least a customer gets, so whoever has one address has all
// of them.
package ratelimit

import (
	"hash/maphash"
	"net/netip"
)

// key is an address as it is counted.
type key [8]byte

// keyOf gives IPv4 addresses keys that no global IPv6 address has: those begin with 2 or 3 in hexadecimal, local ones
// with f.
func keyOf(a netip.Addr) (k key) {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		copy(k[4:], b[:])
		return k
	}
	b := a.As16()
	copy(k[:], b[:8])
	return k
}

// shards is how many locks share the work: enough for the processors of a large machine.
const shards = 64

// spread says where a key belongs. The seed is secret, so nobody can choose addresses that all belong to one place.
func spread(seed maphash.Seed, k key) uint64 { return maphash.Comparable(seed, k) }
