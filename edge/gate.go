package edge

import (
	"sync/atomic"
	"time"

	"backline"
	"backline/forwarded"
	"backline/ratelimit"
)

// Gate says who is believed, and who is let in.
type Gate struct {
	// Forwarded are the proxies that are believed about their clients. Fields of others that claim to know are removed;
	// the zero value believes nobody.
	Forwarded forwarded.Rules
	// Hosts are those that are served; others get 421. Default: every one.
	Hosts Hosts
	// Rate limits the requests of one client's address; over it 429. nil: no limit.
	Rate *ratelimit.Requests
	// PerAddress is how many connections an address may have at once; further ones are closed. 0: no limit.
	PerAddress int
	// Exempt are clients without these two limits.
	Exempt forwarded.Peers
	// Announced: connections of Announcers begin with a PROXY header, which tells whose they are. Those that do not are
	// closed, and those of others that do.
	Announced  bool
	Announcers forwarded.Peers
}

// refusal is why a well-formed request is not served.
type refusal struct {
	status int
	reason string // one sentence for the client
	wait   int    // seconds for Retry-After, 0 for none
	fields []backline.Field
}

// gate looks at a request of any HTTP version after its head is parsed and before anything is done for it. It may
// change the scope: afterwards that tells of the client, where a proxy is believed about it. nil: go on.
func (s *Server) gate(scope *backline.Scope) *refusal {
	g, peer := &s.options.Gate, scope.Client
	if g.Forwarded.Apply(scope) == forwarded.Removed {
		s.explainRemoved(peer)
	}
	if g.Rate != nil {
		if no := s.limitRate(scope, peer); no != nil {
			return no
		}
	}
	if !g.Hosts.all() && !g.Hosts.serve(scope.Fields) {
		return &refusal{status: 421, reason: "This server does not serve the host that was asked for."}
	}
	return s.unencrypted(scope)
}

// limitRate counts a request. Where nobody told the client's address, it is the peer's: if that is a proxy, all its
// clients together soon have too many requests, which is seen and explained, while not to count them would leave the
// site without the limit that somebody asked for.
func (s *Server) limitRate(scope *backline.Scope, peer backline.Addr) *refusal {
	g, client := &s.options.Gate, forwarded.Address(scope.Client)
	if g.Exempt.Contains(client) {
		return nil
	}
	wait := g.Rate.Take(client, time.Since(s.started))
	if wait == 0 {
		return nil
	}
	if s.notices.rate.due(s.clock.Load(), time.Minute) {
		more := []any{"address", scope.Client.Host}
		if scope.Client == peer && g.Forwarded.Peers.Contains(client) {
			more = append(more, "hint", "it is one of forwarded_allow_ips: have it say who its clients are, by X-Forwarded-For")
		}
		s.options.Log.Warn("an address sends more requests than limit_rate allows, and gets 429", more...)
	}
	seconds := int((wait + time.Second - 1) / time.Second)
	return &refusal{status: 429, reason: "There are too many requests from this address.", wait: seconds}
}

// explainRemoved says, where a proxy may be meant, why the application sees nothing of what it tells. What strangers
// send from the Internet is not worth a line.
func (s *Server) explainRemoved(peer backline.Addr) {
	a, who := forwarded.Address(peer), peer.Host
	if a.IsValid() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
		return
	}
	if !a.IsValid() {
		who = "unix"
	}
	if s.notices.removed.due(s.clock.Load(), time.Hour) {
		s.options.Log.Warn("forwarded header fields are removed: their sender is not one of forwarded_allow_ips",
			"sender", who, "hint", "if it is your proxy, add --forwarded-allow-ips "+who)
	}
}

// notices are what is worth a line of the log once in a while, but not each time.
type notices struct{ removed, rate, crowd, announced, lost, presence notice }

// notice is when it was said last, by the server's clock.
type notice struct{ last atomic.Int64 }

// due tells whether it is time to say it, and that it is said now.
func (n *notice) due(now int64, every time.Duration) bool {
	last := n.last.Load()
	return (last == 0 || now-last >= int64(every)) && n.last.CompareAndSwap(last, now)
}
