package proxyproto

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/netip"

	"backline"
)

const signature2 = "\r\n\r\n\x00\r\nQUIT\n"

// The layout of version 2. Numbers are in network order.
//
//	0..11  signature
//	12     version (2) in the upper half, command in the lower
//	13     address family in the upper half, transport in the lower
//	14..15 length of what follows
//	16..   addresses, their size given by the family
//	       then vectors of type (1 byte), length (2 bytes), value
const (
	prefix = 16

	commandLocal = 0
	commandProxy = 1

	unspecified  = 0x00 // no addresses
	tcp4         = 0x11 // 4 + 4 bytes of address, 2 + 2 of port
	udp4         = 0x12
	tcp6         = 0x21 // 16 + 16, 2 + 2
	udp6         = 0x22
	unixStream   = 0x31 // 108 + 108, each a path that ends at its first zero byte
	unixDatagram = 0x32

	unixPath = 108

	vectorCRC32C = 0x03
	vectorTLS    = 0x20 // a byte of flags, four of verification, then vectors of its own
	flagTLS      = 0x01 // the client came over TLS
)

// parse2 reads version 2.
func parse2(buf []byte) (h Header, n int, err error) {
	// Judged as early as it is known: nobody shall be able to announce a length and keep it to himself.
	switch {
	case len(buf) > 12 && buf[12]>>4 != 2:
		return Header{}, 0, bad("a version that is not 2")
	case len(buf) > 12 && buf[12]&0xf > commandProxy:
		return Header{}, 0, bad("a command that is neither LOCAL nor PROXY")
	case len(buf) < prefix:
		return Header{}, 0, nil
	}
	n = prefix + int(binary.BigEndian.Uint16(buf[14:]))
	switch {
	case n > MaxHeader:
		return Header{}, 0, bad("a header of more than 4096 bytes")
	case len(buf) < n:
		return Header{}, 0, nil
	}
	if h, err = body2(buf[:n]); err != nil {
		return Header{}, 0, err
	}
	return h, n, nil
}

// body2 reads a whole header.
func body2(header []byte) (h Header, err error) {
	if header[12]&0xf == commandLocal {
		return Header{Local: true}, nil // whatever else it says, the family included, is to be ignored
	}
	body := header[prefix:]
	size, err := sizeOf(header[13])
	if err != nil {
		return Header{}, err
	}
	if size > len(body) {
		return Header{}, bad("a header too short for its addresses")
	}
	tls, err := vectors(header, prefix+size)
	if err != nil {
		return Header{}, err
	}
	h = Header{TLS: tls, Local: size == 0}
	addresses := body[:size]
	switch header[13] {
	case tcp4, udp4:
		h.Source, h.Destination = addresses2(addresses, 4)
	case tcp6, udp6:
		h.Source, h.Destination = addresses2(addresses, 16)
	case unixStream, unixDatagram:
		h.Source, h.Destination = path2(addresses[:unixPath]), path2(addresses[unixPath:])
	}
	return h, nil
}

// sizeOf gives how many bytes of addresses a family and transport have. Datagrams do not come by a connection, but a
// proxy may have received them and passed them on by one.
func sizeOf(family byte) (int, error) {
	switch family {
	case unspecified:
		return 0, nil
	case tcp4, udp4:
		return 2*4 + 2*2, nil
	case tcp6, udp6:
		return 2*16 + 2*2, nil
	case unixStream, unixDatagram:
		return 2 * unixPath, nil
	}
	return 0, bad("an address family or transport that is not known")
}

// addresses2 reads two addresses of size bytes each, and two ports.
func addresses2(b []byte, size int) (source, destination backline.Addr) {
	host := func(b []byte) string {
		a, _ := netip.AddrFromSlice(b)
		return a.Unmap().String()
	}
	port := func(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
	return backline.Addr{Host: host(b[:size]), Port: port(b[2*size:])},
		backline.Addr{Host: host(b[size : 2*size]), Port: port(b[2*size+2:])}
}

// path2 reads the name of a Unix socket. An abstract one, which begins with a zero byte, gets the "@" that people
// write.
func path2(b []byte) backline.Addr {
	abstract := b[0] == 0
	if abstract {
		b = b[1:]
	}
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	switch {
	case len(b) == 0:
		return backline.Addr{}
	case abstract:
		return backline.Addr{Host: "@" + string(b)}
	}
	return backline.Addr{Host: string(b)}
}

// vectors walks the vectors from at to the header's end, checks the checksum if there is one, and tells whether the
// client came over TLS.
func vectors(header []byte, at int) (tls bool, err error) {
	for at < len(header) {
		if len(header)-at < 3 {
			return false, bad("a vector without its length")
		}
		kind, size := header[at], int(binary.BigEndian.Uint16(header[at+1:]))
		at += 3
		if size > len(header)-at {
			return false, bad("a vector longer than its header")
		}
		value := header[at : at+size]
		switch {
		case kind == vectorCRC32C && (size != crc32.Size || !checksumHolds(header, at)):
			return false, bad("a checksum that does not fit")
		case kind == vectorTLS && size > 0:
			tls = value[0]&flagTLS != 0
		}
		at += size
	}
	return tls, nil
}

// checksumHolds compares the checksum at an offset with the header's: CRC32C over all of it, with zeros where the
// checksum itself stands.
func checksumHolds(header []byte, at int) bool {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, header[:at])
	sum = crc32.Update(sum, table, make([]byte, crc32.Size))
	sum = crc32.Update(sum, table, header[at+crc32.Size:])
	return sum == binary.BigEndian.Uint32(header[at:])
}
