package config

func http2Rows() []Setting {
	const group = "HTTP/2 and HTTP/3"
	return []Setting{
		{
			Key: "http2", Flags: []string{"http2"}, Kind: KindBool, Default: "true", Unit: "switch", Group: group,
			Help:  "Offer HTTP/2 to clients that come with TLS; browsers use it with nothing else. Off, everybody gets HTTP/1.1.",
			field: func(c *Config) any { return &c.HTTP2 },
		},
		{
			Key: "http2_cleartext", Flags: []string{"http2-cleartext"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Take HTTP/2 without TLS from clients that begin with it (prior knowledge), as proxies inside a network do. Off, they get 505. There is " +
				"no upgrade from HTTP/1.1 (RFC 9113 3.1).",
			field: func(c *Config) any { return &c.HTTP2Cleartext },
		},
		{
			Key: "http3", Flags: []string{"http3"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Speak HTTP/3 on the UDP ports with the numbers of the https ones, and tell the clients of HTTP/1.1 and HTTP/2 about it (Alt-Svc). The " +
				"firewall has to let UDP through.",
			field: func(c *Config) any { return &c.HTTP3 },
		},
		{
			Key: "http3_port", Flags: []string{"http3-port"}, Kind: KindInt, Default: "0", Unit: "port", Max: "65535", Group: group,
			Zero: "the one that is listened on",
			Help: "Port that clients are told to come to with HTTP/3, where that is another one outside than here. A wrong one costs each of them an " +
				"attempt, once a day.",
			field: func(c *Config) any { return &c.HTTP3Port },
		},
		{
			Key: "http2_max_streams", Flags: []string{"http2-max-streams", "http2-max-concurrent-streams"}, Kind: KindInt, Default: "100",
			Unit: "requests", Min: "1", Max: "10000", Group: group,
			Help: "Requests of one HTTP/2 or HTTP/3 connection that are served at a time; clients know the number. Few make proxies open more connections, " +
				"many let one client have as many of the workers.",
			field: func(c *Config) any { return &c.HTTP2MaxStreams },
		},
		{
			Key: "http2_window", Flags: []string{"http2-window", "http2-initial-window-size"}, Kind: KindSize, Default: "256KiB", Unit: "bytes",
			Min: "64KiB", Max: "64MiB", Group: group,
			Help: "How much of one request's body a client of HTTP/2 or HTTP/3 may send before somebody has read it; a connection may carry eight times as " +
				"much. A small one slows uploads from far away, a large one is memory of the server.",
			field: func(c *Config) any { return &c.HTTP2Window },
		},
		{
			Key: "http2_max_control_frames", Flags: []string{"http2-max-control-frames"}, Kind: KindInt, Default: "1000", Unit: "frames in 10 s",
			Min: "100", Max: "1000000", Group: group,
			Help: "Frames without a request (PING, SETTINGS, RST_STREAM and the like), and resets that a client provokes, until its HTTP/2 connection is " +
				"closed. Too few cut off proxies many of whose clients give up; too many let floods cost processor time.",
			field: func(c *Config) any { return &c.HTTP2MaxControlFrames },
		},
	}
}
