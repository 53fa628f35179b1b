package ratelimit

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Rate is how many requests are allowed in how much time.
type Rate struct {
	Requests int
	Per      time.Duration
}

// maxRequests keeps the time between two requests well above the clock's nanosecond.
const maxRequests = 1_000_000

// ParseRate reads "100/s", "600/m" or "5000/h".
func ParseRate(text string) (Rate, error) {
	number, unit, found := strings.Cut(text, "/")
	if !found {
		return Rate{}, fmt.Errorf("%q is not a rate: expected requests per second, minute or hour, such as 100/s", text)
	}
	per := time.Second
	switch strings.TrimSpace(unit) {
	case "s":
	case "m":
		per = time.Minute
	case "h":
		per = time.Hour
	default:
		return Rate{}, fmt.Errorf("%q has no unit of time: expected /s, /m or /h, such as 100/s", text)
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if errors.Is(err, strconv.ErrRange) || n > maxRequests {
		return Rate{}, fmt.Errorf("%q is more than can be counted: allowed is 1 to %d", text, maxRequests)
	}
	if err != nil || n < 1 {
		return Rate{}, fmt.Errorf("%q has no number of requests: expected 1 or more, such as 100/s", text)
	}
	return Rate{Requests: n, Per: per}, nil
}

// Requests limits the requests of each address: a token bucket (or the leaky bucket that is its mirror). Its methods
// may be called by any goroutine.
//
// A bucket is one number: the time at which it will be full again. So a bucket that has filled up looks like one that
// never was, and may be forgotten without loss. The table has a fixed size: an address belongs to one of many small
// groups of places, by a secret hash, and a newcomer to a full group takes the place of the bucket that is nearest to
// full. Whoever sends from ever new addresses therefore pushes out his own last ones, of which little is known, and
// hardly ever an address that has used its bucket up.
type Requests struct {
	interval time.Duration // in which one request's worth flows in
	slack    time.Duration // by which a bucket may be short of full before a request is too many
	seed     maphash.Seed
	shift    int // of a hash, to the number of a group
	locks    [shards]sync.Mutex
	groups   []group
}

// group is where an address may be: two lines of a processor's cache.
type group [places]bucket

const places = 8

type bucket struct {
	key  key
	full time.Duration // when it will be, on the caller's clock; 0 for a place that was never taken
}

// NewRequests makes a limit. burst is how many requests may come at once, 0 for as many as the rate names; addresses is
// how many are remembered, rounded up to a power of two, 512 at least, at 16 bytes each.
func NewRequests(rate Rate, burst, addresses int) *Requests {
	if burst <= 0 {
		burst = rate.Requests
	}
	interval := rate.Per / time.Duration(rate.Requests)
	exponent := bits.Len(uint(max(addresses, shards*places)-1) / places)
	return &Requests{
		interval: interval, slack: time.Duration(burst-1) * interval, seed: maphash.MakeSeed(),
		shift: 64 - exponent, groups: make([]group, 1<<exponent),
	}
}

// Take counts a request. now is the time on a clock that never goes back and is above 0. wait is 0 for a request that
// may go on; else it does not count, and the next one would be allowed after wait.
func (r *Requests) Take(a netip.Addr, now time.Duration) (wait time.Duration) {
	k := keyOf(a)
	at := spread(r.seed, k) >> r.shift
	lock := &r.locks[at%shards]
	lock.Lock()
	defer lock.Unlock()
	b := r.groups[at].find(k)
	full := max(b.full, now)
	if wait = full - now - r.slack; wait > 0 {
		return wait
	}
	b.full = full + r.interval
	return 0
}

// find gives the address's bucket, or makes one where the least is lost.
func (g *group) find(k key) *bucket {
	nearest := &g[0]
	for i := range g {
		b := &g[i]
		if b.key == k && b.full != 0 {
			return b
		}
		if b.full < nearest.full {
			nearest = b
		}
	}
	*nearest = bucket{key: k}
	return nearest
}
