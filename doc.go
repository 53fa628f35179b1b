// Package backline is the vocabulary of the server: what a request is (Scope, Field, Addr), and what an error for
// people is (Error). It does no I/O and imports nothing of the project; every other package may import it.
//
// The Go packages are the program's rooms, not a library: they may change in any release. What is stable is the
// command line, the settings, the worker protocol (docs/protocol.md) and the Python package.
//
// The path of a request, in reading order:
//
//	edge/listener.go       a connection is accepted and handed to a poller
//	edge/conn.go           its bytes become requests, one at a time
//	h1/parse.go            HTTP/1.1, parsed once and strictly
//	dispatch/dispatcher.go a worker is chosen, or the request waits in a queue
//	dispatch/exchange.go   one request and its answer, whoever holds them
//	dispatch/workerconn.go packets to and from one worker process
//	wire/                  the worker protocol: values to bytes and back
//	python/backline/wire.py               its other end
//	python/backline/loops/threads.py      or gevent.py, asyncio.py: how a worker waits
//	python/backline/wsgi.py               or asgi.py: how an application is called
package backline
