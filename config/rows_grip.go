package config

import "slices"

func gripRows() []Setting {
	const group = "Held answers"
	return slices.Concat(holdRows(group), filterRows(group), publishRows(group))
}

// publishRows are about what publishers send.
func publishRows(group string) []Setting {
	return []Setting{
		{
			Key: "publish_max_body", Flags: []string{"publish-max-body"}, Kind: KindSize, Default: "1MiB", Unit: "bytes", Min: "1KiB", Max: "64MiB", Group: group,
			Help:  "Longest body of a POST /publish/; a longer one is answered with 413.",
			field: func(c *Config) any { return &c.PublishMaxBody },
		},
		{
			Key: "publish_remember", Flags: []string{"publish-remember"}, Kind: KindDuration, Default: "60s", Unit: "seconds", Max: longest, Group: group,
			Zero:  "ids are not remembered: what is published twice arrives twice, and in the order in which it comes",
			Help:  "How long a publication's id is remembered, by channel: what comes again under it meanwhile, from a publisher that tries again for instance, is left out.",
			field: func(c *Config) any { return &c.PublishRemember },
		},
		{
			Key: "publish_wait", Flags: []string{"publish-wait"}, Kind: KindDuration, Default: "5s", Unit: "seconds", Max: "60s", Group: group, Zero: "none waits",
			Help: "How long a publication waits whose prev-id is not the last id of its channel: those of several publishers may overtake each other. Afterwards it arrives all " +
				"the same, and streams that have a Grip-Link ask for what is missing.",
			field: func(c *Config) any { return &c.PublishWait },
		},
		{
			Key: "publish_pending", Flags: []string{"publish-pending"}, Kind: KindInt, Default: "100", Unit: "publications", Min: "1", Max: "10000", Group: group,
			Help:  "Publications of one channel that may wait so; then the one that came first arrives.",
			field: func(c *Config) any { return &c.PublishPending },
		},
		{
			Key: "publish_ids", Flags: []string{"publish-ids"}, Kind: KindInt, Default: "100000", Unit: "ids", Min: "1", Max: "10000000", Group: group,
			Help:  "Ids that are remembered at a time, of all channels; then the oldest is forgotten. Each takes some 200 bytes.",
			field: func(c *Config) any { return &c.PublishIDs },
		},
	}
}

// holdRows are about answers that are held.
func holdRows(group string) []Setting {
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
		{
			Key: "hold_sessions", Flags: []string{"hold-sessions"}, Kind: KindInt, Default: "10000", Unit: "sessions", Min: "1", Max: "10000000", Group: group,
			Help: "Sessions (Grip-Session-Id) of which is known what they have seen last; then the one that has been quiet for longest is forgotten. Each takes some 500 " +
				"bytes, and what its ids take.",
			field: func(c *Config) any { return &c.HoldSessions },
		},
		{
			Key: "hold_session_life", Flags: []string{"hold-session-life"}, Kind: KindDuration, Default: "300s", Unit: "seconds", Min: "1s", Max: longest, Group: group,
			Help:  "How long a session is known in which nothing happens: no request and no publication.",
			field: func(c *Config) any { return &c.HoldSessionLife },
		},
		{
			Key: "hold_session_rules", Flags: []string{"hold-session-rules"}, Kind: KindInt, Default: "100", Unit: "rules", Min: "1", Max: "10000", Group: group,
			Help:  "Rules by which requests are found to belong to a session (Grip-Session-Detect); then the oldest is forgotten.",
			field: func(c *Config) any { return &c.HoldSessionRules },
		},
	}
}
