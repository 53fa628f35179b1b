package proxyproto

import (
	"bufio"
	"bytes"
	"net"
	"testing"

	other "github.com/pires/go-proxyproto"

	"backline"
)

// FuzzParse compares with another parser: what both take, they read alike, and what only one takes is known.
func FuzzParse(f *testing.F) {
	for _, c := range goodOnes() {
		f.Add([]byte(c.bytes))
		f.Add([]byte(c.bytes + "GET / HTTP/1.1\r\n"))
	}
	for _, c := range wrongOnes() {
		f.Add([]byte(c.bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		if n < 0 || n > len(b) || n > MaxHeader || err != nil && (n != 0 || h != (Header{})) || n == 0 && h != (Header{}) {
			t.Fatalf("%+v, %d, %v", h, n, err)
		}
		if err == nil && n == 0 && len(b) >= MaxHeader {
			t.Fatalf("%d bytes are not enough", len(b))
		}
		if err == nil {
			prefixesAreIncomplete(t, b[:n])
		}
		if n > 0 {
			compare(t, h, b[:n])
		}
	})
}

func prefixesAreIncomplete(t *testing.T, header []byte) {
	t.Helper()
	for i := range header {
		if h, n, err := Parse(header[:i]); n != 0 || err != nil {
			t.Fatalf("the first %d of %d bytes: %+v, %d, %v", i, len(header), h, n, err)
		}
	}
}

// compare holds a header against what the other parser makes of the same bytes. Of LOCAL, UNKNOWN and unspecified ones
// it reads the addresses, which no receiver shall use, and may stumble over them.
func compare(t *testing.T, h Header, b []byte) {
	t.Helper()
	if h.Local {
		return
	}
	rest := bufio.NewReader(bytes.NewReader(b))
	theirs, err := other.Read(rest)
	if err != nil {
		t.Fatalf("%q is %+v here, and there: %v", b, h, err)
	}
	if rest.Buffered() > 0 {
		t.Fatalf("%q: %d bytes are left there", b, rest.Buffered())
	}
	if source, destination := addr(theirs.SourceAddr), addr(theirs.DestinationAddr); !same(source, h.Source) || !same(destination, h.Destination) {
		t.Fatalf("%q: %v to %v here, %v to %v there", b, h.Source, h.Destination, source, destination)
	}
}

// same compares, but for abstract names, which the other parser takes for empty ones.
func same(theirs, ours backline.Addr) bool {
	return theirs == ours || theirs == backline.Addr{} && ours.Host != "" && ours.Host[0] == '@'
}

func addr(a net.Addr) backline.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return backline.Addr{Host: a.IP.String(), Port: a.Port}
	case *net.UDPAddr:
		return backline.Addr{Host: a.IP.String(), Port: a.Port}
	case *net.UnixAddr:
		return backline.Addr{Host: a.Name}
	}
	return backline.Addr{}
}

// FuzzTheirs gives headers that the other parser has written to ours.
func FuzzTheirs(f *testing.F) {
	f.Add(byte(1), []byte(ipv4), true)
	f.Add(byte(2), []byte(ipv6), true)
	f.Add(byte(2), []byte(ipv4), false)
	f.Fuzz(func(t *testing.T, version byte, b []byte, proxy bool) {
		size := 4
		if len(b) >= 36 {
			size = 16
		}
		if len(b) < 12 {
			t.Skip("no addresses")
		}
		source := &net.TCPAddr{IP: b[:size], Port: int(b[2*size])<<8 | int(b[2*size+1])}
		destination := &net.TCPAddr{IP: b[size : 2*size], Port: int(b[2*size+2])<<8 | int(b[2*size+3])}
		theirs := other.HeaderProxyFromAddrs(1+version%2, source, destination)
		if !proxy {
			theirs.Command = other.LOCAL
		}
		header, err := theirs.Format()
		if err != nil {
			t.Skip(err)
		}
		h, n, err := Parse(header)
		if err != nil || n != len(header) {
			t.Fatalf("%q: %+v, %d, %v", header, h, n, err)
		}
		if proxy && !h.Local && (h.Source != addr(source) || h.Destination != addr(destination)) {
			t.Fatalf("%q: %+v, expected %v to %v", header, h, source, destination)
		}
	})
}
