// Package channel is the hub: channels, which carry messages from process to process, and groups, whose members get
// what is published to the group. It runs in the server, which knows when sockets, requests and workers end, so that
// memberships end with their members and need no sweep.
//
// A member is whoever gets publications: a worker process for all the channels in it that are in the group (so that
// one publication crosses to each worker once), a WebSocket that the edge delivers to itself, an answer that is held.
// The hub neither encodes nor does I/O: it hands values to members, who have room for them or not and never wait.
//
// Read layer.go (what it does), hub.go, group.go (publish and join), queue.go (channels that nobody owns), pattern.go
// (those whose names a reader does not know), history.go and ring.go (what was published before), origins.go (by which
// node), presence.go (who is there).
//
// # Locks
//
// In this order; what stands on one line is never held together:
//
//	group.turn         one publication at a time in a group: members get publications in the order of their positions
//	attachment.mu      whether a process is still attached, and its groups
//	group.mu           members, enlisted channels, the ring
//	shard.mu, processes.mu, kept.mu, presence.mu, drops.mu
//	patterns.mu        which channels have something for whoever reads by a pattern
//
// Only group.turn is held while members are called (Deliver; Take, for channels in groups). So a member may Join and
// Leave, which never take a turn, with its own locks held. Publish and JoinFrom take turns: they are called with no
// lock held that a Deliver takes, and never from one. Queues call Take, and everybody calls done, with no lock held.
package channel
