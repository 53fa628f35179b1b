// Package control is how commands (backline ps, stacks, profile) speak with a running server: HTTP/1.1 with JSON over a
// Unix socket that only the server's own user can open. It is no edge for clients, so net/http serves it.
//
//	GET  /v1/server              which server this is
//	GET  /v1/status              workers, requests in flight, what waits
//	GET  /v1/stacks?worker=W     the stacks of all workers, or of one
//	POST /v1/profile?worker=W&seconds=S&rate=R
//
// A change that an older command would misunderstand raises the number in the path. Read place.go for where sockets
// are, server.go for the server's side, client.go for the command's; the other files are what they say.
//
// Server.Run owns the goroutines of its side; the client's calls start none that outlive them.
package control
