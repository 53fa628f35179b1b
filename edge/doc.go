// Package edge holds the clients: it accepts their connections, reads requests from them with package h1, gives each to
// a Handler as a dispatch.Exchange, and writes the answer that comes back.
//
// Read server.go, conn.go (a connection as a state machine), body.go and answer.go (the two ways that bytes go), then
// watcher.go and deadline.go (what makes a connection move). TLS lies between a connection and its socket: secure.go,
// with secure_handshake.go for how it begins. HTTP/2 and HTTP/3 are left to net/http and quic-go (http2.go, http3.go),
// whose requests are streams (stream.go); what is the same for them and for a conn is in outgoing.go and body.go. Who
// is believed and who is let in is decided in gate.go.
//
// A connection has no goroutine of its own on Linux: an event, an answer or the clock moves it on, until it has to wait
// again. The build tag "portable" gives Linux what other systems get, for the tests.
package edge
