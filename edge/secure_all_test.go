//go:build secure

package edge

// overTLS makes every test of this package use TLS where it does not say otherwise.
const overTLS = true
