// Package dispatch gives requests to workers. The Dispatcher picks the ready worker with the fewest requests in flight,
// or keeps a request in its queue until one is free; an Exchange is one request and its answer, on the way between a
// client's connection and a worker; a WorkerConn is the connection to one worker process.
//
// Read dispatcher.go, exchange.go, workerconn.go, then watch.go (everything that happens because time passes).
//
// Goroutines: one reader and one writer for each WorkerConn, which end when the worker's connection ends, and the one
// in Dispatcher.Run that watches the clock. Submit and everything else run on the caller's goroutine. There is one
// lock, Dispatcher.mu; it guards the queue and every worker's streams and outgoing batch, it is never held while a
// Client is called or a system call is made, and no other lock is taken under it. With it a request costs two
// uncontended acquisitions, some 40 ns; locks for each worker were rejected because choosing a worker needs to see them
// all.
package dispatch
