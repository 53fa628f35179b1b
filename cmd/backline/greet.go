package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// greet says in a few lines what is served, where, by whom and within which bounds. A log of JSON objects gets it as
// one of them.
func (s *server) greet() {
	first := s.pools.first()
	up, took := first.serving(), time.Since(s.started).Round(time.Millisecond)
	if s.config.LogFormat == "json" {
		s.log.Info("serving",
			"version", version, "application", up.Application, "interface", up.Interface, "on", s.addresses(),
			"workers", first.config.Workers, "interpreter", up.Interpreter, "python", first.app.interpreter.Path,
			"connections", s.capacity.connections, "queue", first.config.QueueSize, "ready_in", took)
		for i, each := range s.pools.all[1:] {
			up := each.serving()
			s.log.Info("pool", "pool", each.name, "application", up.Application, "interface", up.Interface,
				"workers", each.config.Workers, "queue", each.config.QueueSize, "for", s.pools.purpose(i+1))
		}
	} else {
		s.greetPeople(took)
	}
	if node := s.pools.channels.node; node != nil && s.config.LogFormat == "json" {
		s.log.Info("on a bus", "bus", node.Bus(), "node", node.Name(), "id", node.ID())
	}
	for _, each := range s.pools.all {
		for _, note := range each.serving().Notes {
			s.log.Info(note, "pool", each.name)
		}
	}
}

func (s *server) greetPeople(took time.Duration) {
	first := s.pools.first()
	up := first.serving()
	var text strings.Builder
	say := func(what, format string, args ...any) {
		fmt.Fprintf(&text, "  %-9s %s\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&text, "backline %s serves %s (%s)\n", version, up.Application, first.describe())
	for i, each := range s.pools.all[1:] {
		say(each.name, "%s (%s), %s, for %s", each.serving().Application, each.describe(),
			count(each.config.Workers, "worker"), s.pools.purpose(i+1))
	}
	for _, address := range s.addresses() {
		say("on", "%s", address)
	}
	if s.admin != nil {
		say("health", "/-/health on %s", s.adminListener.Name)
	}
	if node := s.pools.channels.node; node != nil {
		say("bus", "%s, as %s", node.Bus(), node.Name())
	}
	if s.certificates != nil && s.config.DevTLS {
		say("trust", "%s", s.certificates.howToTrust())
	}
	say("with", "%s, %s (%s)", count(first.config.Workers, "worker"), up.Interpreter, pretty(first.app.interpreter.Path))
	say("up to", "%s, %s waiting for a worker", s.capacity, count(first.config.QueueSize, "request"))
	say("ready in", "%d ms; Ctrl-C stops", took.Milliseconds())
	fmt.Fprint(s.process.stderr, text.String())
}

func (s *server) addresses() []string {
	all := make([]string, 0, len(s.listeners))
	for _, l := range s.listeners {
		all = append(all, l.Name)
	}
	return all
}

func (p *pool) describe() string {
	up := p.serving()
	switch up.Loop {
	case "gevent":
		return interfaceName(up.Interface) + ", " + count(p.config.WorkerConnections, "greenlet") + " each"
	case "threads":
		return interfaceName(up.Interface) + ", " + count(p.config.Threads, "thread") + " each"
	default:
		return interfaceName(up.Interface) + ", one event loop each"
	}
}

// interfaceName is how people write "wsgi" and "asgi".
func interfaceName(kind string) string {
	if kind == socketsInterface {
		return kind
	}
	return strings.ToUpper(kind)
}

// String says how many clients, and what keeps it from being more.
func (c capacity) String() string {
	clients := count(c.connections, "connection")
	if c.files > 0 {
		clients += " (ulimit -n is " + thousands(c.files) + ")"
	}
	return clients
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}

// thousands writes 20000 as 20,000.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
