package cluster

import (
	"sync"
	"time"
)

// interest is what this node wants to hear: the groups that have somebody here, each by one subscription.
type interest struct {
	mu     sync.Mutex
	groups map[string]*subscription
	idle   map[string]*subscription // those whose last member has left
	fresh  []string                 // those that are new since fresher was called
	older  []string                 // those before
}

type subscription struct {
	since time.Time // when the group came to be wanted: what was published before is not missed
	ended time.Time // when its last member left; zero while there are any
}

// linger is how long a subscription outlives its last member, who perhaps loads another page.
const linger = 2 * time.Second

// want begins or ends a group. True: it has to be subscribed to.
func (i *interest) want(group string, begins bool, now time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.groups[group]
	switch {
	case begins && s == nil:
		i.groups[group] = &subscription{since: now}
		i.fresh = append(i.fresh, group)
		return true
	case begins:
		s.ended = time.Time{}
		delete(i.idle, group)
	case s != nil:
		s.ended = now
		i.idle[group] = s
	}
	return false
}

// since gives from when on a group is heard. False: it is not.
func (i *interest) since(group string) (time.Time, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.groups[group]
	if s == nil {
		return time.Time{}, false
	}
	return s.since, true
}

// settle gives the groups that have been subscribed to for at least as long as since the last call. The bus knows of
// them by now; what was published before it did is asked for, once.
func (i *interest) settle() map[string]time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	settled := make(map[string]time.Time, len(i.older))
	for _, group := range i.older {
		if s := i.groups[group]; s != nil {
			settled[group] = s.since
		}
	}
	i.older, i.fresh = i.fresh, nil
	return settled
}

// all gives every group that is heard, and since when.
func (i *interest) all() map[string]time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make(map[string]time.Time, len(i.groups))
	for group, s := range i.groups {
		all[group] = s.since
	}
	return all
}

func (i *interest) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.groups)
}

// over ends what nobody has wanted for a while. end is called with the lock held: a member that comes meanwhile
// subscribes after it.
func (i *interest) over(now time.Time, end func(group string)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for group, s := range i.idle {
		if now.Sub(s.ended) >= linger {
			delete(i.idle, group)
			delete(i.groups, group)
			end(group)
		}
	}
}
