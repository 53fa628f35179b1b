package edge

import "backline/grip"

// Recover has everybody who waits ask once more, as if something had been missed: streams their next link, and long
// polls their view. Streams without a link go on.
func (s *Server) Recover() {
	s.each(func(c *conn) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.hold.recover()
	})
	s.streams.each(func(st *stream) {
		st.mu.Lock()
		defer st.mu.Unlock()
		st.hold.recover()
	})
}

// recover is called under the owner's lock, who hears of it later.
func (h *hold) recover() {
	if h == nil || h.in.Mode != grip.Response && h.in.Next.URI == "" {
		return
	}
	h.mu.Lock()
	h.lost = true
	h.mu.Unlock()
	h.wake()
}
