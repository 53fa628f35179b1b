package main

import (
	"log/slog"
	"strings"

	"backline/config"
	"backline/static"
)

// openFiles opens the folders that files are served from: one that is missing is found now, not by the first client.
func openFiles(p *process, loaded *config.Loaded, log *slog.Logger) (*static.Files, error) {
	c := &loaded.Config
	dir, err := p.applicationFolder(c)
	if err != nil {
		return nil, err
	}
	options := static.Options{
		Index: c.StaticIndex, Fallthrough: c.StaticFallthrough, MaxAge: c.StaticMaxAge, OpenFiles: c.StaticOpenFiles,
		Log: log,
	}
	if c.Reload {
		options.MaxAge = 0 // who edits a file wants to see it
	}
	if options.Mounts, err = openMounts(loaded, "static", c.Static, dir); err != nil {
		return nil, err
	}
	if options.Internal, err = openMounts(loaded, "accel", c.Accel, dir); err != nil {
		return nil, err
	}
	for _, path := range absolute(c.SendfileRoot, dir) {
		folder, err := static.OpenFolder(path)
		if err != nil {
			return nil, loaded.Mistake("sendfile_root", err)
		}
		options.Roots = append(options.Roots, folder)
	}
	return static.New(options), nil
}

// openMounts reads the texts "PREFIX=FOLDER" of a setting.
func openMounts(loaded *config.Loaded, key string, texts []string, dir string) ([]*static.Mount, error) {
	mounts := make([]*static.Mount, 0, len(texts))
	for _, text := range texts {
		prefix, folder, _ := strings.Cut(text, "=")
		mount, err := static.NewMount(prefix, absolute([]string{folder}, dir)[0])
		if err != nil {
			return nil, loaded.Mistake(key, err)
		}
		mounts = append(mounts, mount)
	}
	return mounts, nil
}
