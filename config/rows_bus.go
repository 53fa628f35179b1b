package config

import (
	"fmt"
	"net/url"
	"strings"
)

const busGroup = "Several servers"

func busRows() []Setting {
	const group = busGroup
	return append(busPlaceRows(), []Setting{
		{
			Key: "bus_timeout", Flags: []string{"bus-timeout"}, Kind: KindDuration, Default: "1s", Unit: "seconds", Min: "100ms", Max: "60s", Group: group,
			Help:  "How long another server may be silent before whoever is present there counts as gone, and how long its answer may take. Each server is heard five times in this time.",
			field: func(c *Config) any { return &c.BusTimeout },
		},
		{
			Key: "bus_buffer", Flags: []string{"bus-buffer"}, Kind: KindSize, Default: "16MiB", Unit: "bytes", Min: "1MiB", Max: "1GiB", Group: group,
			Help: "What may wait to leave, what may have come and wait, and what is kept for servers that missed it, each. The longest message to another server is half of it. " +
				"What has no room is dropped, counted, and asked for afterwards.",
			field: func(c *Config) any { return &c.BusBuffer },
		},
		{
			Key: "bus_keep", Flags: []string{"bus-keep"}, Kind: KindDuration, Default: "60s", Unit: "seconds", Min: "1s", Max: "1h", Group: group,
			Help:  "For how long messages to groups are kept for servers that missed them. What is missed for longer is counted and logged.",
			field: func(c *Config) any { return &c.BusKeep },
		},
	}...)
}

func busPlaceRows() []Setting {
	const group = busGroup
	return []Setting{
		{
			Key: "bus", Flags: []string{"bus"}, Kind: KindString, Hidden: true, Unit: "URL or embedded", Group: group,
			Env: []string{"BACKLINE_BUS"}, Zero: "none: this server is alone", check: checkBus,
			Help: "What joins this server with others to one, for channels, groups and presence: nats://HOST:PORT (several separated by commas), redis://HOST:PORT, or embedded: " +
				"a NATS server in this process, with bus_listen and bus_peers. It may be away: each server then serves alone, and tries again. See docs/nodes.md.",
			field: func(c *Config) any { return &c.Bus },
		},
		{
			Key: "bus_name", Flags: []string{"bus-name"}, Kind: KindString, Unit: "name", Group: group,
			Zero: "the machine's name, with the port of bus_listen", check: checkBusWord,
			Help:  "What the other servers, logs and metrics call this one. With --bus embedded no two may have the same.",
			field: func(c *Config) any { return &c.BusName },
		},
		{
			Key: "bus_prefix", Flags: []string{"bus-prefix"}, Kind: KindString, Default: "backline", Unit: "name", Group: group,
			check: checkBusWord,
			Help:  "Servers with different prefixes do not hear each other: give each application its own on a bus that several use.",
			field: func(c *Config) any { return &c.BusPrefix },
		},
		{
			Key: "bus_listen", Flags: []string{"bus-listen"}, Kind: KindString, Default: "127.0.0.1:6222", Unit: "HOST:PORT", Group: group,
			check: checkBusAddress,
			Help:  "Where --bus embedded listens for the other servers. Name an address that they reach, and not the public: with bus_secret unless it is of the loopback interface.",
			field: func(c *Config) any { return &c.BusListen },
		},
		{
			Key: "bus_peers", Flags: []string{"bus-peers"}, Kind: KindStrings, Unit: "HOST:PORT", Group: group,
			Zero: "none: others come to this one", check: checkBusAddress,
			Help:  "bus_listen of the other servers of --bus embedded; one that runs is enough, it knows the rest. This server's own may be among them.",
			field: func(c *Config) any { return &c.BusPeers },
		},
		{
			Key: "bus_secret", Flags: []string{"bus-secret"}, Kind: KindString, Hidden: true, Unit: "text", Group: group,
			Env: []string{"BACKLINE_BUS_SECRET"}, Zero: "none",
			Help:  "What the servers of --bus embedded show each other. Other users of the machine see flags: set BACKLINE_BUS_SECRET or write it into the file. It is sent in clear text unless bus_ca is set.",
			field: func(c *Config) any { return &c.BusSecret },
		},
		{
			Key: "bus_ca", Flags: []string{"bus-ca"}, Kind: KindString, Unit: "file", Group: group, Zero: "embedded: no encryption; otherwise: the system's authorities",
			Help:  "Certificates of the authorities that a server of the bus must have its certificate from (tls://, rediss://). With --bus embedded connections between servers are encrypted, and both ends show bus_cert.",
			field: func(c *Config) any { return &c.BusCA },
		},
		{
			Key: "bus_cert", Flags: []string{"bus-cert"}, Kind: KindString, Unit: "file", Group: group, Zero: "none",
			Help:  "This server's certificate and key, in one file, for the bus.",
			field: func(c *Config) any { return &c.BusCert },
		},
	}
}

func checkBus(text string) (string, error) {
	if text == "" || text == "embedded" {
		return text, nil
	}
	for each := range strings.SplitSeq(text, ",") {
		u, err := url.Parse(strings.TrimSpace(each))
		if err != nil {
			return "", fmt.Errorf("an address of the bus cannot be read: expected nats://HOST:PORT, redis://HOST:PORT or embedded")
		}
		switch u.Scheme {
		case "nats", "tls", "redis", "rediss":
			if u.Host != "" {
				continue
			}
		case "unix":
			if u.Path != "" {
				continue
			}
		}
		return "", fmt.Errorf("%q: expected nats://HOST:PORT, redis://HOST:PORT or embedded", u.Redacted())
	}
	return text, nil
}

func checkBusWord(text string) (string, error) {
	for _, c := range text {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return "", fmt.Errorf("%q: expected letters, digits, - and _", text)
		}
	}
	return text, nil
}

func checkBusAddress(text string) (string, error) {
	a, err := ParseAddress(text)
	if err == nil && (a.Network != "tcp" || a.Scheme != "") {
		err = fmt.Errorf("%q: expected HOST:PORT", text)
	}
	return text, err
}
