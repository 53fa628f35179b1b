package channel

import (
	"strconv"
	"strings"
)

// Position tells where in its group's history a publication stands.
type Position struct {
	// Epoch names the history's life on this node: another epoch means that offsets cannot be compared.
	Epoch uint64
	// Offset counts a group's publications from 1. 0: the group keeps no history.
	Offset uint64
	// Sequence counts the publications of this node, whatever their group: the cursor of requests that are dispatched.
	Sequence uint64
	// Origins says the same in a way that other nodes understand: ".origin-number" for each node that has published to the
	// group, up to which of its publications everything is here. Empty without other nodes, and until they were asked.
	Origins string
}

// maxOrigins bounds the nodes, and lives of nodes, that a group's positions are made of.
const maxOrigins = 32

// originBase is for numbers in Origins, which stand in every message.
const originBase = 36

// String gives a group's position as a text for people's clients, which ParsePosition reads; empty where the group
// remembers nothing.
func (p Position) String() string {
	if p.Epoch == 0 {
		return ""
	}
	return strconv.FormatUint(p.Epoch, 16) + "-" + strconv.FormatUint(p.Offset, 10) + p.Origins
}

// ParsePosition reads what String writes. Clients send it, so it may be anything.
func ParsePosition(text string) (p Position, ok bool) {
	if text == "" {
		return p, true
	}
	if dot := strings.IndexByte(text, '.'); dot >= 0 {
		text, p.Origins = text[:dot], text[dot:]
	}
	epoch, offset, _ := strings.Cut(text, "-")
	p.Epoch, _ = strconv.ParseUint(epoch, 16, 64)
	n, err := strconv.ParseUint(offset, 10, 64)
	p.Offset = n
	_, valid := p.origins()
	return p, err == nil && p.Epoch != 0 && valid
}

// origins reads Origins.
func (p Position) origins() (seen map[uint64]uint64, ok bool) {
	if p.Origins == "" {
		return nil, true
	}
	parts := strings.Split(p.Origins, ".")[1:]
	if len(parts) > maxOrigins {
		return nil, false
	}
	seen = make(map[uint64]uint64, len(parts))
	for _, each := range parts {
		left, right, _ := strings.Cut(each, "-")
		origin, err := strconv.ParseUint(left, originBase, 64)
		number, err2 := strconv.ParseUint(right, originBase, 64)
		if err != nil || err2 != nil {
			return nil, false
		}
		seen[origin] = number
	}
	return seen, true
}

func appendOrigin(dst []byte, m Mark) []byte {
	dst = strconv.AppendUint(append(dst, '.'), m.Origin, originBase)
	return strconv.AppendUint(append(dst, '-'), m.Top, originBase)
}
