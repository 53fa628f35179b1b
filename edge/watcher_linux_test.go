//go:build !portable

package edge

import (
	"math"
	"testing"
	"time"
)

// table makes an epoll instance's table of this many connections that rest.
func table(tb testing.TB, size int) *epoll {
	tb.Helper()
	w, err := newWatcher(nil)
	if err != nil {
		tb.Fatal(err)
	}
	e := w.(*epoll)
	tb.Cleanup(func() { _ = e.file.Close() })
	for range size {
		e.table = append(e.table, slot{conn: &conn{slot: uint64(len(e.table))}, due: math.MaxInt64})
	}
	return e
}

func TestEachDue(t *testing.T) {
	t.Parallel()
	e := table(t, 3*eventBatch)
	now := time.Now().UnixNano()
	e.hurry(e.table[7].conn)
	e.rest(e.table[8].conn, now+1)
	e.rest(e.table[2*eventBatch].conn, now)
	e.table[9] = slot{} // a free one
	var found []uint64
	e.eachDue(now, func(c *conn) { found = append(found, c.slot) })
	if len(found) != 2 || found[0] != 7 || found[1] != 2*eventBatch {
		t.Errorf("looked at %v, expected 7 and %d", found, 2*eventBatch)
	}
}

// BenchmarkEachDue is what 100,000 idle WebSockets cost each second.
func BenchmarkEachDue(b *testing.B) {
	e := table(b, 100_000)
	for b.Loop() {
		e.eachDue(1, func(*conn) { b.Fatal("none is due") })
	}
}
