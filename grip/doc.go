// Package grip is the GRIP protocol (https://pushpin.org/docs/protocols/grip/) as functions of bytes: what an answer of
// a worker's tells the edge to do with it (Read), what publishers send (ParsePublish), the filters that both may name,
// and the tokens by which the two sides know each other. It does no I/O and holds nothing: package edge does.
package grip
