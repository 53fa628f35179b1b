package supervisor

import "time"

// Backoff says how long a place stays empty after its worker died. The first death is never waited for.
type Backoff struct {
	// Min is the pause after the second death in a row; each further one doubles it. 0 means 100 ms.
	Min time.Duration
	// Max bounds the pause. 0 means 10 s. A larger value saves work while an application is broken and delays its
	// return once it is mended.
	Max time.Duration
	// Stable is how long a worker must have been up for its death to count as the first again. 0 means 1 s: a crash
	// loop is about deaths at once, and an application that is killed every few seconds still needs its workers back.
	Stable time.Duration
}

// The defaults of Backoff.
const (
	defaultBackoffMin    = 100 * time.Millisecond
	defaultBackoffMax    = 10 * time.Second
	defaultBackoffStable = time.Second
)

// respawn remembers the deaths of one place.
type respawn struct {
	limits Backoff
	deaths int // in a row, none of them after a stable life
	delay  time.Duration
}

// after gives the pause before the next start, when the last worker was up for uptime (0: it never came up).
func (r *respawn) after(uptime time.Duration) time.Duration {
	if uptime >= r.limits.Stable {
		r.reset()
	}
	r.deaths++
	switch r.deaths {
	case 1:
		r.delay = 0
	case 2:
		r.delay = r.limits.Min
	default:
		r.delay = min(2*r.delay, r.limits.Max)
	}
	return r.delay
}

func (r *respawn) reset() { r.deaths, r.delay = 0, 0 }
