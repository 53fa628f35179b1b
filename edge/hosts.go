package edge

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"backline"
	"backline/h1"
)

// Hosts are names that are served. The zero value has all of them.
type Hosts struct {
	exact map[string]bool
	below map[string]bool // what is below these is served
}

// ParseHosts reads "example.com", ".example.com" for that and everything below, "*.example.com" for what is below
// alone, addresses, and "*" for every host.
func ParseHosts(texts []string) (Hosts, error) {
	h := Hosts{exact: map[string]bool{}, below: map[string]bool{}}
	for _, text := range texts {
		name := strings.ToLower(text)
		if name == "*" {
			return Hosts{}, nil
		}
		if a, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
			h.exact[hostOf(a)] = true
			continue
		}
		parent, below := strings.CutPrefix(strings.TrimPrefix(name, "*"), ".")
		star := strings.HasPrefix(name, "*")
		wrong := !h1.ValidHost([]byte(parent)) || strings.ContainsAny(parent, "*:") || strings.HasSuffix(parent, ".")
		if wrong || star && !below {
			return Hosts{}, fmt.Errorf(
				"%q is no host: expected example.com, .example.com or *.example.com, without a port", text)
		}
		h.below[parent] = h.below[parent] || below
		h.exact[parent] = h.exact[parent] || !star
	}
	return h, nil
}

// hostOf is how an address stands in a Host field.
func hostOf(a netip.Addr) string {
	if a.Is4() {
		return a.String()
	}
	return "[" + a.String() + "]"
}

func (h *Hosts) all() bool { return len(h.exact)+len(h.below) == 0 }

// serve tells whether the Host among fields is one of them; a request without one has none.
func (h *Hosts) serve(fields []backline.Field) bool {
	for _, f := range fields {
		if h1.Lookup(f.Name) == h1.Host {
			return h.has(f.Value)
		}
	}
	return false
}

// has compares without regard to case, the port, and the dot that ends a name which is already whole.
func (h *Hosts) has(host []byte) bool {
	var room [256]byte // longer than any name in the DNS
	if len(host) > len(room) {
		return false
	}
	name := append(room[:0], host...)
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			name[i] = c | 0x20
		}
	}
	if bracket := bytes.IndexByte(name, ']'); bracket > 0 {
		a, err := netip.ParseAddr(string(name[1:bracket]))
		return err == nil && h.exact[hostOf(a)]
	}
	name, _, _ = bytes.Cut(name, []byte(":"))
	name = bytes.TrimSuffix(name, []byte("."))
	if h.exact[string(name)] {
		return true
	}
	for {
		dot := bytes.IndexByte(name, '.')
		if dot < 0 {
			return false
		}
		if name = name[dot+1:]; h.below[string(name)] {
			return true
		}
	}
}
