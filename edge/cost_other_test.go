//go:build race || !linux || portable

package edge

// The race detector empties pools at random, and the portable watcher has two goroutines for each connection: there the
// bounds only find leaks.
const (
	raceCost       = 20
	idleCost       = 20_000
	idleSecureCost = 60_000
	longAnswer     = 8 << 20 // the detector makes each byte dear
)
