package main

import (
	"backline/config"
	"backline/edge"
	"backline/forwarded"
	"backline/ratelimit"
)

// gateOptions makes what decides about a client out of the settings that say whom to believe and whom to let in.
func gateOptions(loaded *config.Loaded) (g edge.Gate, err error) {
	c := &loaded.Config
	for _, list := range []struct {
		key   string
		texts []string
		peers *forwarded.Peers
	}{
		{"forwarded_allow_ips", c.ForwardedAllowIPs, &g.Forwarded.Peers},
		{"proxy_allow_from", c.ProxyAllowFrom, &g.Announcers},
		{"limit_exempt", c.LimitExempt, &g.Exempt},
	} {
		if *list.peers, err = forwarded.ParsePeers(list.texts); err != nil {
			return g, loaded.Mistake(list.key, err)
		}
	}
	if g.Forwarded.Headers, err = forwarded.ParseHeaders(c.ForwardedHeaders); err != nil {
		return g, loaded.Mistake("forwarded_headers", err)
	}
	if g.Hosts, err = edge.ParseHosts(c.AllowedHosts); err != nil {
		return g, loaded.Mistake("allowed_hosts", err)
	}
	g.Announced, g.PerAddress = c.ProxyProtocol, c.LimitConnectionsPerAddress
	if c.LimitRate == "" {
		return g, nil
	}
	rate, err := ratelimit.ParseRate(c.LimitRate)
	if err != nil {
		return g, loaded.Mistake("limit_rate", err)
	}
	g.Rate = ratelimit.NewRequests(rate, c.LimitBurst, c.LimitAddresses)
	return g, nil
}
