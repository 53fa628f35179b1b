package main

import (
	"fmt"
	"strings"
	"time"

	"backline/config"
)

// greet says in a few lines what is served, where, by whom and within which bounds.
func (s *server) greet() {
	up := s.dispatcher.Serving()
	fmt.Fprintf(s.process.stderr, "backline %s serves %s (%s)\n", version, up.Application, describe(up.Interface, s.config))
	for _, l := range s.listeners {
		fmt.Fprintf(s.process.stderr, "  on        %s\n", l.Name)
	}
	fmt.Fprintf(s.process.stderr, "  with      %s, %s (%s)\n", count(s.config.Workers, "worker"), up.Interpreter, pretty(s.app.interpreter.Path))
	fmt.Fprintf(s.process.stderr, "  up to     %s connections, %s requests waiting for a worker\n", thousands(s.config.LimitConnections), thousands(s.config.QueueSize))
	fmt.Fprintf(s.process.stderr, "  ready in  %s; Ctrl-C stops\n", time.Since(s.started).Round(time.Millisecond))
	for _, note := range up.Notes {
		s.log.Info(note)
	}
}

func describe(kind string, c *config.Config) string {
	if kind == "wsgi" {
		return "WSGI, " + count(c.Threads, "thread") + " each"
	}
	return "ASGI, one event loop each"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// thousands writes 20000 as 20,000.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
