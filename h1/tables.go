package h1

// The classes of a byte, as bits of the class table.
const (
	tokenByte      uint8 = 1 << iota // tchar (RFC 9110 5.6.2)
	underscoreByte                   // "_", which is a tchar as well; see splitField
	targetByte                       // printable ASCII but "#", more than RFC 3986 allows: browsers send "|" and "{"
	hostByte                         // unreserved and sub-delims (RFC 3986 3.2.2) without ",": a name or an IPv4 address
)

var class = classes() //nolint:gochecknoglobals // written once, here; Go has no constant arrays

func classes() (table [256]uint8) {
	for c := '!'; c <= '~'; c++ {
		if c != '#' {
			table[c] |= targetByte
		}
	}
	for c := range 10 {
		table['0'+c] |= tokenByte | hostByte
	}
	for c := range 26 {
		table['a'+c] |= tokenByte | hostByte
		table['A'+c] |= tokenByte | hostByte
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		table[c] |= tokenByte
	}
	for _, c := range "-._~!$&'()*+;=" {
		table[c] |= hostByte
	}
	table['_'] |= underscoreByte
	return table
}

// allOf tells whether b is all of one class; true for none at all.
func allOf(b []byte, bit uint8) bool {
	for _, c := range b {
		if class[c]&bit == 0 {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// equalFold compares without case, for ASCII alone: bytes.EqualFold would take the Kelvin sign for a "k".
func equalFold[T string | []byte](b []byte, want T) bool {
	if len(b) != len(want) {
		return false
	}
	for i, c := range b {
		if lower(c) != lower(want[i]) {
			return false
		}
	}
	return true
}

// hexDigit gives the value of a hexadecimal digit, or 16 and more for any other byte.
func hexDigit(c byte) byte {
	switch l := lower(c); {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= l && l <= 'f':
		return l - 'a' + 10
	default:
		return 0xff
	}
}

// Known is a field name with a meaning for the edge itself. Everything else is Other, and is passed on unread.
type Known uint8

// The known names. Those up to ContentType are what a request's head is judged by (control.go); the order
// within is free.
const (
	Other Known = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	Expect
	Upgrade
	ContentType
	Date
	Server
	KeepAlive
	ProxyConnection
	TE
	Trailer
)

// controls is the size of the arrays in control.
const controls = ContentType + 1

// Lookup classifies a field name without regard to case. The length is looked at first, which rules most
// names out.
func Lookup(name []byte) Known {
	switch len(name) {
	case len("te"):
		return match(name, "te", TE)
	case len("host"):
		return match(name, "host", Host) | match(name, "date", Date)
	case len("expect"):
		return match(name, "expect", Expect) | match(name, "server", Server)
	case len("upgrade"):
		return match(name, "upgrade", Upgrade) | match(name, "trailer", Trailer)
	case len("connection"):
		return match(name, "connection", Connection) | match(name, "keep-alive", KeepAlive)
	case len("content-type"):
		return match(name, "content-type", ContentType)
	case len("content-length"):
		return match(name, "content-length", ContentLength)
	case len("proxy-connection"):
		return match(name, "proxy-connection", ProxyConnection)
	case len("transfer-encoding"):
		return match(name, "transfer-encoding", TransferEncoding)
	default:
		return Other
	}
}

// match gives k if name is want and Other, which is zero, if not: so that two calls can be joined by "|".
func match(name []byte, want string, k Known) Known {
	if lower(name[0]) != want[0] || !equalFold(name, want) {
		return Other
	}
	return k
}
