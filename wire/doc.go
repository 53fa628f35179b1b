// Package wire is the worker protocol: values to bytes and bytes to values, never a socket of its own.
//
// A packet is a little-endian u32 length and one encoded list of messages; a message is a tuple that begins with its
// kind and, but for the handshake, the stream it belongs to. Any number of messages ride in one packet: whoever writes
// takes what queued while the previous write was under way, so that system calls and wake-ups are shared by all
// requests in flight. docs/protocol.md describes the conversation for those who write a worker in another language;
// python/backline/wire.py is the other end; wire/testdata holds vectors that both sides' tests read.
//
// Read messages.go first (the table of kinds), then codec.go and cursor.go (what a value looks like, written and read),
// request.go with environ.go and answer.go with field.go (the two messages that matter for speed), packet.go, and
// hello.go with values.go (the handshake). begun.go is beside the packets: memory that outlives a worker.
//
// Two codecs, told apart by a packet's first byte: marshal, because CPython decodes a whole packet of requests in one
// call of its standard library (measured: a third of the time of a pure-Python msgpack), and msgpack for every other
// language. Python decodes marshal only from its parent, which it trusts as it trusts its own files. This side treats
// every byte as hostile: lengths are checked before they are believed, depth is bounded, nothing panics, errors stick.
// What an application did wrong (a status, a header field) is told apart from what a worker did wrong: the one is
// Message.Bad and costs an answer, the other is an error and costs the worker.
package wire
