package config

func applicationRows() []Setting {
	const group = "Application"
	return []Setting{
		{
			Key: "app", Kind: KindString, Unit: "module:attribute", Group: group,
			Zero: "none: `serve` and `check` then ask for one", check: checkApp,
			Help: "The application, as the argument APP. `mysite.wsgi` looks for `application` or `app` in the module, " +
				"`mysite.wsgi:site` takes that attribute, `mysite:create_app()` calls a factory, `src/mysite.py` names a file.",
			field: func(c *Config) any { return &c.App },
		},
		{
			Key: "django", Flags: []string{"django"}, Kind: KindString, Unit: "settings", Bare: bareDjango, Group: group,
			Zero: "`app` says what is served", check: checkDjango,
			Help: "Serve a Django project in place of APP, by its settings module: `--django mysite.settings`, or `--django` alone for what `manage.py` names. " +
				"Pages go to WSGI_APPLICATION, WebSockets to ASGI_APPLICATION where Channels is installed, STATIC_URL is served from STATIC_ROOT. With a wrong module " +
				"nothing starts.",
			field: func(c *Config) any { return &c.Django },
		},
		{
			Key: "factory", Flags: []string{"factory"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "APP names a function without arguments that makes the application. An application that is mistaken for a factory " +
				"fails at the first import, so a wrong value is found before anything is served.",
			field: func(c *Config) any { return &c.Factory },
		},
		{
			Key: "chdir", Flags: []string{"chdir", "app-dir"}, Kind: KindString, Unit: "folder", Group: group,
			Zero: "the folder of the command",
			Help: "Folder in which workers start and from which the application is imported. backline.toml is looked for there as well. " +
				"With a wrong one the application's module is not found.",
			field: func(c *Config) any { return &c.Chdir },
		},
		{
			Key: "pythonpath", Flags: []string{"pythonpath"}, Kind: KindStrings, Unit: "folder", Group: group,
			Zero: "nothing is added",
			Help: "Folders put in front of the import path, separated by commas or repeated. A folder with a module named like one of " +
				"the standard library hides that one.",
			field: func(c *Config) any { return &c.PythonPath },
		},
		{
			Key: "python", Flags: []string{"python"}, Kind: KindString, Unit: "interpreter", Group: group,
			Zero: "the active virtual environment, else ./.venv, else python3",
			Help: "Python interpreter of the workers, a path or a command, 3.10 or later. It has to be the one in which the application's " +
				"packages are installed, or imports fail.",
			field: func(c *Config) any { return &c.Python },
		},
		{
			Key: "env", Flags: []string{"env"}, Short: "e", Kind: KindPairs, Unit: "KEY=VALUE", Group: group,
			Zero: "workers inherit the environment unchanged", check: checkPair,
			Help: "Environment variable for the workers, repeatable. It is set before the interpreter starts. Other users of the machine can " +
				"read command lines, so passwords belong in the environment or in the file.",
			field: func(c *Config) any { return &c.Env },
		},
		{
			Key: "root_path", Flags: []string{"root-path"}, Kind: KindString, Unit: "path", Group: group,
			Zero: "the application is at the top", check: checkRootPath,
			Help: "Where a proxy mounts the application: SCRIPT_NAME for WSGI, root_path for ASGI. With a wrong one the links " +
				"that the application makes lead nowhere.",
			field: func(c *Config) any { return &c.RootPath },
		},
	}
}

func addressRows() []Setting {
	const group = "Address"
	return []Setting{
		{
			Key: "bind", Flags: []string{"bind"}, Short: "b", Kind: KindStrings, Default: "127.0.0.1:8000", Unit: "address",
			Group: group, Env: []string{"PORT"}, check: checkBind,
			// Platforms that set PORT connect from outside the machine or container, so it means all interfaces, as in gunicorn.
			fromEnv: func(port string) string { return "0.0.0.0:" + port },
			Help: "Address to listen on, repeatable: HOST:PORT, :PORT (all interfaces), [::1]:PORT, unix:PATH, fd://N (an inherited socket). " +
				"Port 0 takes a free one. Where there are certificates, all but Unix sockets speak https; http:// in front of an address keeps it plain. An address " +
				"that others can reach makes the application public.",
			field: func(c *Config) any { return &c.Bind },
		},
		{
			Key: "host", Flags: []string{"host"}, Kind: KindString, Unit: "host", Group: group,
			Zero: "127.0.0.1 when port is given", check: checkHost,
			Help: "Host part of the one address, as uvicorn spells it. Together with port it stands for bind; giving bind in the same " +
				"place is an error, because one of the two would be ignored.",
			field: func(c *Config) any { return &c.Host },
		},
		{
			Key: "port", Flags: []string{"port"}, Kind: KindInt, Default: "8000", Unit: "port", Max: "65535", Group: group,
			Zero: "a free port, chosen by the system and said at start",
			Help: "Port of the one address, as uvicorn spells it. Together with host it stands for bind; giving bind in the same place is an error. " +
				"Ports below 1024 need a privilege.",
			field: func(c *Config) any { return &c.Port },
		},
		{
			Key: "uds", Flags: []string{"uds"}, Kind: KindString, Unit: "path", Group: group, Zero: "none", check: checkUDS,
			Help: "Path of a Unix socket to listen on, as uvicorn spells it. It is the same as bind with unix:PATH; giving bind, host or port in " +
				"the same place is an error.",
			field: func(c *Config) any { return &c.UDS },
		},
		{
			Key: "socket_mode", Flags: []string{"socket-mode"}, Kind: KindOctal, Default: "0666", Unit: "octal digits", Max: "0777",
			Group: group, Zero: "only root connects",
			Help: "Permission bits of Unix sockets. 0666 lets every user of the machine connect, 0660 only the user and group of the " +
				"process; a proxy that may not write to the socket answers 502. In the file it is a string: \"0660\".",
			field: func(c *Config) any { return &c.SocketMode },
		},
		{
			Key: "backlog", Flags: []string{"backlog"}, Kind: KindInt, Default: "2048", Unit: "connections", Min: "1", Max: "65535",
			Group: group,
			Help: "Connections the kernel holds until they are accepted. The kernel's own limit (net.core.somaxconn) may be lower and wins. With too " +
				"small a number a burst of clients is refused or waits a second for its next try.",
			field: func(c *Config) any { return &c.Backlog },
		},
		tcpRow(group),
	}
}

// tcpRow is for listeners that speak no HTTP.
func tcpRow(group string) Setting {
	return Setting{
		Key: "tcp", Flags: []string{"tcp"}, Kind: KindStrings, Unit: "address=function", Group: group,
		Zero: "nothing but HTTP is served", check: checkTCP,
		Help: "Raw TCP beside the application: `127.0.0.1:5000=mymod:handle` calls `handle(socket, address)` for each connection, `tls://` in front " +
			"encrypts it. Repeatable; each has workers of its own, of the class threads or gevent, and each of these as many connections at once as " +
			"`threads` or `worker_connections` says. Clients beyond wait in the backlog. With a wrong function nothing starts.",
		field: func(c *Config) any { return &c.TCP },
	}
}
