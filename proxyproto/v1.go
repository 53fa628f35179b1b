package proxyproto

import (
	"bytes"
	"net/netip"
	"strconv"

	"backline"
)

const (
	signature1 = "PROXY "
	// maxLine is the longest line that version 1 allows, its CRLF included.
	maxLine = 107
)

// parse1 reads version 1, which is a line of text:
//
//	PROXY TCP4 192.0.2.1 198.51.100.1 51234 443 CRLF
//	PROXY TCP6 2001:db8::1 2001:db8::2 51234 443 CRLF
//	PROXY UNKNOWN anything CRLF
func parse1(buf []byte) (h Header, n int, err error) {
	feed := bytes.IndexByte(buf[:min(len(buf), maxLine)], '\n')
	switch {
	case feed < 0 && len(buf) < maxLine:
		return Header{}, 0, nil
	case feed < 0:
		return Header{}, 0, bad("a line of more than 107 bytes")
	case feed < len(signature1) || buf[feed-1] != '\r':
		return Header{}, 0, bad("a line that does not end in CRLF")
	}
	line := buf[len(signature1) : feed-1]
	if string(line) == "UNKNOWN" || bytes.HasPrefix(line, []byte("UNKNOWN ")) {
		return Header{Local: true}, feed + 1, nil
	}
	words := bytes.Split(line, []byte(" "))
	if len(words) != 5 {
		return Header{}, 0, bad("a line without exactly two addresses and two ports")
	}
	family := string(words[0])
	if family != "TCP4" && family != "TCP6" {
		return Header{}, 0, bad("a family that is none of TCP4, TCP6 and UNKNOWN")
	}
	if h.Source, err = address1(words[1], words[3], family == "TCP4"); err != nil {
		return Header{}, 0, err
	}
	if h.Destination, err = address1(words[2], words[4], family == "TCP4"); err != nil {
		return Header{}, 0, err
	}
	return h, feed + 1, nil
}

func address1(host, port []byte, is4 bool) (backline.Addr, error) {
	a, err := netip.ParseAddr(string(host))
	if err != nil || a.Is4() != is4 || a.Zone() != "" {
		return backline.Addr{}, bad("an address that is not one of its family")
	}
	number, err := strconv.ParseUint(string(port), 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' {
		return backline.Addr{}, bad("a port that is not a number from 0 to 65535")
	}
	return backline.Addr{Host: a.Unmap().String(), Port: int(number)}, nil
}
