package config

import "slices"

// longest is the greatest duration of every row: a larger one is a number of milliseconds taken for seconds.
const longest = "24h"

func timeRows() []Setting {
	const group = "Time limits"
	return slices.Concat(requestTimeRows(group), stallRows(group), connectionTimeRows(group))
}

func stallRows(group string) []Setting {
	return []Setting{
		{
			Key: "loop_stall", Flags: []string{"loop-stall"}, Kind: KindDuration, Default: "250ms", Unit: "seconds", Max: "1h",
			Group: group, Zero: "off",
			Help: "Time after which an event loop that does not turn is logged, once, with the Python stack that holds it: a call in it blocks or " +
				"computes, and everybody else whom this worker serves waits. With too little, garbage collection and busy machines are logged too.",
			field: func(c *Config) any { return &c.LoopStall },
		},
		{
			Key: "busy_stall", Flags: []string{"busy-stall"}, Kind: KindDuration, Default: "1s", Unit: "seconds", Max: "1h",
			Group: group, Zero: "off",
			Help: "Time that a request may wait for a worker whose threads are all busy before that is logged, once until none waits any more, with what the " +
				"threads do. It changes nothing for the request; queue_timeout does.",
			field: func(c *Config) any { return &c.BusyStall },
		},
	}
}

func requestTimeRows(group string) []Setting {
	return []Setting{
		{
			Key: "timeout", Flags: []string{"timeout"}, Short: "t", Kind: KindDuration, Default: "30s", Unit: "seconds",
			Max: longest, Group: group, Zero: "off: a stuck request holds its thread for ever",
			Help: "Time the application has until its answer starts, for each request and every worker class. After it the client gets 504 and " +
				"the log gets the Python stack. With too little, slow pages fail that would have finished.",
			field: func(c *Config) any { return &c.Timeout },
		},
		{
			Key: "stream_timeout", Flags: []string{"stream-timeout"}, Kind: KindDuration, Default: "0", Unit: "seconds", Max: longest,
			Group: group, Zero: "off: a stream may be silent for ever",
			Help: "Longest silence of the application within an answer that has started. With a value below the pause between two events, event " +
				"streams are cut.",
			field: func(c *Config) any { return &c.StreamTimeout },
		},
		{
			Key: "graceful_timeout", Flags: []string{"graceful-timeout", "timeout-graceful-shutdown"}, Kind: KindDuration,
			Default: "30s", Unit: "seconds", Max: longest, Group: group, Zero: "stop at once",
			Help: "Time running requests have to finish when a worker or the server stops. It has to be shorter than what the system around " +
				"allows (systemd 90 s, Kubernetes 30 s), or requests are cut by that.",
			field: func(c *Config) any { return &c.GracefulTimeout },
		},
		{
			Key: "disconnect_grace", Flags: []string{"disconnect-grace"}, Kind: KindDuration, Default: "10s", Unit: "seconds",
			Max: longest, Group: group, Zero: "cancel at once",
			Help: "Time between telling an ASGI application that its client has gone (http.disconnect) and cancelling it. An application that is " +
				"cancelled in the middle of a transaction may leak its database connection; one that never ends keeps its place this long.",
			field: func(c *Config) any { return &c.DisconnectGrace },
		},
	}
}

func connectionTimeRows(group string) []Setting {
	return []Setting{
		{
			Key: "keep_alive", Flags: []string{"keep-alive", "timeout-keep-alive"}, Kind: KindDuration, Default: "75s",
			Unit: "seconds", Max: longest, Group: group, Zero: "close after every answer",
			Help: "Time an idle connection stays open for the next request. Idle connections hold no worker. Behind a proxy it has to be longer than " +
				"the proxy's own (AWS 60 s), or the proxy now and then sends into a connection that is closing and answers 502.",
			field: func(c *Config) any { return &c.KeepAlive },
		},
		{
			Key: "header_timeout", Flags: []string{"header-timeout"}, Kind: KindDuration, Default: "10s", Unit: "seconds",
			Min: "100ms", Max: longest, Group: group,
			Help: "Time from the first byte of a request to the end of its header. It cannot be off: clients that send a byte now and then " +
				"would fill limit_connections. With too little, clients on bad networks get 408.",
			field: func(c *Config) any { return &c.HeaderTimeout },
		},
		{
			Key: "write_timeout", Flags: []string{"write-timeout"}, Kind: KindDuration, Default: "60s", Unit: "seconds",
			Min: "1s", Max: longest, Group: group,
			Help: "Time after which a client that takes nothing of its answer is disconnected. It cannot be off: each of them keeps answer_memory and " +
				"answer_file. With too little, paused downloads break.",
			field: func(c *Config) any { return &c.WriteTimeout },
		},
	}
}

func queueRows() []Setting {
	const group = "Queue"
	return []Setting{
		{
			Key: "queue_size", Flags: []string{"queue-size"}, Kind: KindInt, Default: "1024", Unit: "requests", Max: "1000000",
			Group: group, Zero: "nothing waits: 503 when every worker is at its limit",
			Help: "Requests that wait for a worker; the next one gets 503 with Retry-After. A long queue makes everybody wait " +
				"for answers that nobody wants any more.",
			field: func(c *Config) any { return &c.QueueSize },
		},
		{
			Key: "queue_timeout", Flags: []string{"queue-timeout"}, Kind: KindDuration, Default: "10s", Unit: "seconds", Max: longest,
			Group: group, Zero: "nothing waits: 503 when every worker is at its limit",
			Help:  "Longest wait for a worker, then 503 with Retry-After. It comes before timeout and is not part of it.",
			field: func(c *Config) any { return &c.QueueTimeout },
		},
		{
			Key: "health_paths", Flags: []string{"health-path", "health-paths"}, Kind: KindStrings, Unit: "path", Group: group,
			Zero: "every request waits its turn", check: checkHealthPath,
			Help: "Paths by which somebody asks whether the application is well, such as /healthz; repeatable. GET and HEAD of exactly these wait in front of the " +
				"queue and are not refused for its length (64 may wait), so that a busy server does not look like a dead one. A worker still has to answer. " +
				"Anybody can ask for them: let it be a path that costs little.",
			field: func(c *Config) any { return &c.HealthPaths },
		},
		{
			Key: "retry", Flags: []string{"retry"}, Kind: KindChoice, Default: "safe", Unit: "name", Choices: []string{"safe", "off"},
			Group: group, check: checkRetry,
			Help: "What happens to requests whose worker died before it began to answer. safe gives GET, HEAD and OPTIONS to another worker once, " +
				"as nginx does, and answers 502 to the others; off answers 502 to all. A GET that kills its worker " +
				"takes a second one along with safe. Requests that no worker had been sent go to another one in any case.",
			field: func(c *Config) any { return &c.Retry },
		},
	}
}

func stickyRows() []Setting {
	const group = "Queue"
	return []Setting{
		{
			Key: "sticky", Flags: []string{"sticky"}, Kind: KindString, Default: "sid", Unit: "name", Group: group, check: checkSticky,
			Help: "Sessions whose requests all go to the worker that began them, as Socket.IO's long polling needs: the name of the member by which an answer's " +
				"JSON names a new session (`\"sid\":\"...\"`, within the first 256 bytes), and of the parameter by which requests name theirs (`?sid=...`). " +
				"off sends every request to any worker.",
			field: func(c *Config) any { return &c.Sticky },
		},
		{
			Key: "sticky_sessions", Flags: []string{"sticky-sessions"}, Kind: KindInt, Default: "65536", Unit: "sessions", Min: "1", Max: "10000000",
			Group: group,
			Help: "Sessions of sticky that are remembered, some 200 bytes each. Beyond it the one that was used longest ago is forgotten: its requests go to " +
				"any worker, which does not know it, and its client begins another.",
			field: func(c *Config) any { return &c.StickySessions },
		},
		{
			Key: "sticky_timeout", Flags: []string{"sticky-timeout"}, Kind: KindDuration, Default: "5m", Unit: "seconds", Min: "1s", Max: longest, Group: group,
			Help: "Time after which a session of sticky is forgotten when no request was of it. It has to be longer than the client's own silence, for Socket.IO " +
				"ping_interval and ping_timeout together.",
			field: func(c *Config) any { return &c.StickyTimeout },
		},
	}
}
