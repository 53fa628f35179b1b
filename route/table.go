package route

import (
	"bytes"
	"slices"
	"strings"

	"backline"
	"backline/h1"
)

// Table is rules in the order in which they are tried. The zero value has none.
type Table struct {
	rules  []Rule
	byHost bool // some of them ask for a host
}

// NewTable makes a table of rules whose fields have been parsed.
func NewTable(rules []Rule) Table {
	return Table{Sort(rules), slices.ContainsFunc(rules, func(r Rule) bool { return r.Host != "" })}
}

// Rules are the table's, in the order in which they are tried. Nobody may change them.
func (t *Table) Rules() []Rule { return t.rules }

// Next finds the first rule from at on that a request fits; -1 where there is none. Whoever cannot use it asks again
// from the one behind it on.
func (t *Table) Next(scope *backline.Scope, protocol string, at int) int {
	var room [maxHost]byte
	var host []byte
	if t.byHost {
		host = hostOf(room[:0], scope.Fields)
	}
	for i := at; i < len(t.rules); i++ {
		if fits(&t.rules[i], scope, protocol, host) {
			return i
		}
	}
	return -1
}

func fits(r *Rule, scope *backline.Scope, protocol string, host []byte) bool {
	return (r.Protocol == "" || r.Protocol == protocol) && (r.Method == "" || r.Method == string(scope.Method)) &&
		(r.Host == "" || fitsHost(host, r.Host)) && (r.Path == "" || Under(scope.Path, r.Path))
}

// maxHost is longer than any name in the DNS.
const maxHost = 256

// hostOf writes the Host among fields to dst as rules have it: in lower case, without the port and the dot that ends a
// name which is already whole. A host that is too long is none.
func hostOf(dst []byte, fields []backline.Field) []byte {
	for _, f := range fields {
		if h1.Lookup(f.Name) != h1.Host {
			continue
		}
		host := f.Value
		if len(host) > cap(dst) {
			return nil
		}
		if bracket := bytes.IndexByte(host, ']'); bracket > 0 {
			host = host[:bracket+1]
		} else {
			host, _, _ = bytes.Cut(host, []byte(":"))
			host = bytes.TrimSuffix(host, []byte("."))
		}
		for _, c := range host {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
		}
		return dst
	}
	return nil
}

func fitsHost(host []byte, want string) bool {
	if below, star := strings.CutPrefix(want, "*"); star { // keeps the dot
		return len(host) > len(below) && string(host[len(host)-len(below):]) == below
	}
	return string(host) == want
}

// Under tells whether path, as it was sent, is prefix or lies below it. It is compared as the application will see it,
// decoded: else "/rep%6frts" would be another pool's than "/reports", for the same page.
func Under(path []byte, prefix string) bool {
	rest, same := after(path, prefix)
	if !same || len(rest) == 0 {
		return same
	}
	c, _ := first(rest)
	return c == '/'
}

// Is tells whether path, as it was sent, is this one.
func Is(path []byte, want string) bool {
	rest, same := after(path, want)
	return same && len(rest) == 0
}

// after gives what follows prefix in path.
func after(path []byte, prefix string) (rest []byte, same bool) {
	for i := range len(prefix) {
		if len(path) == 0 {
			return nil, false
		}
		c, n := first(path)
		if c != prefix[i] {
			return nil, false
		}
		path = path[n:]
	}
	return path, true
}

// first decodes the first byte of a path and tells how many it takes. An escape that is none stands for itself.
func first(path []byte) (c byte, n int) {
	if path[0] == '%' && len(path) > 2 {
		if high, low := unhex(path[1]), unhex(path[2]); high < 16 && low < 16 {
			return high<<4 | low, 3
		}
	}
	return path[0], 1
}

// unhex gives a hexadecimal digit's value, and 16 for what is none.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}
