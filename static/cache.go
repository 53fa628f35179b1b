package static

import (
	"sync"
	"time"

	"backline/negotiate"
)

// cache remembers for a second which file a name led to, and that a compressed neighbour is absent: a file that is
// asked for often is opened once a second instead of for each request. Whether a remembered file has been written to
// is looked at for each request (File.changed), so what may be a second late is only that a name leads to another
// file now. For a file with three absent neighbours that is 2 us a request instead of 36.
//
// Absent files are not remembered, only absent neighbours of files that exist: a client that makes names up would push
// out what others ask for.
//
// All places live equally long, so the order in which they came is the order in which they go.
type cache struct {
	limit int // places; 0: nothing is remembered

	mu     sync.Mutex
	places map[key]*place
	queue  []*place // oldest first; those that were replaced stay until it is their turn
}

type key struct {
	folder *Folder
	name   string
	coding negotiate.Coding
}

// place is what a name led to; no file: to nothing. It holds the file open, together with the answers that send it.
type place struct {
	key

	file    *File
	expires time.Time
	gone    bool
}

// get gives the file that is remembered for a name, for the caller to release. found without a file: there is none.
func (c *cache) get(folder *Folder, name []byte, coding negotiate.Coding, now time.Time) (file *File, found bool) {
	if c.limit == 0 {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.places[key{folder, string(name), coding}] // the compiler makes no copy of name for this
	switch {
	case p == nil || now.After(p.expires):
		return nil, false
	case p.file == nil:
		return nil, true
	case p.file.changed():
		c.forget(p)
		return nil, false
	}
	return p.file.retain(), true
}

// put remembers a file, or that there is none.
func (c *cache) put(folder *Folder, name string, coding negotiate.Coding, file *File, now time.Time) {
	if c.limit == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := key{folder, name, coding}
	if old := c.places[k]; old != nil {
		c.forget(old)
	}
	c.dropOld(now)
	// The queue is bounded by itself, because a file that is written to all the time leaves a place in it each time.
	for len(c.places) >= c.limit || len(c.queue) >= 2*c.limit {
		c.dropFirst()
	}
	p := &place{key: k, expires: now.Add(remember)}
	if file != nil {
		p.file = file.retain()
	}
	c.places[k] = p
	c.queue = append(c.queue, p)
}

// forget lets go of a place's file. The place itself leaves the queue when it is its turn.
func (c *cache) forget(p *place) {
	if p.gone {
		return
	}
	p.gone = true
	delete(c.places, p.key)
	if p.file != nil {
		p.file.release()
		p.file = nil
	}
}

// dropFirst forgets the place that came first.
func (c *cache) dropFirst() {
	c.forget(c.queue[0])
	c.queue[0] = nil
	c.queue = c.queue[1:]
}

// dropOld forgets what would not be used any more, so that its file is closed.
func (c *cache) dropOld(now time.Time) {
	for len(c.queue) > 0 && (c.queue[0].gone || now.After(c.queue[0].expires)) {
		c.dropFirst()
	}
}

// sweep forgets what is too old to be used.
func (c *cache) sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropOld(now)
}

// clear forgets everything.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 {
		c.dropFirst()
	}
}
