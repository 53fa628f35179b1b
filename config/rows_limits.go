package config

import "slices"

func limitRows() []Setting {
	const group = "Limits"
	return slices.Concat(headerLimitRows(group), bodyLimitRows(group), addressLimitRows(group))
}

func headerLimitRows(group string) []Setting {
	return []Setting{
		{
			Key: "limit_connections", Flags: []string{"limit-connections"}, Kind: KindInt, Default: "20000", Unit: "connections",
			Min: "1", Max: "10000000", Group: group,
			Help: "Client connections open at once. Each takes a file descriptor, so what `ulimit -n` allows may be less; it is said at " +
				"start. Above it idle connections are closed to make room, and new ones wait in the backlog.",
			field: func(c *Config) any { return &c.LimitConnections },
		},
		{
			Key: "limit_request_line", Flags: []string{"limit-request-line"}, Kind: KindSize, Default: "8KiB", Unit: "bytes",
			Min: "256", Max: "1MiB", Group: group,
			Help: "Longest request line (method, path with query, version), then 414. Too small breaks forms and searches that " +
				"travel in the query.",
			field: func(c *Config) any { return &c.LimitRequestLine },
		},
		{
			Key: "limit_header_block", Flags: []string{"limit-header-block"}, Kind: KindSize, Default: "64KiB", Unit: "bytes",
			Min: "1KiB", Max: "16MiB", Group: group,
			Help: "All header fields of a request together, then 431. Every connection may take this much memory while it sends; too small refuses " +
				"clients with large cookies or Kerberos tickets.",
			field: func(c *Config) any { return &c.LimitHeaderBlock },
		},
		{
			Key: "limit_request_fields", Flags: []string{"limit-request-fields"}, Kind: KindInt, Default: "100", Unit: "fields",
			Min: "8", Max: "10000", Group: group,
			Help:  "Header fields of a request, then 431. Browsers send about 20, and proxies add a few.",
			field: func(c *Config) any { return &c.LimitRequestFields },
		},
	}
}

func bodyLimitRows(group string) []Setting {
	return []Setting{
		{
			Key: "limit_request_body", Flags: []string{"limit-request-body"}, Kind: KindSize, Default: "1GiB", Unit: "bytes",
			Min: "1", Group: group,
			Help: "Longest request body, then 413. It cannot be off, but it can be large: bodies above body_memory go to temp_dir, which has to have " +
				"room for as many uploads as arrive at once.",
			field: func(c *Config) any { return &c.LimitRequestBody },
		},
		{
			Key: "body_min_rate", Flags: []string{"body-min-rate"}, Kind: KindSize, Default: "1KiB", Unit: "bytes per second",
			Max: "1GiB", Group: group, Zero: "off: a body may take for ever",
			Help:  "Slowest upload, on average over body_rate_window, then 408. Too large a rate refuses people on mobile networks.",
			field: func(c *Config) any { return &c.BodyMinRate },
		},
		{
			Key: "body_rate_window", Flags: []string{"body-rate-window"}, Kind: KindDuration, Default: "30s", Unit: "seconds",
			Min: "1s", Max: longest, Group: group,
			Help:  "Time over which body_min_rate is measured. A short one takes every pause of the network for a slow client.",
			field: func(c *Config) any { return &c.BodyRateWindow },
		},
	}
}

// addressLimitRows are about what one client may take of what is there for all.
func addressLimitRows(group string) []Setting {
	return []Setting{
		{
			Key: "limit_connections_per_address", Flags: []string{"limit-connections-per-address"}, Kind: KindInt, Default: "5000", Unit: "connections",
			Max: "10000000", Group: group, Zero: "no limit",
			Help: "Connections of one address open at once; further ones are closed as they come. An IPv6 address counts by its first 64 bits. The default lets " +
				"no one machine take more than a quarter of limit_connections, and is more than a campus behind one address has; smaller ones shut such places out. " +
				"Proxies of forwarded_allow_ips do not count, nor limit_exempt; behind proxy_protocol, the address that it tells counts.",
			field: func(c *Config) any { return &c.LimitConnectionsPerAddress },
		},
		{
			Key: "limit_rate", Flags: []string{"limit-rate"}, Kind: KindString, Unit: "requests per time", Group: group, Zero: "no limit",
			Help: "Requests of one address, such as 100/s, 600/m or 5000/h, then 429 with Retry-After. The address is the client's, as forwarded_headers tell it; of a " +
				"proxy that does not, all clients count as one. Everybody behind one address shares it: a page can take 50 requests, and an office has many readers.",
			field: func(c *Config) any { return &c.LimitRate },
		},
		{
			Key: "limit_burst", Flags: []string{"limit-burst"}, Kind: KindInt, Default: "0", Unit: "requests", Max: "1000000", Group: group,
			Zero:  "as many as limit_rate names",
			Help:  "Requests that one address may send at once after a pause; then it has limit_rate. With too few, the first page that somebody opens is refused in parts.",
			field: func(c *Config) any { return &c.LimitBurst },
		},
		{
			Key: "limit_addresses", Flags: []string{"limit-addresses"}, Kind: KindInt, Default: "65536", Unit: "addresses", Min: "512", Max: "16777216",
			Group: group,
			Help: "Addresses that limit_rate remembers, 16 bytes each. With more at a time, those that have sent the least are forgotten, so that a flood of addresses " +
				"frees none of them from the limit.",
			field: func(c *Config) any { return &c.LimitAddresses },
		},
		{
			Key: "limit_exempt", Flags: []string{"limit-exempt"}, Kind: KindStrings, Unit: "address", Group: group, Zero: "nobody",
			Help:  "Clients whose connections and requests are not limited: addresses and networks, of an office or a monitor. An address that others share exempts them too.",
			field: func(c *Config) any { return &c.LimitExempt },
		},
	}
}

func bufferRows() []Setting {
	const group = "Buffers"
	return []Setting{
		{
			Key: "body_memory", Flags: []string{"body-memory"}, Kind: KindSize, Default: "1MiB", Unit: "bytes", Max: "1GiB",
			Group: group, Zero: "every body goes to a file",
			Help: "How much of one request body stays in memory before it goes to a temporary file. Times the uploads under way it is memory " +
				"of the server.",
			field: func(c *Config) any { return &c.BodyMemory },
		},
		{
			Key: "answer_memory", Flags: []string{"answer-memory"}, Kind: KindSize, Default: "1MiB", Unit: "bytes", Min: "16KiB",
			Max: "1GiB", Group: group,
			Help: "How much of one WSGI answer waits in memory for a slow client before it goes to a temporary file. Times the slow clients it is " +
				"memory of the server.",
			field: func(c *Config) any { return &c.AnswerMemory },
		},
		{
			Key: "answer_file", Flags: []string{"answer-file"}, Kind: KindSize, Default: "1GiB", Unit: "bytes", Group: group,
			Zero: "no file: the worker waits for the client",
			Help: "How much of one WSGI answer waits in a temporary file for a slow client; then the worker waits. It needs room in temp_dir; with too " +
				"little, slow downloads hold threads.",
			field: func(c *Config) any { return &c.AnswerFile },
		},
		{
			Key: "stream_window", Flags: []string{"stream-window"}, Kind: KindSize, Default: "256KiB", Unit: "bytes", Min: "64KiB",
			Max: "64MiB", Group: group,
			Help: "Bytes of one ASGI answer that the client has not taken when send() waits. A small one costs speed on long distances, a " +
				"large one memory for each slow client.",
			field: func(c *Config) any { return &c.StreamWindow },
		},
	}
}
