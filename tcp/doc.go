// Package tcp gives connections of raw TCP to workers: whoever connects to a listener of this room is served by an
// application's function of (socket, address) from the first byte to the last, and nobody in between knows what the
// bytes mean.
//
// Read Server.accept, which takes no connection before a worker has room for it, so that those beyond wait in the
// kernel's listen queue; then Server.serve, which is one connection's way to a worker; then Worker, the connection to
// one process, over which descriptors travel (docs/protocol.md, Connections). carry.go is for TLS: a worker cannot be
// given a connection whose keys it does not have, so it gets one end of a pair of sockets, and the bytes are carried
// between the other end and the client.
//
// Server.Run owns one goroutine for the listener, one for each connection that is on its way to a worker, and three for
// each connection of TLS until it ends. Attach starts the reader of a worker's connection, which ends with that.
package tcp
