package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// TCP is one value of tcp, taken apart: where raw connections are listened for, and which function they are for.
type TCP struct {
	Address string // HOST:PORT
	TLS     bool   // encrypted with the server's certificates
	App     string // module:function
}

const tcpForm = "expected HOST:PORT=module:function, such as 127.0.0.1:5000=mymod:handle, or tls:// in front of that"

// ParseTCP reads one value of tcp.
func ParseTCP(text string) (TCP, error) {
	place, app, found := strings.Cut(text, "=")
	if !found {
		return TCP{}, fmt.Errorf("%q does not say which function has its connections: %s", text, tcpForm)
	}
	app, err := checkApp(strings.TrimSpace(app))
	if err == nil && app == "" {
		err = errors.New("there is no function after the =: " + tcpForm)
	}
	if err != nil {
		return TCP{}, err
	}
	place = strings.TrimSpace(place)
	plain := strings.TrimPrefix(place, "tls://")
	address, err := ParseAddress(strings.TrimPrefix(plain, "tcp://"))
	switch {
	case err != nil:
		return TCP{}, err
	case address.Network != "tcp" || address.Scheme != "":
		return TCP{}, fmt.Errorf("%q is no address of raw TCP: %s", place, tcpForm)
	}
	return TCP{Address: address.String(), TLS: plain != place, App: app}, nil
}

// String gives the spelling that ParseTCP reads.
func (t TCP) String() string {
	if t.TLS {
		return "tls://" + t.Address + "=" + t.App
	}
	return t.Address + "=" + t.App
}

func checkTCP(text string) (string, error) {
	t, err := ParseTCP(text)
	if err != nil {
		return "", err
	}
	return t.String(), nil
}

// addTCP makes a pool for each value of tcp: its connections wait for nobody else's requests, nor those for them.
func (l *Loaded) addTCP(add func(name string, own *Config) *Pool) (errs []error) {
	for i, text := range l.Config.TCP {
		t, err := ParseTCP(text)
		if err != nil {
			continue // it has been told: the row checks each value
		}
		own, name := l.Config, TCPPool
		own.Channels = nil
		if i > 0 {
			name += "-" + strconv.Itoa(i+1)
		}
		own.App, own.Factory = t.App, false
		if own.WorkerClass != "gevent" {
			own.WorkerClass = "threads" // whatever the application is: a connection's function blocks
		}
		pool := add(name, &own)
		pool.TCP = &t
		switch pool.Config.WorkerClass {
		case "asyncio":
			errs = append(errs, usage(pool.Origins["worker_class"].String(),
				"connections are served by a blocking function, which an event loop cannot call", "choose threads or gevent"))
		case "auto":
			pool.Config.WorkerClass = "threads"
		}
	}
	return errs
}

// combineTCP wants certificates where connections are to be encrypted, and an address for each.
func (run *loading) combineTCP() {
	c := &run.result.Config
	for i, text := range c.TCP {
		t, err := ParseTCP(text)
		if err != nil {
			continue // it has been told
		}
		if t.TLS && !c.TLS() {
			run.fail(fmt.Sprintf("tcp has %s, and there are no certificates", text),
				"name them: --certfile and --keyfile; on a developer's machine --dev-tls")
		}
		if strings.HasSuffix(t.Address, ":0") {
			continue // another free port for each
		}
		taken := t.Address == c.AdminBind
		for _, other := range c.TCP[:i] {
			before, err := ParseTCP(other)
			taken = taken || err == nil && before.Address == t.Address
		}
		for _, other := range c.Bind {
			_, place := cutScheme(other)
			taken = taken || place == t.Address
		}
		if taken {
			run.fail(t.Address+" is to be listened on for tcp and for something else", "give tcp an address of its own")
		}
	}
}
