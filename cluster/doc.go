// Package cluster joins the hubs of several nodes to one: a channel.Layer that gives everything to the hub of its own
// node at once, and to the others over a bus, at most once.
//
// A bus loses packets when it is away, when a node is too slow, and when nodes cannot see each other. No publication is
// lost silently for that: each one carries its number and that of the one before it in its group from the same node.
// Who finds a gap, or was away, asks the publishing node for what it missed (ring.go has it for a while) and gets it,
// or is told that it is gone, which is counted and logged (lanes.go).
//
// Read envelope.go (what nodes say), layer.go (what goes out), loop.go (what comes in), lanes.go (in which order),
// peers.go (who is there, and who has gone), readers.go (channels that nobody owns) and enlisted.go (groups that they
// are in), news.go, recall.go (what was published before a group was here).
//
// # Locks
//
// The loop owns peers and lanes, without a lock. outbox.mu, ring.mu, calls.mu, interest.mu, news.mu and recalls.mu
// guard what others touch too; the hub is never called under one of them, and of them only outbox.mu is taken while
// ring.mu, interest.mu or news.mu is held, so that packets leave in the order of their numbers. The hub's group.mu may
// be held when ring.mu, interest.mu and recalls.mu are taken. enlisted.mu comes before all of these: the hub is called
// under it, and news.mu taken.
package cluster
