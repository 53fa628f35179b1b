package channeltest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"backline/channel"
)

// everythingAtOnce: processes come, join, read, publish, leave and go, all at the same time. One that stays gets every
// publication of every other one, each sender's in order; every message to a channel that nobody owns has one reader;
// and nothing is left.
func everythingAtOnce(t *testing.T, c *cluster) {
	const goroutines, rounds = 8, 30
	stays := c.process(0)
	c.join("room", stays, c.everywhere()...)
	var working sync.WaitGroup
	passing := make([]*Process, goroutines)
	for g := range goroutines {
		layer := c.on(g)
		working.Go(func() {
			for i := range rounds {
				p := &Process{layer: layer, id: fmt.Sprintf("g%dr%d", g, i), changed: make(chan struct{}, 1)}
				passing[g] = p
				if err := layer.Attach(p.id, p); err != nil {
					t.Error(err)
				}
				restless(p, g, i)
			}
		})
	}
	working.Wait()
	await(t, stays, "every publication", func() bool { return stays.count() == goroutines*rounds })
	inRow(t, stays, goroutines, rounds)
	for _, p := range passing {
		if extra := slices.DeleteFunc(p.all(), func(s string) bool {
			name, _, _ := strings.Cut(s, ":")
			return name == "room" || name == "thumbs" || name == "late" || strings.HasPrefix(name, "own")
		}); len(extra) > 0 {
			t.Errorf("%s got %q", p.id, extra)
		}
	}
}

// restless does everything in a process's short life.
func restless(p *Process, g, i int) {
	own := fmt.Sprint("own", g)
	p.layer.Join(own, p)
	p.layer.Join("room", p)
	p.layer.Read("thumbs", p, 2)
	p.layer.Publish("room", &channel.Publication{Message: message(fmt.Sprintf("%d %d", g, i))})
	p.layer.Publish(own, &channel.Publication{Message: message("1")})
	p.layer.Send("thumbs", message("1"), func(error) {})
	p.layer.Enlist(own, "thumbs", i%2 == 0, func(error) {})
	p.layer.Read("thumbs", p, -1)
	if i%3 == 0 {
		p.layer.Leave("room", p)
	}
	var detaching sync.WaitGroup
	detaching.Go(func() { p.layer.Detach(p.id) })
	p.layer.Join("late", p)
	p.layer.Publish("late", &channel.Publication{Message: message("1")})
	detaching.Wait()
}
