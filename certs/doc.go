// Package certs has the certificates that clients see: those of files, chosen by the name that a client asks for and
// read again when they change; those that an ACME authority issues and renews (RFC 8555); and one for development. It
// gives the edge a *tls.Config and never touches a connection itself.
//
// Read store.go first: a Store is made with New, which reads the files; Run looks after them until its context ends and
// owns every goroutine. files.go turns files into certificates, or into errors that say what is wrong with them;
// names.go finds the certificate for a name; clients.go is about the certificates that clients present; acme.go obtains
// and renews, with explain.go for what authorities refuse; plain.go answers what comes without TLS; dev.go makes
// certificates for localhost.
package certs
