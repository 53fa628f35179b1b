package main

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"backline/channel"
	"backline/config"
	"backline/grip"
)

func TestPublisher(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []string
		p := newPublisher(&config.Config{PublishRemember: time.Minute, PublishWait: 5 * time.Second, PublishPending: 100, PublishIDs: 100},
			func(group string, p *channel.Publication) { got = append(got, group+p.ID) })
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		item := func(id, previous string) grip.Item {
			return grip.Item{Channel: "a", Publication: &channel.Publication{ID: id, PrevID: previous}}
		}
		begun := time.Now()
		expect := func(after time.Duration, want ...string) {
			t.Helper()
			time.Sleep(after - time.Since(begun)) // of the test's own clock
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			if !slices.Equal(got, want) {
				t.Fatalf("%q, expected %q", got, want)
			}
		}
		p.take([]grip.Item{item("", ""), item("1", ""), item("1", ""), item("3", "2")})
		expect(4*time.Second, "a", "a1")
		p.take([]grip.Item{item("6", "5")})
		expect(6*time.Second, "a", "a1", "a3")
		expect(8*time.Second, "a", "a1", "a3")
		expect(10*time.Second, "a", "a1", "a3", "a6")
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
