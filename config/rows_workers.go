package config

import "slices"

func workerRows() []Setting {
	const group = "Workers"
	return slices.Concat(poolRows(group), lifeRows(group), offloadRows("Parallel calls and jobs"))
}

func poolRows(group string) []Setting {
	return []Setting{
		{
			Key: "workers", Flags: []string{"workers"}, Short: "w", Kind: KindInt, Default: "0", Unit: "processes", Max: "1024",
			Group: group, Env: []string{"WEB_CONCURRENCY"}, Zero: "one for each core, at most 4",
			Help: "Worker processes. Each takes the memory of the whole application (25 to 85 MiB are usual), and more than there are cores seldom " +
				"serve more; too few leave cores idle.",
			field: func(c *Config) any { return &c.Workers },
		},
		{
			Key: "worker_class", Flags: []string{"worker-class", "interface"}, Short: "k", Kind: KindChoice, Default: "auto",
			Unit: "name", Choices: workerClasses(), Group: group, check: checkWorkerClass,
			Help: "How workers run the application. auto looks at it: threads for WSGI, asyncio for ASGI. gevent runs WSGI on " +
				"greenlets, a thousand requests at once where most of them wait, and wants gevent installed beside the application. " +
				"gunicorn's names are understood: gthread is threads, sync is threads with one thread, uvicorn.workers.UvicornWorker " +
				"is asyncio. With the wrong one the first request fails.",
			field: func(c *Config) any { return &c.WorkerClass },
		},
		{
			Key: "command", Flags: []string{"command"}, Kind: KindStrings, Unit: "program", Group: group, Zero: "our worker, in Python",
			Help: "Program that the workers run, with its arguments, where they are not Python: one that speaks the [worker protocol](protocol.md). A path with a / is looked " +
				"for in the application's folder. One that does not speak the protocol does not come up.",
			field: func(c *Config) any { return &c.Command },
		},
		{
			Key: "threads", Flags: []string{"threads"}, Kind: KindInt, Default: "8", Unit: "threads", Min: "1", Max: "4096",
			Group: group,
			Help: "Requests that one worker of the class threads runs at once. Requests that wait for a database or another service need " +
				"many, computing ones few; each thread may hold a database connection, so workers times threads has to fit the database.",
			field: func(c *Config) any { return &c.Threads },
		},
		{
			Key: "worker_connections", Flags: []string{"worker-connections"}, Kind: KindInt, Default: "1000", Unit: "requests",
			Min: "1", Max: "1000000", Group: group,
			Help: "Requests that one worker of the class asyncio or gevent runs at once. Idle connections do not count. With too many, all of them get " +
				"slow together instead of some waiting in the queue. It also bounds the WebSockets that a WSGI application has in one worker of any class; beyond it 503.",
			field: func(c *Config) any { return &c.WorkerConnections },
		},
		{
			Key: "lifespan", Flags: []string{"lifespan"}, Kind: KindChoice, Default: "auto", Unit: "name",
			Choices: []string{"auto", "on", "off"}, Group: group,
			Help: "Whether an ASGI application gets start-up and shutdown events. auto sends them and goes on without when the application raises; on " +
				"makes that an error; off leaves out what the application starts there.",
			field: func(c *Config) any { return &c.Lifespan },
		},
		{
			Key: "asgi_spec_version", Flags: []string{"asgi-spec-version"}, Kind: KindChoice, Default: "2.4", Unit: "version",
			Choices: []string{"2.3", "2.4"}, Group: group,
			Help: "ASGI version that HTTP applications are told. From 2.4 on send() raises OSError when the client has gone; an application " +
				"or framework that does not expect that works with 2.3.",
			field: func(c *Config) any { return &c.ASGISpecVersion },
		},
	}
}

func lifeRows(group string) []Setting {
	return []Setting{
		{
			Key: "max_requests", Flags: []string{"max-requests", "limit-max-requests"}, Kind: KindInt, Default: "0", Unit: "requests",
			Group: group, Zero: "never",
			Help: "Requests after which a worker is replaced, against slow leaks. The new worker is ready before the old one stops. A small number " +
				"keeps the machine busy with imports.",
			field: func(c *Config) any { return &c.MaxRequests },
		},
		{
			Key: "max_requests_jitter", Flags: []string{"max-requests-jitter", "limit-max-requests-jitter"}, Kind: KindInt,
			Default: "0", Unit: "requests", Group: group, Zero: "none",
			Help:  "Greatest random number added to max_requests for each worker. Without it workers that started together are replaced together.",
			field: func(c *Config) any { return &c.MaxRequestsJitter },
		},
		{
			Key: "max_worker_memory", Flags: []string{"max-worker-memory"}, Kind: KindSize, Default: "0", Unit: "bytes",
			Group: group, Zero: "no limit", check: checkWorkerMemory,
			Help: "Memory of one worker (resident) above which it is replaced after its requests. Its children are not counted. A limit " +
				"below what the application takes before its first request is not applied, and the log says so.",
			field: func(c *Config) any { return &c.MaxWorkerMemory },
		},
		{
			Key: "worker_boot_timeout", Flags: []string{"worker-boot-timeout"}, Kind: KindDuration, Default: "120s",
			Unit: "seconds", Max: "24h", Group: group, Zero: "for ever",
			Help: "Time a worker has to import the application and finish its start-up. A slow import is never stopped before. With too " +
				"little, a machine busy with a deploy starts no worker at all.",
			field: func(c *Config) any { return &c.WorkerBootTimeout },
		},
		{
			Key: "preload", Flags: []string{"preload", "preload-app"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Import the application once, in a process from which the workers are forked: they share its memory and start in milliseconds. " +
				"Threads and connections that the import makes do not survive the fork; the log names the threads.",
			field: func(c *Config) any { return &c.Preload },
		},
		{
			Key: "reload", Flags: []string{"reload"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Replace the workers when a source file changes. For development: on a server a deploy that copies files one by one is served half. " +
				"Old workers have 2 s to finish, or graceful_timeout if that is shorter.",
			field: func(c *Config) any { return &c.Reload },
		},
		{
			Key: "reload_dir", Flags: []string{"reload-dir", "reload-extra-file"}, Kind: KindStrings, Unit: "folder or file",
			Group: group, Zero: "the folder of the application",
			Help: "What reload watches, repeatable. Folders are watched with everything below them; a folder with very many files can " +
				"use up the system's watches.",
			field: func(c *Config) any { return &c.ReloadDirs },
		},
	}
}

// offloadRows are about what requests do beside waiting.
func offloadRows(group string) []Setting {
	return []Setting{
		{
			Key: "parallel_limit", Flags: []string{"parallel-limit"}, Kind: KindInt, Default: "0", Unit: "calls", Max: "1000000",
			Group: group, Zero: "64 threads; under gevent 4 greenlets for each of worker_connections",
			Help: "Calls that gather and spawn run at once in one worker, beside its requests. Those beyond wait in turns. Each is a thread that " +
				"may hold a database connection; with too few, requests that ask several services wait for each other.",
			field: func(c *Config) any { return &c.ParallelLimit },
		},
		{
			Key: "compute_workers", Flags: []string{"compute-workers"}, Kind: KindInt, Default: "0", Unit: "processes", Max: "1024",
			Group: group, Zero: "one for each core",
			Help: "Processes that run what offload gives them, one function at a time each. They start with the first one, and each takes the memory " +
				"of the whole application. max_requests and max_worker_memory hold for them too.",
			field: func(c *Config) any { return &c.ComputeWorkers },
		},
		{
			Key: "compute_queue_size", Flags: []string{"compute-queue-size"}, Kind: KindInt, Default: "100", Unit: "functions", Max: "100000",
			Group: group, Zero: "nothing waits: offload raises ComputeBusy when every process is busy",
			Help: "Offloaded functions that wait for a process; the next one raises ComputeBusy in its caller. The server holds the arguments of " +
				"each, at most 8 MiB.",
			field: func(c *Config) any { return &c.ComputeQueueSize },
		},
		{
			Key: "compute_nice", Flags: []string{"compute-nice"}, Kind: KindInt, Default: "10", Unit: "steps", Max: "19", Group: group,
			Zero: "the same as everybody's",
			Help: "How much lower the priority of these processes is (nice). They then take what time the requests leave; with 0, as many busy " +
				"processes as there are cores make every request wait for the processor.",
			field: func(c *Config) any { return &c.ComputeNice },
		},
	}
}
