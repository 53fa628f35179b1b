package edge

import "backline"

// refusal is why a well-formed request is not served.
type refusal struct {
	status int
	reason string // one sentence for the client
	wait   int    // seconds for Retry-After, 0 for none
}

// gate looks at a request of any HTTP version after its head is parsed and before anything is done for it. It may change
// the scope. nil: go on.
func (s *Server) gate(*backline.Scope) *refusal { return nil }
