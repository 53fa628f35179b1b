package grip

import (
	"slices"
	"time"
)

// Sequence puts publications of one channel in order and leaves out those that have come before, by their ids. It
// has no clock: whoever uses it asks Expire when Due says so. It is not safe for several goroutines.
type Sequence struct {
	// Remember is how long an id is known; what comes again under it meanwhile is left out. 0: nothing is.
	Remember time.Duration
	// Wait is how long a publication waits for the one that it names as the one before it. 0: none waits.
	Wait time.Duration
	// Pending is how many may wait of one channel; then the one that has waited longest goes on.
	Pending int
	// IDs is how many ids are known at a time, of all channels; then the oldest is forgotten.
	IDs int

	seen    map[identity]bool
	ages    []remembered      // the same, the oldest first
	last    map[string]string // the last id of each channel, for as long as it is known
	waiting map[string][]pending
}

// identity is what makes a publication the same as another one. Some applications use an id again for something else
// (django-eventstream's kicks), so the id alone does not.
type identity struct {
	channel, id string
	digest      uint64
}

func (i *Item) identity() identity { return identity{i.Channel, i.Publication.ID, i.Digest} }

type remembered struct {
	identity
	until time.Time
}

type pending struct {
	item  Item
	until time.Time
}

// Take gives what is to be published now that a publication has come: nothing where it waits or has come before, else
// it, and those that have waited for it.
func (s *Sequence) Take(item Item, now time.Time) (ready []Item) {
	s.forget(now)
	p := item.Publication
	if p.ID != "" && s.seen[item.identity()] {
		return nil
	}
	s.remember(&item, now)
	last, known := s.last[item.Channel]
	if item.Unordered || p.PrevID == "" || !known || last == p.PrevID || s.Wait <= 0 {
		return s.follow(nil, item)
	}
	if s.waiting == nil {
		s.waiting = map[string][]pending{}
	}
	s.waiting[item.Channel] = append(s.waiting[item.Channel], pending{item, now.Add(s.Wait)})
	if len(s.waiting[item.Channel]) > s.Pending {
		return s.release(item.Channel)
	}
	return nil
}

// follow appends a publication, and those that it has been waited for by.
func (s *Sequence) follow(ready []Item, item Item) []Item {
	for {
		ready = append(ready, item)
		name, id := item.Channel, item.Publication.ID
		if id == "" || item.Unordered {
			return ready
		}
		if s.last == nil {
			s.last = map[string]string{}
		}
		if s.seen[item.identity()] {
			s.last[name] = id
		}
		next := slices.IndexFunc(s.waiting[name], func(p pending) bool { return p.item.Publication.PrevID == id })
		if next < 0 {
			return ready
		}
		item = s.take(name, next)
	}
}

// take takes one of those that wait.
func (s *Sequence) take(name string, i int) Item {
	queue := s.waiting[name]
	item := queue[i].item
	if queue = slices.Delete(queue, i, i+1); len(queue) == 0 {
		delete(s.waiting, name)
	} else {
		s.waiting[name] = queue
	}
	return item
}

// release lets the first that waits go on.
func (s *Sequence) release(name string) []Item { return s.follow(nil, s.take(name, 0)) }

// Expire gives those that have waited for long enough.
func (s *Sequence) Expire(now time.Time) (ready []Item) {
	for name := range s.waiting {
		for len(s.waiting[name]) > 0 && !s.waiting[name][0].until.After(now) {
			ready = append(ready, s.release(name)...)
		}
	}
	s.forget(now)
	return ready
}

// Due is when Expire has something to give; false: nothing waits.
func (s *Sequence) Due() (due time.Time, waits bool) {
	for _, queue := range s.waiting {
		if !waits || queue[0].until.Before(due) {
			due, waits = queue[0].until, true
		}
	}
	return due, waits
}

func (s *Sequence) remember(item *Item, now time.Time) {
	if item.Publication.ID == "" || s.Remember <= 0 {
		return
	}
	if s.seen == nil {
		s.seen = map[identity]bool{}
	}
	s.seen[item.identity()] = true
	s.ages = append(s.ages, remembered{item.identity(), now.Add(s.Remember)})
	if len(s.ages) > s.IDs {
		s.forgetFirst()
	}
}

func (s *Sequence) forget(now time.Time) {
	for len(s.ages) > 0 && !s.ages[0].until.After(now) {
		s.forgetFirst()
	}
}

func (s *Sequence) forgetFirst() {
	first := s.ages[0]
	s.ages[0] = remembered{}
	if s.ages = s.ages[1:]; len(s.ages) == 0 {
		s.ages = nil
	}
	delete(s.seen, first.identity)
	if s.last[first.channel] == first.id {
		delete(s.last, first.channel)
	}
}
