// Package websocket is the server's side of WebSocket (RFC 6455) and its compression (RFC 7692) as functions of bytes:
// the fields of a handshake in, an offer out; frames in, messages out; messages in, frames out. It owns no socket, no
// goroutine and no timer, so the same code serves HTTP/1.1, HTTP/2 (RFC 8441) and an epoll loop. What takes time or
// needs a peer, the closing handshake, pings and the limits on what is unread, is its user's business.
//
// Read handshake.go and extension.go (how a connection begins), codecs.go (limits, and what connections share),
// parser.go and message.go (frames to events), writer.go (messages to frames), deflate.go (compression); frame.go and
// close.go hold the numbers.
//
// # How strict
//
//   - Frames of a client are masked, use no reserved bit that was not negotiated and no reserved opcode; control
//     frames are whole and at most 125 bytes. Anything else is 1002. Lengths need not be minimal (RFC 6455 5.2 asks
//     for it, but nothing depends on it and no server known refuses it); their top bit must be clear.
//   - Text is checked as it arrives, not when a message is whole: the first byte that cannot be UTF-8 is 1007.
//     Compressed text is checked when it has been inflated, which happens when the message is whole.
//   - Close frames have a code that may be sent, and a reason in UTF-8 (RFC 6455 7.4).
//   - After a mistake, and after a close frame, nothing more is read.
//
// # What an idle connection costs
//
// A Parser of 56 bytes and a Writer of 16. Buffers, inflaters and deflaters belong to Codecs, which all connections
// share, and are borrowed for as long as there is work for them.
package websocket
