package config

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Address is one place to listen on, taken apart.
type Address struct {
	Network string // "tcp", "unix" or "fd"
	Scheme  string // "http" or "https" where that was said; empty: https if there are certificates, but for unix
	Host    string // tcp: empty for all interfaces, IPv6 without brackets
	Port    int    // tcp: 0 for a port that the system chooses
	Path    string // unix; begins with @ for Linux's abstract names
	FD      int    // fd: an open, listening socket inherited from the parent, 3 or more
}

// String gives the spelling that ParseAddress reads.
func (a Address) String() string {
	prefix := ""
	if a.Scheme != "" {
		prefix = a.Scheme + "://"
	}
	switch a.Network {
	case "unix":
		if strings.HasPrefix(a.Path, "//") { // after "unix:" two slashes are taken for the beginning of a URL
			return "unix://" + a.Path
		}
		return "unix:" + a.Path
	case "fd":
		return prefix + "fd://" + strconv.Itoa(a.FD)
	default:
		return prefix + net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
	}
}

// maxSocketPath is the room in Linux's sockaddr_un (108 bytes with the final zero). Elsewhere it is less, and binding
// says so.
const maxSocketPath = 107

const addressForms = "expected HOST:PORT, :PORT, [::1]:PORT, https://HOST:PORT, unix:PATH or fd://N"

// ParseAddress reads one value of bind.
func ParseAddress(text string) (Address, error) {
	scheme, rest := cutScheme(text)
	if path, found := strings.CutPrefix(rest, "unix:"); found {
		if scheme != "" {
			return Address{}, fmt.Errorf("%q: Unix sockets never speak https: expected %s", text, rest)
		}
		return parseSocketPath(strings.TrimPrefix(path, "//")) // gunicorn takes unix:// too
	}
	if number, found := strings.CutPrefix(rest, "fd://"); found {
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 3 { // 0, 1 and 2 are standard input, output and error
			return Address{}, fmt.Errorf("%q is not an inherited socket: expected fd://3 or a higher number", text)
		}
		return Address{Network: "fd", Scheme: scheme, FD: fd}, nil
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return Address{}, explainSplit(rest)
	}
	number, err := parsePort(port)
	if err != nil {
		return Address{}, fmt.Errorf("%q: %w", text, err)
	}
	if err := checkHostName(host); err != nil {
		return Address{}, fmt.Errorf("%q: %w", text, err)
	}
	return Address{Network: "tcp", Scheme: scheme, Host: host, Port: number}, nil
}

// cutScheme takes http:// or https:// from the front of an address.
func cutScheme(text string) (scheme, rest string) {
	for _, scheme := range []string{"http", "https"} {
		if rest, found := strings.CutPrefix(text, scheme+"://"); found {
			return scheme, strings.TrimSuffix(rest, "/")
		}
	}
	return "", text
}

func parseSocketPath(path string) (Address, error) {
	if path == "" {
		return Address{}, errors.New("unix: without a path: expected unix:/run/backline.sock")
	}
	if len(path) > maxSocketPath || strings.ContainsRune(path, 0) {
		return Address{}, fmt.Errorf("the socket path %q is %d bytes: the system allows %d, none of them zero; "+
			"use a shorter folder", path, len(path), maxSocketPath)
	}
	return Address{Network: "unix", Path: path}, nil
}

// explainSplit says what is missing from a text that is no HOST:PORT, in the order of likelihood.
func explainSplit(text string) error {
	switch {
	case text == "":
		return errors.New("an empty address: " + addressForms)
	case strings.Contains(text, "://"):
		return fmt.Errorf("%q is a URL: %s", text, addressForms)
	case strings.Trim(text, "0123456789") == "":
		return fmt.Errorf("%q has no host: expected 127.0.0.1:%s, or :%s for all interfaces", text, text, text)
	case strings.Contains(text, "/"):
		return fmt.Errorf("%q is a path: expected unix:%s", text, text)
	case strings.Count(text, ":") > 1:
		return fmt.Errorf("%q is an IPv6 address without brackets or port: expected [ADDRESS]:PORT", text)
	case strings.HasPrefix(text, "["):
		return fmt.Errorf("%q has no port: expected %s]:8000", text, strings.TrimSuffix(text, "]"))
	default:
		return fmt.Errorf("%q has no port: expected %s:8000", text, text)
	}
}

func parsePort(text string) (int, error) {
	number, err := strconv.Atoi(text)
	if err != nil || number < 0 || number > 65535 {
		return 0, fmt.Errorf("port %q is not a number from 0 to 65535", text)
	}
	return number, nil
}

// checkHostName refuses what no host name or address holds. Names are looked up when the edge binds, not here:
// `backline settings` must not wait for a resolver.
func checkHostName(host string) error {
	strange := func(r rune) bool {
		return r > 127 || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%", r)
	}
	if at := strings.IndexFunc(host, strange); at >= 0 {
		return fmt.Errorf("host %q holds %q: expected a name or an address", host, []rune(host[at:])[0])
	}
	return nil
}

func checkBind(text string) (string, error) {
	address, err := ParseAddress(text)
	if err != nil {
		return "", err
	}
	return address.String(), nil
}

// checkHost takes IPv6 with and without brackets, as uvicorn does not ask for them and URLs do.
func checkHost(text string) (string, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if _, port, err := net.SplitHostPort(text); err == nil && strings.Count(text, ":") == 1 {
		return "", fmt.Errorf("%q has a port: write --bind %s, or the host alone and --port %s", text, text, port)
	}
	return host, checkHostName(host)
}

func checkUDS(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	address, err := ParseAddress("unix:" + strings.TrimPrefix(text, "unix:"))
	return address.Path, err
}
