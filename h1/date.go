package h1

import (
	"sync/atomic"
	"time"
)

// imfFixdate is the one form a sender may use (RFC 9110 5.6.7).
const imfFixdate = "Mon, 02 Jan 2006 15:04:05 GMT"

// AppendDate appends t as an IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT".
func AppendDate(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, imfFixdate) }

// DateCache formats the date once a second. The zero value is ready, and safe for concurrent use: two goroutines at the
// turn of a second may both format, with the same result.
type DateCache struct {
	last atomic.Pointer[formatted]
}

// formatted is never changed once stored.
type formatted struct {
	second int64
	text   [len(imfFixdate)]byte
}

// Append appends now as AppendDate does.
func (d *DateCache) Append(dst []byte, now time.Time) []byte {
	second := now.Unix()
	entry := d.last.Load()
	if entry == nil || entry.second != second {
		entry = &formatted{second: second}
		AppendDate(entry.text[:0], now)
		d.last.Store(entry)
	}
	return append(dst, entry.text[:]...)
}
