package config

func proxyRows() []Setting {
	const group = "Proxies"
	return append(forwardedRows(group), announceRows(group)...)
}

func forwardedRows(group string) []Setting {
	return []Setting{
		{
			Key: "forwarded_allow_ips", Flags: []string{"forwarded-allow-ips"}, Kind: KindStrings, Default: "127.0.0.1,::1,unix", Unit: "address",
			Group: group, Env: []string{"FORWARDED_ALLOW_IPS"}, Zero: "nobody is believed",
			Help: "Proxies that are believed about their clients: addresses, networks (10.0.0.0/8), unix for whoever comes by a Unix socket, * for everybody. " +
				"From anybody else, X-Forwarded-*, Forwarded, X-Real-IP and the like are removed before the application sees them. Who stands here without " +
				"being a proxy can pretend to be any client; with *, everybody can, so that is only for places that nobody but the proxy reaches.",
			field: func(c *Config) any { return &c.ForwardedAllowIPs },
		},
		{
			Key: "forwarded_headers", Flags: []string{"forwarded-headers"}, Kind: KindStrings, Default: "x-forwarded-for,x-forwarded-proto", Unit: "field",
			Group: group, Zero: "none is believed",
			Help: "What these proxies are believed about: x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port, forwarded (RFC 7239). Name those " +
				"that the proxy sets, and no others: what it does not set it passes on as the client sent it, so clients could choose their address or the " +
				"site's name. Where a request carries Forwarded and X-Forwarded-* and both are named, the kind named first counts, and the other not at all.",
			field: func(c *Config) any { return &c.ForwardedHeaders },
		},
		{
			Key: "allowed_hosts", Flags: []string{"allowed-hosts"}, Kind: KindStrings, Unit: "host", Group: group, Zero: "every host is served",
			Help: "Hosts that are served, others get 421 before the application hears of them: example.com, .example.com (that and everything below), " +
				"*.example.com (only what is below). Ports do not matter. Health checks that ask for an address instead of a name need that address here.",
			field: func(c *Config) any { return &c.AllowedHosts },
		},
	}
}

func announceRows(group string) []Setting {
	return []Setting{
		{
			Key: "proxy_protocol", Flags: []string{"proxy-protocol"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Connections of proxy_allow_from begin with a PROXY header, version 1 or 2 (HAProxy's send-proxy and send-proxy-v2, AWS's network load balancers), " +
				"which says who the client is. It holds for every address that is listened on. From those proxies a connection without the header is " +
				"closed, and from others one with it.",
			field: func(c *Config) any { return &c.ProxyProtocol },
		},
		{
			Key: "proxy_allow_from", Flags: []string{"proxy-allow-from", "proxy-allow-ips"}, Kind: KindStrings, Default: "127.0.0.1,::1,unix", Unit: "address",
			Group: group, Zero: "nobody may send the header",
			Help: "Proxies that send a PROXY header: addresses, networks, unix for Unix sockets, * for everybody. Who stands here without being a proxy can pretend " +
				"to be any client.",
			field: func(c *Config) any { return &c.ProxyAllowFrom },
		},
	}
}
