package cluster

import (
	"errors"
	"sync"
	"time"

	"backline/channel"
)

// calls are questions to other nodes that wait for an answer.
type calls struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]call
}

type call struct {
	due  time.Time
	done func(answer)
}

// result is what became of a call.
type result uint8

const (
	accepted result = iota
	full            // the channel has as many messages as it may
	refused         // nobody reads there any more
	failed          // another error of the process's
	silence         // no answer came: nobody has it, or it is lost
)

// answer is a result, and of a full channel how much it holds.
type answer struct {
	result   result
	capacity int
}

// maxCalls bounds the calls that wait.
const maxCalls = 100_000

// begin gives a call its number. False: too many wait.
func (c *calls) begin(due time.Time, done func(answer)) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) >= maxCalls {
		return 0, false
	}
	c.last++
	c.waiting[c.last] = call{due, done}
	return c.last, true
}

// end tells a call its result, once.
func (c *calls) end(id uint64, a answer) {
	c.mu.Lock()
	each, found := c.waiting[id]
	delete(c.waiting, id)
	c.mu.Unlock()
	if found {
		each.done(a)
	}
}

// forget takes a call back. False: it has been told its result.
func (c *calls) forget(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, found := c.waiting[id]
	delete(c.waiting, id)
	return found
}

// expire ends those that have waited too long.
func (c *calls) expire(now time.Time) {
	c.mu.Lock()
	var over []call
	for id, each := range c.waiting {
		if now.After(each.due) {
			over = append(over, each)
			delete(c.waiting, id)
		}
	}
	c.mu.Unlock()
	for _, each := range over {
		each.done(answer{result: silence})
	}
}

// outcome turns what a process says to a sender into an answer, and err back into what a sender is told.
func outcome(err error) answer {
	if err == nil {
		return answer{result: accepted}
	}
	if e, ok := errors.AsType[*channel.FullError](err); ok {
		return answer{full, e.Capacity}
	}
	return answer{result: failed}
}

func (a answer) err(name string) error {
	switch a.result {
	case full:
		return &channel.FullError{Channel: name, Capacity: a.capacity}
	case failed, refused:
		return ErrRefused
	default:
		return nil // a channel whose owner has gone takes messages and loses them
	}
}
