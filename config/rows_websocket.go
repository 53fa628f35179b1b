package config

import "slices"

func webSocketRows() []Setting {
	const group = "WebSockets"
	return slices.Concat(webSocketPoolRows(group), webSocketMessageRows(group), webSocketEventRows(group), webSocketPostRows(group), webSocketTimeRows(group))
}

func webSocketPoolRows(group string) []Setting {
	return []Setting{
		{
			Key: "websocket", Flags: []string{"websocket"}, Kind: KindString, Unit: "application", Group: group, Zero: "app answers WebSockets, if it is ASGI",
			Help: "ASGI application for WebSockets, `module:attribute`, beside an application for everything else: pages by WSGI, sockets by ASGI, " +
				"one site. It runs in workers of its own, so neither waits for the other.",
			field: func(c *Config) any { return &c.WebSocketApp },
		},
		{
			Key: "websocket_workers", Flags: []string{"websocket-workers"}, Kind: KindInt, Default: "1", Unit: "processes", Min: "1", Max: "1024",
			Group: group,
			Help: "Worker processes for websocket. One holds many thousands of sockets. What sockets send to each other crosses processes by a channel layer " +
				"(backline.layer), not by variables of the application.",
			field: func(c *Config) any { return &c.WebSocketWorkers },
		},
	}
}

func webSocketMessageRows(group string) []Setting {
	return []Setting{
		{
			Key: "websocket_max_message", Flags: []string{"websocket-max-message", "websocket-max-message-size", "ws-max-size"}, Kind: KindSize,
			Default: "16MiB", Unit: "bytes", Min: "1KiB", Max: "1GiB", Group: group,
			Help: "Longest message from a client, inflated; beyond it the socket is closed with 1009. Every socket may take this much memory " +
				"while it sends one.",
			field: func(c *Config) any { return &c.WebSocketMaxMessage },
		},
		{
			Key: "websocket_max_fragments", Flags: []string{"websocket-max-fragments"}, Kind: KindInt, Default: "131072", Unit: "frames",
			Min: "1", Max: "10000000", Group: group,
			Help: "Frames of one message, which an endless row of empty ones would otherwise never end; beyond it the socket is closed with 1009. " +
				"Clients mostly send one.",
			field: func(c *Config) any { return &c.WebSocketMaxFragments },
		},
		{
			Key: "websocket_window", Flags: []string{"websocket-window"}, Kind: KindSize, Default: "64KiB", Unit: "bytes",
			Min: "4KiB", Max: "16MiB", Group: group,
			Help: "What may wait for a client; then the application's send() waits, and what is broadcast to its groups is dropped for it. A larger window smooths bursts, and every slow client may take " +
				"this much memory.",
			field: func(c *Config) any { return &c.WebSocketWindow },
		},
		{
			Key: "websocket_groups", Flags: []string{"websocket-groups"}, Kind: KindInt, Default: "100", Unit: "groups",
			Min: "1", Max: "10000", Group: group,
			Help: "Groups that one socket may be in so that the server itself delivers to it (backline.group.add); joining another one raises an error. " +
				"Each takes some 100 bytes.",
			field: func(c *Config) any { return &c.WebSocketGroups },
		},
		{
			Key: "websocket_compression", Flags: []string{"websocket-compression", "ws-per-message-deflate"}, Kind: KindBool, Default: "true",
			Unit: "switch", Group: group,
			Help: "Compress messages for clients that offer permessage-deflate. It takes some 10 to 50 us of processor time a message and mostly saves " +
				"more than half of the bytes.",
			field: func(c *Config) any { return &c.WebSocketCompression },
		},
		{
			Key: "websocket_compression_level", Flags: []string{"websocket-compression-level"}, Kind: KindInt, Default: "1", Unit: "level",
			Min: "1", Max: "9", Group: group,
			Help:  "1 is fastest, 9 smallest. The levels above 1 win a few percent on small messages and cost several times as much.",
			field: func(c *Config) any { return &c.WebSocketCompressionLevel },
		},
		{
			Key: "websocket_compression_min_size", Flags: []string{"websocket-compression-min-size"}, Kind: KindSize, Default: "128", Unit: "bytes",
			Min: "1", Max: "16MiB", Group: group,
			Help:  "Smallest message that is compressed. Shorter ones hardly become smaller.",
			field: func(c *Config) any { return &c.WebSocketCompressionMinSize },
		},
		{
			Key: "websocket_compression_window", Flags: []string{"websocket-compression-window"}, Kind: KindInt, Default: "15", Unit: "bits",
			Min: "8", Max: "15", Group: group,
			Help:  "Window of what is compressed, as a power of two. A small one takes less memory while a message is compressed and finds fewer repetitions.",
			field: func(c *Config) any { return &c.WebSocketCompressionWindow },
		},
	}
}

// webSocketEventRows are for applications that are called with events (backline.sockets).
func webSocketEventRows(group string) []Setting {
	return []Setting{
		{
			Key: "websocket_queue", Flags: []string{"websocket-queue"}, Kind: KindSize, Default: "256KiB", Unit: "bytes",
			Min: "4KiB", Max: "64MiB", Group: group,
			Help: "What may wait of one client's messages, each counted with 64 bytes more, for handlers of `backline.sockets`; then the client is not read " +
				"until one has returned. Every client that sends faster than it is handled may take this much memory.",
			field: func(c *Config) any { return &c.WebSocketQueue },
		},
		{
			Key: "websocket_state", Flags: []string{"websocket-state"}, Kind: KindSize, Default: "4KiB", Unit: "bytes",
			Max: "64KiB", Group: group, Zero: "sockets have no state",
			Help: "How large the `state` of a socket of `backline.sockets` may be. It crosses to a worker with every message, and every idle socket keeps it " +
				"in the server's memory. A handler that leaves more fails.",
			field: func(c *Config) any { return &c.WebSocketState },
		},
		{
			Key: "websocket_redeliver", Flags: []string{"websocket-redeliver"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Give a message whose handler (`backline.sockets`) was under way when its worker ended to another worker, once: handlers then may see " +
				"one twice. Without it such a message is lost, logged and counted. The socket stays open either way.",
			field: func(c *Config) any { return &c.WebSocketRedeliver },
		},
	}
}

// webSocketPostRows are for applications that are asked by POST (GRIP's WebSocket-over-HTTP).
func webSocketPostRows(group string) []Setting {
	return []Setting{
		{
			Key: "websocket_over_http", Flags: []string{"websocket-over-http"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Hold the WebSockets of the application in the server and ask it by POST for each thing that happens to one (GRIP's WebSocket-over-HTTP, as django-grip " +
				"takes it), so that a WSGI application has WebSockets and no worker waits for them. It needs grip.",
			field: func(c *Config) any { return &c.WebSocketOverHTTP },
		},
		{
			Key: "websocket_over_http_reply", Flags: []string{"websocket-over-http-reply"}, Kind: KindSize, Default: "1MiB", Unit: "bytes",
			Min: "1KiB", Max: "64MiB", Group: group,
			Help:  "Longest answer to such a POST, which has all messages that the application sends with it; with a longer one the socket is closed (1011).",
			field: func(c *Config) any { return &c.WebSocketOverHTTPReply },
		},
		{
			Key: "websocket_over_http_retries", Flags: []string{"websocket-over-http-retries"}, Kind: KindInt, Default: "5", Unit: "times",
			Min: "1", Max: "1000", Group: group,
			Help: "How often such a POST is made again that no worker could take, after 1 to 2 s each; then the socket is closed. A POST that a worker had begun when it " +
				"ended is repeated only if it carries no message.",
			field: func(c *Config) any { return &c.WebSocketOverHTTPRetries },
		},
	}
}

func webSocketTimeRows(group string) []Setting {
	return []Setting{
		{
			Key: "websocket_handover", Flags: []string{"websocket-handover"}, Kind: KindBool, Default: "true", Unit: "switch", Group: group,
			Help: "Hand the client's connection to WSGI libraries that speak WebSocket themselves (simple-websocket, and so flask-sock), as gunicorn does; " +
				"never over TLS, HTTP/2 or HTTP/3. Without it they get a stand-in at half the speed, and pings, limits, compression and close codes are the server's.",
			field: func(c *Config) any { return &c.WebSocketHandover },
		},
		{
			Key: "websocket_ping_interval", Flags: []string{"websocket-ping-interval", "ws-ping-interval"}, Kind: KindDuration, Default: "20s",
			Unit: "seconds", Max: longest, Group: group, Zero: "never ask: a client that has vanished keeps its socket",
			Help: "After how long a silent client is asked for a sign of life (ping). Proxies cut connections that are silent for 30 to 60 s, so a " +
				"longer interval loses sockets behind them.",
			field: func(c *Config) any { return &c.WebSocketPingInterval },
		},
		{
			Key: "websocket_ping_timeout", Flags: []string{"websocket-ping-timeout", "ws-ping-timeout"}, Kind: KindDuration, Default: "20s",
			Unit: "seconds", Max: longest, Group: group, Zero: "wait for ever",
			Help:  "How long a client has to answer a ping before it counts as lost. Anything it sends counts. With too little, phones on bad networks are cut off.",
			field: func(c *Config) any { return &c.WebSocketPingTimeout },
		},
		{
			Key: "websocket_write_timeout", Flags: []string{"websocket-write-timeout"}, Kind: KindDuration, Default: "30s", Unit: "seconds",
			Min: "1s", Max: longest, Group: group,
			Help:  "Time after which a client that takes nothing of what waits for it is disconnected. It cannot be off: its send() would wait for ever.",
			field: func(c *Config) any { return &c.WebSocketWriteTimeout },
		},
		{
			Key: "websocket_drain", Flags: []string{"websocket-drain"}, Kind: KindDuration, Default: "300s", Unit: "seconds", Max: longest,
			Group: group, Zero: "close at once",
			Help: "How long sockets stay with a worker that has been replaced, by a reload for instance. In the last quarter of this time they are closed " +
				"(1012), a few at a time, so that their clients do not all come back at once. Until then the old process keeps its memory.",
			field: func(c *Config) any { return &c.WebSocketDrain },
		},
	}
}
