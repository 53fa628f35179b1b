package config

func gripRows() []Setting {
	const group = "Held answers"
	return []Setting{
		{
			Key: "grip", Flags: []string{"grip"}, Kind: KindBool, Default: "true", Unit: "switch", Group: group,
			Help: "Obey what answers say with Grip-Hold and its like (backline.realtime, django-grip): hold them for what will be published, without a worker. " +
				"Off, these fields go to clients as they are. Only applications are obeyed: what clients send under these names is taken out.",
			field: func(c *Config) any { return &c.Grip },
		},
		{
			Key: "grip_keys", Flags: []string{"grip-key"}, Kind: KindPairs, Unit: "ISSUER=KEY", Group: group,
			Zero: "requests carry no Grip-Sig, and only this machine may publish on admin_bind",
			Help: "Secrets shared with django-grip and other GRIP libraries. With the first, requests to the application are signed (Grip-Sig), by which these libraries " +
				"know that answers can be held; all of them are believed at POST /publish/ on admin_bind. A KEY that begins with base64: is decoded.",
			field: func(c *Config) any { return &c.GripKeys },
		},
		{
			Key: "limit_holds", Flags: []string{"limit-holds"}, Kind: KindInt, Default: "100000", Unit: "answers", Min: "1", Max: "10000000", Group: group,
			Help:  "Answers held at once; a further one becomes 503 with Retry-After. Each is a client's connection, so limit_connections counts too.",
			field: func(c *Config) any { return &c.LimitHolds },
		},
		{
			Key: "hold_channels", Flags: []string{"hold-channels"}, Kind: KindInt, Default: "20", Unit: "channels", Min: "1", Max: "10000", Group: group,
			Help:  "Channels, or groups, that one held answer waits for; with more it becomes 500, and the log says so.",
			field: func(c *Config) any { return &c.HoldChannels },
		},
		{
			Key: "hold_body", Flags: []string{"hold-body"}, Kind: KindSize, Default: "64KiB", Unit: "bytes", Min: "1KiB", Max: "16MiB", Group: group,
			Help: "Longest body of an answer that is held, or that a Grip-Link leads to; longer ones become 500, and the log says so. Every client that waits may take this " +
				"much memory.",
			field: func(c *Config) any { return &c.HoldBody },
		},
		{
			Key: "hold_backlog", Flags: []string{"hold-backlog"}, Kind: KindInt, Default: "100", Unit: "publications", Min: "1", Max: "100000", Group: group,
			Help: "Publications that wait for a client which takes its event stream slowly. Beyond it the stream asks the application what was missed (Grip-Link), or ends, " +
				"so that the client comes back.",
			field: func(c *Config) any { return &c.HoldBacklog },
		},
	}
}
