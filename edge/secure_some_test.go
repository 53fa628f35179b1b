//go:build !secure

package edge

// overTLS is for -tags secure: what holds for plain connections has to hold with TLS.
const overTLS = false
