package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"backline/admin"
	"backline/config"
)

func TestExecutableIsWhatTheNameStandsForNow(t *testing.T) {
	t.Parallel()
	home, elsewhere := t.TempDir(), t.TempDir()
	for _, path := range []string{filepath.Join(home, "bin", "backline"), filepath.Join(elsewhere, "backline")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"bin/backline":                         filepath.Join(home, "bin", "backline"),
		"./bin/backline":                       filepath.Join(home, "bin", "backline"),
		filepath.Join(elsewhere, "backline"):   filepath.Join(elsewhere, "backline"),
		"a name that nobody has":               own,
		filepath.Join(elsewhere, "no", "file"): own,
	} {
		p := process{command: []string{name}, home: home}
		if got, err := p.executable(); got != want || err != nil {
			t.Errorf("%s is %s, %v; want %s", name, got, err, want)
		}
	}
}

func TestPIDFileOfAnotherProcessStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	s := &server{config: &config.Config{PID: path}}
	if err := s.claimPID(); err != nil {
		t.Fatal(err)
	}
	if written, err := os.ReadFile(path); err != nil || string(written) != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("the file has %q, %v", written, err)
	}
	s.releasePID()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is left: %v", err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.releasePID()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a successor's file is gone: %v", err)
	}
}

func TestWhyAServerIsNotReady(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stage   stage
		workers admin.Workers
		want    string
	}{
		{working, admin.Workers{Serving: 1, Starting: 3}, ""},
		{working, admin.Workers{Starting: 2, Ending: 1}, "no worker is up; 2 are starting"},
		{starting, admin.Workers{Serving: 1}, "the server starts: no worker has come up yet"},
		{upgraded, admin.Workers{Serving: 4}, "another process serves in the place of this one"},
		{stopping, admin.Workers{Serving: 4}, "the server stops"},
	} {
		s := &server{}
		s.stage.Store(int32(c.stage))
		if got := s.unready(c.workers); got != c.want {
			t.Errorf("stage %d with %+v: %q, want %q", c.stage, c.workers, got, c.want)
		}
	}
}

// TestNoUpgradeBeforeTheServerServes is also about a signal that would end a process which does not handle it.
func TestNoUpgradeBeforeTheServerServes(t *testing.T) {
	t.Parallel()
	log, err := openJournal(&config.Config{LogFile: "-"}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{config: &config.Config{}, log: log}
	s.beginUpgrade()
	if s.upgrade != nil {
		t.Error("an upgrade is under way")
	}
}
