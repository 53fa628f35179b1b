// Package channel is the hub: channels, which carry messages from process to process, and groups, whose members get
// what is published to the group. It runs in the server, which knows when sockets, requests and workers end, so that
// memberships end with their members and need no sweep.
//
// A member is whoever gets publications: a worker process for all the channels in it that are in the group (so that
// one publication crosses to each worker once), a WebSocket that the edge delivers to itself, an answer that is held.
// The hub neither encodes nor does I/O: it hands values to members, who have room for them or not and never wait.
package channel
