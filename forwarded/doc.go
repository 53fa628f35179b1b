// Package forwarded finds out who a request's client is, and what it asked for, when proxies stand between: from
// X-Forwarded-For, -Proto, -Host and -Port, and from Forwarded (RFC 7239). Bytes in, values out; it touches no socket.
//
// Every one of these fields can be written by anybody, so whom to believe is the whole matter. Read peers.go (who is
// believed), names.go (what is believed, and what is removed when it comes from others), rules.go (the decision), then
// list.go and node.go (the grammars).
//
// A proxy appends what it knows, so only the right end of a list can be trusted: the last element was written by the
// peer of our own connection; if it names another proxy that is believed, that one wrote the element before; and so on
// until an address that is not believed, which is the client. Everything to the left of it is the client's own
// invention. For this reason lists are read from their right end and no further than needed: what a client put on the
// left, an open quote for instance, cannot change how the rest is read.
package forwarded
