package config

func headerRows() []Setting {
	const group = "Answer headers"
	return []Setting{
		{
			Key: "server_header", Flags: []string{"server-header"}, Kind: KindBool, Default: "true", Unit: "switch", Group: group,
			Help:  "Add `Server: backline` to answers that have no Server of their own. Without it nothing breaks.",
			field: func(c *Config) any { return &c.ServerHeader },
		},
		{
			Key: "date_header", Flags: []string{"date-header"}, Kind: KindBool, Default: "true", Unit: "switch", Group: group,
			Help:  "Add `Date` to answers that have none. Switch it off only where a proxy adds it: caches need it (RFC 9110, 6.6.1).",
			field: func(c *Config) any { return &c.DateHeader },
		},
	}
}

func logRows() []Setting {
	const group = "Logs"
	return append(accessLogRows(group), ownLogRows(group)...)
}

func accessLogRows(group string) []Setting {
	return []Setting{
		{
			Key: "access_log", Flags: []string{"access-log"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Write the access log to standard output, as uvicorn spells it. It is the same as access_logfile \"-\"; --no-access-log " +
				"switches off what the file sets.",
			field: func(c *Config) any { return &c.AccessLog },
		},
		{
			Key: "access_logfile", Flags: []string{"access-logfile"}, Kind: KindString, Unit: "file", Group: group, Zero: "off",
			Help:  "File for one line per request; - is standard output. It grows until something rotates it.",
			field: func(c *Config) any { return &c.AccessLogfile },
		},
		{
			// The access log itself compiles the format and so finds its mistakes; atoms are listed in one place, there.
			Key: "access_logformat", Flags: []string{"access-logformat"}, Kind: KindString, Unit: "format", Group: group,
			Zero: "gunicorn's line (Apache's combined) with duration, queue wait and worker behind it",
			Help: "Form of a line: gunicorn's atoms such as `%(h)s`, or json for one object per line; docs/access-log.md lists them. Tools that parse the " +
				"log need the form they expect.",
			field: func(c *Config) any { return &c.AccessLogformat },
		},
	}
}

func ownLogRows(group string) []Setting {
	return []Setting{
		{
			Key: "log_level", Flags: []string{"log-level"}, Kind: KindChoice, Default: "info", Unit: "name",
			Choices: []string{"debug", "info", "warning", "error"}, Group: group, check: checkLogLevel,
			Help: "Least serious line of Backline's own that is written; what workers print always is. critical is taken as error and trace as debug. " +
				"With error, replaced workers go unnoticed.",
			field: func(c *Config) any { return &c.LogLevel },
		},
		{
			Key: "log_file", Flags: []string{"log-file", "error-logfile"}, Kind: KindString, Default: "-", Unit: "file", Group: group,
			check: checkLogFile,
			Help:  "File for Backline's own lines and for what workers print; - is standard error. It grows until something rotates it.",
			field: func(c *Config) any { return &c.LogFile },
		},
		{
			Key: "log_format", Flags: []string{"log-format"}, Kind: KindChoice, Default: "text", Unit: "name",
			Choices: []string{"text", "json"}, Group: group,
			Help:  "Form of Backline's own lines: text for people, json for one object per line. Tracebacks take several lines in text and one in json.",
			field: func(c *Config) any { return &c.LogFormat },
		},
	}
}

func fileRows() []Setting {
	const group = "Files"
	return []Setting{
		{
			Key: fileKey, Flags: []string{"config"}, Short: "c", Kind: KindString, Unit: "file", Group: group,
			Zero: "backline.toml, when there is one in the folder of the command or of chdir",
			Help: "Settings file in TOML: one `key = value` per line with the keys of this page. A key that does not exist is an error. This one cannot stand in " +
				"the file itself.",
			field: func(c *Config) any { return &c.File },
		},
		{
			Key: "pid", Flags: []string{"pid"}, Short: "p", Kind: KindString, Unit: "file", Group: group, Zero: "none",
			Help:  "File for the process id, removed at the end. Scripts that signal from a stale one hit a stranger.",
			field: func(c *Config) any { return &c.PID },
		},
		{
			Key: "temp_dir", Flags: []string{"temp-dir"}, Kind: KindString, Unit: "folder", Group: group, Zero: "the system's ($TMPDIR)",
			Help: "Folder for bodies and answers that do not fit in memory. The files have no name and vanish with the process. On a " +
				"memory file system (often /tmp) they take memory after all.",
			field: func(c *Config) any { return &c.TempDir },
		},
	}
}
