package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"backline/config"
	"backline/edge"
	"backline/systemd"
)

// activate takes systemd's sockets over where nobody has said where to listen, and connects to systemd where it wants
// to hear of the server. Somebody who has said PORT did not know of the sockets; a flag or a file is meant as it
// stands.
func (s *server) activate(ctx context.Context, loaded *config.Loaded) (err error) {
	p, pid := s.process, os.Getpid()
	if p.predecessor != nil {
		p.environ = systemd.Adopt(p.environ, pid)
	}
	p.environ = systemd.Own(p.environ, pid)
	if s.systemd, err = systemd.NewNotifier(ctx, p.environ, pid, s.log.Logger); err != nil {
		return err
	}
	sockets, err := systemd.Sockets(p.environ, pid)
	if err != nil || len(sockets) == 0 {
		return err
	}
	c := &loaded.Config
	if by := loaded.Origins["bind"]; by.Source > config.SourceForeign {
		if !slices.ContainsFunc(c.Bind, func(address string) bool { return strings.Contains(address, "fd://") }) {
			s.log.Warn("systemd's sockets are not used, because bind says where to listen", "bind", by.String(),
				"hint", fmt.Sprintf("leave bind out, or name them: --bind fd://%d", sockets[0].FD))
		}
		return nil
	}
	c.Bind = slices.Clone(c.InsecureBind)
	for _, socket := range sockets {
		address := fmt.Sprintf("fd://%d", socket.FD)
		switch socket.Name {
		case "http": // beside others that speak https
			c.Bind = append(c.Bind, "http://"+address)
		case "admin":
			c.AdminBind = address
		default:
			c.Bind = append(c.Bind, address)
		}
	}
	loaded.Origins["bind"] = config.Origin{Source: config.SourceForeign, Name: "LISTEN_FDS"}
	return nil
}

// reload replaces the workers, and has systemd wait for that.
func (s *server) reload() {
	s.systemd.Reloading("new workers come up; the old ones serve meanwhile")
	s.pools.Reload()
}

// reloaded is called when that is over.
func (s *server) reloaded(failed bool) {
	status := s.status()
	if failed {
		status += "; the last reload was abandoned, see the log"
	}
	s.systemd.Ready(status)
}

// status is a line for `systemctl status`.
func (s *server) status() string {
	first := s.pools.first()
	var text strings.Builder
	fmt.Fprintf(&text, "%s serve %s on %s", count(first.config.Workers, "worker"),
		first.serving().Application, strings.Join(s.addresses(), ", "))
	for _, each := range s.pools.all[1:] {
		fmt.Fprintf(&text, "; %s: %s", each.name, count(each.config.Workers, "worker"))
	}
	return text.String()
}

// pulse is what the watchdog looks at.
type pulse struct {
	vitals    *edge.Vitals
	pools     *pools
	listeners []*edge.Listener
	turns     []uint64
	looked    time.Time
}

func (s *server) pulse() *pulse {
	return &pulse{
		vitals: s.edge.Vitals(), listeners: s.listeners,
		pools: s.pools, turns: s.pools.turns(), looked: time.Now(),
	}
}

// check says what stands still. Whether workers answer is not asked: the supervisor replaces those that do not, and a
// server that was killed for a broken application would take the working requests with it.
func (p *pulse) check() error {
	if err := p.vitals.Check(p.listeners); err != nil {
		return err
	}
	if time.Since(p.looked) < time.Second { // the dispatcher's clock turns within that
		return nil
	}
	turns := p.pools.turns()
	for i := range turns {
		if turns[i] == p.turns[i] {
			return errors.New("a dispatcher's clock stands still")
		}
	}
	p.turns, p.looked = turns, time.Now()
	return nil
}
