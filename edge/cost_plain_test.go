//go:build !race && linux && !portable

package edge

// What a request may allocate beyond nothing, and an idle connection may take in bytes.
const (
	raceCost       = 0
	idleCost       = 2000
	idleSecureCost = 12_000
	longAnswer     = 64 << 20
)
