package proxyproto

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"backline"
)

// v2 makes a header of version 2 around a body.
func v2(command, family byte, body string) string {
	return signature2 + string([]byte{0x20 | command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(body)))) + body
}

// vector makes one of the vectors behind the addresses.
func vector(kind byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))) + value
}

// summed appends a checksum vector to a header whose body leaves room for it in its length.
func summed(header string) string {
	b := []byte(header + vector(vectorCRC32C, "\x00\x00\x00\x00"))
	binary.BigEndian.PutUint16(b[14:], uint16(len(b)-prefix))
	binary.BigEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return string(b)
}

const (
	ipv4 = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xc8\x22\x01\xbb" // 192.0.2.1:51234 to 198.51.100.2:443
	mark = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	ipv6 = mark + "\x01" + mark + "\x02" + "\xc8\x22\x01\xbb" // 2001:db8::1 to 2001:db8::2
)

func unix(source, destination string) string {
	pad := func(s string) string { return s + strings.Repeat("\x00", unixPath-len(s)) }
	return pad(source) + pad(destination)
}

var (
	client4 = backline.Addr{Host: "192.0.2.1", Port: 51234}
	server4 = backline.Addr{Host: "198.51.100.2", Port: 443}
	client6 = backline.Addr{Host: "2001:db8::1", Port: 51234}
	server6 = backline.Addr{Host: "2001:db8::2", Port: 443}
)

type good struct {
	name, bytes string
	want        Header
}

func goodOnes() []good {
	return []good{
		{"v1, IPv4", "PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n", Header{Source: client4, Destination: server4}},
		{"v1, IPv6", "PROXY TCP6 2001:db8::1 2001:DB8:0:0::2 51234 443\r\n", Header{Source: client6, Destination: server6}},
		{"v1, the longest", "PROXY TCP6 " + strings.Repeat("ffff:", 7) + "ffff " + strings.Repeat("ffff:", 7) + "ffff 65535 65535\r\n", Header{
			Source:      backline.Addr{Host: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Port: 65535},
			Destination: backline.Addr{Host: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Port: 65535},
		}},
		{"v1, unknown", "PROXY UNKNOWN\r\n", Header{Local: true}},
		{"v1, unknown with more", "PROXY UNKNOWN ffff:: \x00 anything 1 2\r\n", Header{Local: true}},
		{"v1, port 0", "PROXY TCP4 192.0.2.1 198.51.100.2 0 0\r\n", Header{
			Source: backline.Addr{Host: "192.0.2.1"}, Destination: backline.Addr{Host: "198.51.100.2"},
		}},
		{"v2, IPv4", v2(commandProxy, 0x11, ipv4), Header{Source: client4, Destination: server4}},
		{"v2, IPv4, UDP", v2(commandProxy, 0x12, ipv4), Header{Source: client4, Destination: server4}},
		{"v2, IPv6", v2(commandProxy, 0x21, ipv6), Header{Source: client6, Destination: server6}},
		{"v2, IPv4 in IPv6", v2(commandProxy, 0x21, strings.Repeat("\x00", 10)+"\xff\xff\xc0\x00\x02\x01"+mark+"\x02\xc8\x22\x01\xbb"), Header{
			Source: client4, Destination: server6,
		}},
		{"v2, Unix", v2(commandProxy, 0x31, unix("/tmp/a", "\x00b")), Header{Source: backline.Addr{Host: "/tmp/a"}, Destination: backline.Addr{Host: "@b"}}},
		{"v2, Unix without a name", v2(commandProxy, 0x32, unix("", strings.Repeat("x", unixPath))), Header{Destination: backline.Addr{Host: strings.Repeat("x", unixPath)}}},
		{"v2, unspecified", v2(commandProxy, 0x00, ""), Header{Local: true}},
		{"v2, unspecified with vectors", v2(commandProxy, 0x00, vector(0x04, "noise")), Header{Local: true}},
		{"v2, local", v2(commandLocal, 0x00, ""), Header{Local: true}},
		{"v2, local with addresses", v2(commandLocal, 0x11, ipv4), Header{Local: true}},
		{"v2, local with nonsense", v2(commandLocal, 0xff, "\x03\xff\xff"), Header{Local: true}},
		{"v2, vectors", v2(commandProxy, 0x11, ipv4+vector(0x02, "example.com")+vector(0x04, "")), Header{Source: client4, Destination: server4}},
		{"v2, TLS", v2(commandProxy, 0x11, ipv4+vector(vectorTLS, "\x01\x00\x00\x00\x00"+vector(0x21, "TLSv1.3"))), Header{Source: client4, Destination: server4, TLS: true}},
		{"v2, without TLS", v2(commandProxy, 0x11, ipv4+vector(vectorTLS, "\x02\x00\x00\x00\x00")), Header{Source: client4, Destination: server4}},
		{"v2, a checksum", summed(v2(commandProxy, 0x11, ipv4+vector(0x04, "noise"))), Header{Source: client4, Destination: server4}},
		{"v2, the longest", v2(commandProxy, 0x11, ipv4+vector(0x04, strings.Repeat("x", MaxHeader-prefix-len(ipv4)-3))), Header{Source: client4, Destination: server4}},
	}
}

// TestGood feeds each header whole, byte by byte, and with what a client sends behind it.
func TestGood(t *testing.T) {
	t.Parallel()
	for _, c := range goodOnes() {
		for _, behind := range []string{"", "GET / HTTP/1.1\r\n", "\x16\x03\x01", "PROXY "} {
			h, n, err := Parse([]byte(c.bytes + behind))
			if h != c.want || n != len(c.bytes) || err != nil {
				t.Errorf("%s with %q behind: %+v, %d, %v; expected %+v, %d", c.name, behind, h, n, err, c.want, len(c.bytes))
			}
		}
		for i := range len(c.bytes) {
			if h, n, err := Parse([]byte(c.bytes[:i])); h != (Header{}) || n != 0 || err != nil {
				t.Fatalf("%s, the first %d bytes: %+v, %d, %v", c.name, i, h, n, err)
			}
		}
	}
}

type wrong struct{ name, bytes, word string }

func wrongOnes() []wrong {
	v1 := func(line string) string { return "PROXY " + line + "\r\n" }
	return []wrong{
		{"HTTP", "GET / HTTP/1.1\r\n", "does not begin"},
		{"TLS", "\x16\x03\x01\x02\x00", "does not begin"},
		{"another method", "PROPFIND /", "does not begin"},
		{"an empty line before HTTP", "\r\nG", "does not begin"},
		{"v1, lower case", "proxy TCP4", "does not begin"},
		{"v1, no CR", "PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\n", "CRLF"},
		{"v1, an endless line", "PROXY UNKNOWN " + strings.Repeat("x", maxLine), "107 bytes"},
		{"v1, a line of 108 bytes", "PROXY UNKNOWN " + strings.Repeat("x", maxLine-15) + "\r\n", "107 bytes"},
		{"v1, nothing", "PROXY \r\n", "two addresses"},
		{"v1, unknown family", v1("UDP4 192.0.2.1 198.51.100.2 51234 443"), "family"},
		{"v1, unknown and more", v1("UNKNOWNS"), "two addresses"},
		{"v1, a word too many", v1("TCP4 192.0.2.1 198.51.100.2 51234 443 x"), "two addresses"},
		{"v1, two blanks", v1("TCP4 192.0.2.1  198.51.100.2 51234 443"), "two addresses"},
		{"v1, IPv6 as IPv4", v1("TCP4 2001:db8::1 198.51.100.2 51234 443"), "address"},
		{"v1, IPv4 as IPv6", v1("TCP6 2001:db8::1 198.51.100.2 51234 443"), "address"},
		{"v1, a zone", v1("TCP6 fe80::1%eth0 2001:db8::2 51234 443"), "address"},
		{"v1, a name", v1("TCP4 localhost 198.51.100.2 51234 443"), "address"},
		{"v1, octal", v1("TCP4 192.0.02.1 198.51.100.2 51234 443"), "address"},
		{"v1, a large port", v1("TCP4 192.0.2.1 198.51.100.2 65536 443"), "port"},
		{"v1, a port with zeros", v1("TCP4 192.0.2.1 198.51.100.2 051234 443"), "port"},
		{"v1, a signed port", v1("TCP4 192.0.2.1 198.51.100.2 +1 443"), "port"},
		{"v2, version 1", signature2 + "\x11", "version"},
		{"v2, another command", signature2 + "\x22", "command"},
		{"v2, too long", signature2 + "\x21\x11\x0f\xf1", "4096"},
		{"v2, another family", v2(commandProxy, 0x41, ipv4), "family"},
		{"v2, a family without a transport", v2(commandProxy, 0x10, ipv4), "transport"},
		{"v2, another transport", v2(commandProxy, 0x13, ipv4), "transport"},
		{"v2, too short for IPv4", v2(commandProxy, 0x11, ipv4[:11]), "too short"},
		{"v2, too short for IPv6", v2(commandProxy, 0x21, ipv4), "too short"},
		{"v2, too short for Unix", v2(commandProxy, 0x31, ipv6), "too short"},
		{"v2, half a vector", v2(commandProxy, 0x11, ipv4+"\x04\x00"), "vector without"},
		{"v2, a vector too long", v2(commandProxy, 0x11, ipv4+"\x04\x00\x02x"), "vector longer"},
		{"v2, a wrong checksum", v2(commandProxy, 0x11, ipv4+vector(vectorCRC32C, "\x00\x00\x00\x00")), "checksum"},
		{"v2, a short checksum", v2(commandProxy, 0x11, ipv4+vector(vectorCRC32C, "\x00")), "checksum"},
		{"v2, a changed byte", strings.Replace(summed(v2(commandProxy, 0x11, ipv4)), "\xc0", "\xc1", 1), "checksum"},
	}
}

// TestWrong feeds each whole and byte by byte: the mistake is seen either way, and not before it is made.
func TestWrong(t *testing.T) {
	t.Parallel()
	for _, c := range wrongOnes() {
		h, n, err := Parse([]byte(c.bytes))
		if err == nil || !strings.Contains(err.Error(), c.word) || n != 0 || h != (Header{}) {
			t.Errorf("%s: %+v, %d, %v; expected something with %q", c.name, h, n, err, c.word)
		}
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%s: a %T", c.name, err)
		}
		for i := range len(c.bytes) {
			if _, n, early := Parse([]byte(c.bytes[:i])); n != 0 || early != nil && early.Error() != err.Error() {
				t.Errorf("%s, the first %d bytes: %d, %v", c.name, i, n, early)
			}
		}
	}
	if _, _, err := Parse([]byte("X")); !errors.Is(err, ErrAbsent) {
		t.Errorf("%v, expected ErrAbsent", err)
	}
}
