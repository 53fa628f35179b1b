package config

import (
	"fmt"
	"strings"
)

func staticRows() []Setting {
	const group = "Static files"
	return append(mountRows(group), sendfileRows(group)...)
}

func mountRows(group string) []Setting {
	return []Setting{
		{
			Key: "static", Flags: []string{"static", "static-map"}, Kind: KindStrings, Unit: "PREFIX=FOLDER", Group: group,
			Zero: "the application answers every request", check: checkMount,
			Help: "Files of FOLDER are served under PREFIX without the application, as in /static/=./staticfiles; repeatable, the longest prefix wins. " +
				"Relative folders start from chdir. A single file works too: /favicon.ico=./icons/favicon.ico. Everything in the folder becomes public " +
				"but names that begin with a dot.",
			field: func(c *Config) any { return &c.Static },
		},
		{
			Key: "static_index", Flags: []string{"static-index"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Answer a path that ends in a slash with the index.html of that folder. Without it such a path is not found, which is right for " +
				"the files of an application.",
			field: func(c *Config) any { return &c.StaticIndex },
		},
		{
			Key: "static_fallthrough", Flags: []string{"static-fallthrough"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Leave requests under a prefix to the application when there is no such file, instead of answering 404. For a prefix of / it is " +
				"needed; otherwise it only lets scanners and broken links keep workers busy.",
			field: func(c *Config) any { return &c.StaticFallthrough },
		},
		{
			Key: "static_max_age", Flags: []string{"static-max-age"}, Kind: KindDuration, Default: "60s", Unit: "seconds", Max: "8760h",
			Group: group, Zero: "clients ask every time, and mostly get 304",
			Help: "How long clients may use a file without asking again. Files with a hash of their content in the name get a year, whatever stands " +
				"here. After a deploy, pages and files may be out of step for this long. With reload it is 0.",
			field: func(c *Config) any { return &c.StaticMaxAge },
		},
		{
			Key: "static_open_files", Flags: []string{"static-open-files"}, Kind: KindInt, Default: "256", Unit: "files", Max: "100000",
			Group: group, Zero: "every request opens its file",
			Help: "Files, and absent compressed neighbours of files, that are remembered for a second. Each may hold a file descriptor. A file that is " +
				"replaced by another is served up to a second longer.",
			field: func(c *Config) any { return &c.StaticOpenFiles },
		},
	}
}

func sendfileRows(group string) []Setting {
	return []Setting{
		{
			Key: "sendfile_root", Flags: []string{"sendfile-root"}, Kind: KindStrings, Unit: "folder", Group: group,
			Zero: "X-Sendfile is passed on, and an application may send any file that it may read",
			Help: "Folders in which files lie that the application may name: by the header field X-Sendfile, and by ASGI's pathsend. Once one is " +
				"given, files elsewhere are refused with 500. Folders of static and accel count too.",
			field: func(c *Config) any { return &c.SendfileRoot },
		},
		{
			Key: "accel", Flags: []string{"accel"}, Kind: KindStrings, Unit: "PREFIX=FOLDER", Group: group,
			Zero: "X-Accel-Redirect is passed on", check: checkMount,
			Help: "Files of FOLDER are sent when the application answers with the header field X-Accel-Redirect and a path under PREFIX, as with " +
				"nginx's internal locations; clients cannot ask for them. A path under no prefix is refused with 500.",
			field: func(c *Config) any { return &c.Accel },
		},
		{
			Key: "sendfile", Flags: []string{"sendfile"}, Kind: KindBool, Default: "true", Unit: "switch", Group: group,
			Help: "Send files inside the kernel, with sendfile(2). Off, they are read and written; some shared folders of virtual machines send " +
				"old or broken content otherwise.",
			field: func(c *Config) any { return &c.Sendfile },
		},
	}
}

// checkMount wants PREFIX=FOLDER with a prefix from the top. Whether the folder is there is for the one who opens it.
func checkMount(text string) (string, error) {
	prefix, folder, found := strings.Cut(text, "=")
	if !found || folder == "" || !strings.HasPrefix(prefix, "/") {
		return "", fmt.Errorf("%q is no PREFIX=FOLDER with a prefix that begins with /: expected for example /static/=./staticfiles",
			text)
	}
	if strings.ContainsAny(prefix, "?#%") || strings.Contains(prefix, "//") || strings.Contains(prefix, "/../") {
		return "", fmt.Errorf("the prefix %q cannot be the beginning of a path: expected for example /static/", prefix)
	}
	return text, nil
}
