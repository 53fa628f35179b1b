// Package session joins one process to the hub: what it sends becomes values, and what the hub has for it messages. A
// worker's session runs over its control connection, that of any other process over one of its own (Serve). Begin with
// session.go.
package session
