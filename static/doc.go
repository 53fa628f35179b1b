// Package static answers requests for files: those under a mount (Files.Serve), those that an application names in a
// header field (Files.ServeFile, Files.ServeInternal), and those that it sends as its body (Files.Send). It decides
// status, header fields and which bytes of which files make the body (RFC 9110 13 and 14); an Answer says so, and
// whoever holds the client's connection sends it. Nothing here writes to a socket.
//
// Read serve.go (one request from path to answer), then path.go and folder.go (which files may be reached),
// conditions.go and ranges.go (the two things that HTTP makes of a file), and cache.go (why most requests open
// nothing).
//
// Files.Run closes files that nobody has asked for lately; nothing else has a goroutine.
package static
