package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"backline/bus"
	"backline/bus/embedded"
	"backline/bus/nats"
	"backline/bus/redis"
	"backline/cluster"
	"backline/config"
)

// newNode joins this server to others.
func newNode(loaded *config.Loaded, log *journal) (*cluster.Node, error) {
	c := &loaded.Config
	name := c.BusName
	if name == "" {
		name = nodeName(c)
	}
	b, err := openBus(loaded, name, log.Logger)
	if err != nil {
		return nil, err
	}
	return cluster.New(cluster.Options{
		Bus: b, Name: name, Prefix: c.BusPrefix, Timeout: c.BusTimeout, Buffer: int(c.BusBuffer), Keep: c.BusKeep,
		Log: log.Logger,
	}, hubOptions(c, log)), nil
}

// nodeName is the machine's name, with the port where several servers of one machine have different ones: it is the
// same from start to start, so that others see one server that comes back and not one more.
func nodeName(c *config.Config) string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		name = "server"
	}
	name, _, _ = strings.Cut(name, ".")
	if _, port, err := net.SplitHostPort(c.BusListen); err == nil && c.Bus == "embedded" {
		name += "-" + port
	}
	return name
}

func openBus(loaded *config.Loaded, name string, log *slog.Logger) (bus.Bus, error) { //nolint:ireturn // one of three
	c := &loaded.Config
	secure, err := busTLS(loaded)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Bus == "embedded":
		host, _, _ := net.SplitHostPort(c.BusListen)
		ip := net.ParseIP(host)
		private := host == "localhost" || ip != nil && ip.IsLoopback()
		if !private && c.BusSecret == "" && secure == nil {
			return nil, loaded.Mistake("bus_listen", fmt.Errorf(
				"%s is reached from other machines, and whoever reaches it could join: set BACKLINE_BUS_SECRET (or bus_secret), "+
					"the same on all servers, or bus_ca and bus_cert", c.BusListen))
		}
		return embedded.New(embedded.Options{
			Name: name, Cluster: c.BusPrefix, Listen: c.BusListen, Peers: c.BusPeers, Secret: c.BusSecret, TLS: secure, Log: log,
		})
	case strings.HasPrefix(c.Bus, "redis") || strings.HasPrefix(c.Bus, "unix"):
		b, err := redis.New(redis.Options{URL: c.Bus, Name: "backline-" + name, TLS: secure})
		if err != nil {
			return nil, loaded.Mistake("bus", errors.New(
				"the address cannot be read: expected redis://[USER:PASSWORD@]HOST:PORT[/DB]"))
		}
		return b, nil
	default:
		return nats.New(nats.Options{URL: c.Bus, Name: "backline-" + name, TLS: secure}), nil
	}
}

// busTLS gives what bus_ca and bus_cert say, or nil.
func busTLS(loaded *config.Loaded) (*tls.Config, error) {
	c := &loaded.Config
	if c.BusCA == "" && c.BusCert == "" {
		return nil, nil //nolint:nilnil // without settings there is none
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.BusCA != "" {
		text, err := os.ReadFile(c.BusCA)
		if err != nil {
			return nil, loaded.Mistake("bus_ca", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(text) {
			return nil, loaded.Mistake("bus_ca", fmt.Errorf("%s has no certificate in PEM form", c.BusCA))
		}
		secure.ClientCAs, secure.ClientAuth = secure.RootCAs, tls.RequireAndVerifyClientCert
	}
	if c.BusCert != "" {
		pair, err := tls.LoadX509KeyPair(c.BusCert, c.BusCert)
		if err != nil {
			return nil, loaded.Mistake("bus_cert", err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	if c.Bus == "embedded" && (c.BusCA == "" || c.BusCert == "") {
		return nil, loaded.Mistake("bus_ca", errors.New(
			"bus embedded needs both bus_ca and bus_cert: each server shows the others its certificate"))
	}
	return secure, nil
}
