// Package config is the settings table of Backline and everything that comes from it: flags, environment variables,
// backline.toml, validation, the output of "backline settings" and docs/settings.md.
//
// Read setting.go first (what a row is), then any rows_*.go (the rows, by group), then load.go (which source wins).
// A new setting is one row and one field of Config; the tests fail until both exist and docs/settings.md is current.
//
// Only the command imports this package: it copies what each part needs into that part's own options, so that every
// other package can be built and tested without a settings file. Nothing here starts a goroutine or keeps state
// between calls, so two servers can be configured in one process.
package config

//go:generate go run ./gendocs ../docs/settings.md
