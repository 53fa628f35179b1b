package config

// filterRows are about filters that ask the application about each publication.
func filterRows(group string) []Setting {
	return []Setting{
		{
			Key: "filter_requests", Flags: []string{"filter-requests"}, Kind: KindInt, Default: "100", Unit: "requests", Min: "1", Max: "100000", Group: group,
			Help: "Requests of the filters http-check and http-modify that are with the application at a time, of all clients together; further ones wait. Each client " +
				"has one at a time. Their workers are those of every other request.",
			field: func(c *Config) any { return &c.FilterRequests },
		},
		{
			Key: "filter_timeout", Flags: []string{"filter-timeout"}, Kind: KindDuration, Default: "10s", Unit: "seconds", Min: "1s", Max: "10m", Group: group,
			Help:  "How long such a request may take once it is made; then its publication is left out for that client, and the log says so.",
			field: func(c *Config) any { return &c.FilterTimeout },
		},
		{
			Key: "filter_reply", Flags: []string{"filter-reply"}, Kind: KindSize, Default: "100KB", Unit: "bytes", Min: "1KiB", Max: "16MiB", Group: group,
			Help:  "Longest answer of an http-modify, which takes the publication's place; with a longer one the publication is left out for that client, and the log says so.",
			field: func(c *Config) any { return &c.FilterReply },
		},
	}
}
