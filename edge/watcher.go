package edge

import "context"

// watcher tells connections when their sockets have bytes or room. On Linux a few goroutines with an epoll instance
// each watch all of them, so that an idle connection costs no goroutine; elsewhere there is one goroutine for each.
// Either way notice is edge-triggered: it comes once when something changes, and the connection remembers it.
type watcher interface {
	// add begins to watch c. Called under c.mu: it may be closed as soon as it can be found.
	add(c *conn) error
	// remove forgets c. Called under c.mu; the descriptor is closed right after.
	remove(c *conn)
	// detach ends the watching of a socket that will have another descriptor; remove follows. Called under c.mu.
	detach(c *conn)
	// again makes c hear once more of what its socket has or takes. Called under c.mu.
	again(c *conn)
	// rest lets eachDue pass c over until a time (Unix nanoseconds), and hurry takes that back. Called under c.mu.
	rest(c *conn, until int64)
	hurry(c *conn)
	// eachDue calls do for every connection but for those that rest at now.
	eachDue(now int64, do func(*conn))
	// each calls do for every connection that is watched.
	each(do func(*conn))
	// run watches until ctx ends.
	run(ctx context.Context)
}
