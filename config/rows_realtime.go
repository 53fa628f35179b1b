package config

func realtimeRows() []Setting {
	const group = "Channels"
	return []Setting{
		{
			Key: "channels", Flags: []string{"channels"}, Kind: KindStrings, Unit: "channel", Group: group, check: checkChannel,
			Zero: "nobody, but what reads them itself",
			Help: "Channels whose messages the ASGI application works off in a pool of its own, as `manage.py runworker` does: `thumbs`, or `thumbs.*` for all that begin so. On the " +
				"command line and at the top of the file they make the pool `channels`, with one worker. With a name that nobody sends to, its workers have nothing to do.",
			field: func(c *Config) any { return &c.Channels },
		},
		{
			Key: "channel_max_message", Flags: []string{"channel-max-message"}, Kind: KindSize, Default: "4MiB", Unit: "bytes",
			Min: "1KiB", Max: "32MiB", Group: group,
			Help:  "Longest message to a channel or a group; send and group_send raise MessageTooLarge beyond it. Put what is larger into a file or a database, and send its name.",
			field: func(c *Config) any { return &c.ChannelMaxMessage },
		},
		{
			Key: "channel_window", Flags: []string{"channel-window"}, Kind: KindSize, Default: "16MiB", Unit: "bytes",
			Min: "64KiB", Max: "1GiB", Group: group,
			Help: "What may wait for one process that does not read its channels' messages; beyond it group messages to that process are dropped, counted and logged, and send raises ChannelFull. " +
				"Others lose nothing.",
			field: func(c *Config) any { return &c.ChannelWindow },
		},
		{
			Key: "channel_sessions", Flags: []string{"channel-sessions"}, Kind: KindInt, Default: "256", Unit: "processes",
			Max: "65536", Group: group, Zero: "only workers have channels",
			Help:  "How many processes that are not workers (scripts, management commands, task queues) may be connected to channels over the control socket at once; more are told to wait.",
			field: func(c *Config) any { return &c.ChannelSessions },
		},
	}
}
