// Package systemd speaks the two small protocols between systemd and a service: listening sockets that systemd has
// opened (sockets.go, sd_listen_fds(3)) and what the service tells it (notify.go, sd_notify(3); watchdog.go,
// sd_watchdog_enabled(3)). Both are environment variables and one datagram socket; no library is needed for them.
package systemd

import (
	"slices"
	"strconv"
	"strings"
)

// variables are meant for the process that systemd has started, and for none that it starts itself.
func variables() []string {
	return []string{
		"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
	}
}

// Environ gives an environment without the variables of these protocols, for processes that are no services of
// systemd's themselves.
func Environ(environ []string) []string { return slices.DeleteFunc(slices.Clone(environ), isOurs) }

func isOurs(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	return slices.Contains(variables(), name)
}

// Own gives an environment without those of the variables that name another process than the one with number pid: they
// have been inherited from a parent that they were meant for, and would be passed on.
func Own(environ []string, pid int) []string {
	foreign := func(variable string) bool { return lookup(environ, variable) != "" && !forUs(environ, variable, pid) }
	sockets, watchdog := foreign("LISTEN_PID"), foreign("WATCHDOG_PID")
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		return isOurs(entry) &&
			(sockets && strings.HasPrefix(entry, "LISTEN_") || watchdog && strings.HasPrefix(entry, "WATCHDOG_"))
	})
}

// Adopt gives the environment of a process that was the service until now to the one with number pid, which takes its
// place.
func Adopt(environ []string, pid int) []string {
	adopted := slices.Clone(environ)
	for i, entry := range adopted {
		if name, _, _ := strings.Cut(entry, "="); name == "LISTEN_PID" || name == "WATCHDOG_PID" {
			adopted[i] = name + "=" + strconv.Itoa(pid)
		}
	}
	return adopted
}

// lookup gives the last value of a variable, as a process sees it.
func lookup(environ []string, name string) string {
	for _, entry := range slices.Backward(environ) {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}

// forUs tells whether the process that a variable names is the one with number pid: the variables may have been
// inherited from a parent that they were meant for.
func forUs(environ []string, name string, pid int) bool {
	return lookup(environ, name) == strconv.Itoa(pid)
}
