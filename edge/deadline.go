package edge

import (
	"math"
	"time"

	"backline/dispatch"
	"backline/h1"
)

// lingerTime is how long a client may go on sending after our last word.
const lingerTime = 5 * time.Second

// checkDeadline ends what has taken too long. It runs once a second for every connection; a timer for each request
// would cost more than parsing it.
func (c *conn) checkDeadline() {
	c.mu.Lock()
	now, o := c.server.clock.Load(), &c.server.options
	// The clock stood at since for up to a tick, so that long it may have waited less: no limit is shorter than it says.
	waited := time.Duration(now-c.since) - tick
	switch c.phase {
	case phaseIdle:
		limit := o.KeepAlive
		if limit < 0 {
			limit = o.HeaderTimeout // it has not asked for anything yet, or its first answer would have closed it
		}
		if waited > limit {
			c.mu.Unlock()
			c.closeIfIdle() // not before a last look for the next request
			return
		}
	case phaseAnnounced:
		if waited > o.HeaderTimeout {
			c.close()
		}
	case phaseSecure:
		if waited > o.HandshakeTimeout {
			c.close()
		}
	case phaseHead:
		if waited > o.HeaderTimeout {
			c.expire("the head did not arrive in time")
		}
	case phaseCollect:
		if c.body.tooSlow(now, o) {
			c.reject(slowBody())
		}
	case phaseAnswer:
		c.checkExchange(now, waited)
	case phaseHold:
		if again := c.checkHold(now, waited); again > now {
			c.watcher.rest(c, again)
		}
	case phaseSocket:
		if again := c.checkSocket(now, waited); again > now {
			c.watcher.rest(c, again)
		}
	case phaseGiven:
		c.watcher.rest(c, math.MaxInt64)
	case phaseFlush:
		if waited > o.WriteTimeout {
			c.answer.failed = "client"
			c.broken = true
		}
	case phaseLinger:
		if waited > lingerTime {
			c.close()
		}
	case phaseClosed:
	}
	c.proceed()
}

// checkExchange looks at a body that streams and at an answer that nobody takes.
func (c *conn) checkExchange(now int64, waited time.Duration) {
	b := &c.body
	if !b.done && !b.spooled && b.window > 0 && b.tooSlow(now, &c.server.options) {
		if !c.answer.begun {
			c.page(408, reasonFor(slowBody()), 0)
		}
		c.answer.failed = "client"
		c.broken = true
	}
	if !c.out.empty() && waited > c.server.options.WriteTimeout {
		c.answer.failed = "client"
		c.broken = true
	}
}

func slowBody() *h1.Error { return &h1.Error{Status: 408, Reason: "the body arrives too slowly"} }

// expire answers 408 (RFC 9110 15.5.9).
func (c *conn) expire(reason string) {
	c.reject(&h1.Error{Status: 408, Reason: reason})
}

// idleFor is how long a connection has been between requests.
func (c *conn) idleFor(now int64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isIdle() {
		return 0
	}
	return time.Duration(now - c.since)
}

// closeIfIdle ends a connection between requests and tells whether it was. A request that has come but not been noticed
// is served first.
func (c *conn) closeIfIdle() bool {
	c.mu.Lock()
	c.canRead = true
	c.proceed()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isIdle() {
		return false
	}
	c.close()
	return true
}

// isIdle tells whether nothing is under way: between requests, or before the client has said anything at all.
func (c *conn) isIdle() bool {
	return c.phase == phaseIdle || c.phase == phaseAnnounced || c.phase == phaseSecure && c.secure == nil && len(c.in) == 0
}

// finishSoon ends a connection that idles and asks a WebSocket's client to leave.
func (c *conn) finishSoon() {
	if c.closeIfIdle() {
		return
	}
	c.mu.Lock()
	if c.phase == phaseSocket || c.phase == phaseGiven {
		c.leave()
	}
	c.proceed()
}

// cut ends a connection whatever it is doing. In the phases in which somebody may be proceeding without the lock,
// it is left to them: they still use the exchange.
func (c *conn) cut() {
	c.mu.Lock()
	c.broken = true
	switch c.phase {
	case phaseAnswer, phaseHold, phaseFlush, phaseSocket:
	case phaseGiven:
		c.endGiven(dispatch.CloseLost)
	default:
		c.close()
	}
	c.proceed()
}
