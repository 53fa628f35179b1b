package accesslog

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"backline"
)

// jsonTime is RFC 3339 with milliseconds.
const jsonTime = "2006-01-02T15:04:05.000Z07:00"

// appendJSON writes the object by hand: encoding/json would allocate, and would leave U+009B and U+2028 as they are,
// which terminals and line splitters act upon. Every key is always there, in this order; a release may add keys at the
// end.
func appendJSON(dst []byte, r *Record, scope *backline.Scope) []byte {
	dst = append(dst, `{"time":"`...)
	dst = r.Start.AppendFormat(dst, jsonTime)
	dst = appendMember(append(dst, '"'), "client", scope.Client.Host)
	dst = appendMember(dst, "method", scope.Method)
	dst = appendMember(dst, "path", scope.Path)
	dst = appendMember(dst, "query", scope.Query)
	dst = append(dst, `,"protocol":"`...)
	if scope.Version != "" {
		dst = append(append(dst, "HTTP/"...), scope.Version...)
	}
	dst = append(dst, `","status":`...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, `,"bytes":`...)
	dst = strconv.AppendInt(dst, r.Bytes, 10)
	dst = append(dst, `,"duration_ms":`...)
	dst = appendMilliseconds(dst, r.Duration)
	dst = append(dst, `,"queue_ms":`...)
	dst = appendMilliseconds(dst, r.Queue)
	dst = appendMember(dst, "worker", r.Worker)
	dst = append(dst, `,"pid":`...)
	dst = strconv.AppendInt(dst, int64(r.PID), 10)
	dst = appendMember(dst, "referer", find(scope.Fields, "referer"))
	dst = appendMember(dst, "user_agent", find(scope.Fields, "user-agent"))
	dst = appendMember(dst, "aborted", r.Aborted)
	return append(dst, "}\n"...)
}

// appendMember adds ,"key":"value".
func appendMember[T string | []byte](dst []byte, key string, value T) []byte {
	dst = append(append(append(dst, `,"`...), key...), `":"`...)
	return append(appendJSONText(dst, value), '"')
}

// appendJSONText keeps printable ASCII and writes the rest as \uXXXX (RFC 8259 section 7), so the log is ASCII whatever
// clients send. Bytes that are no UTF-8 become U+FFFD, as in encoding/json.
func appendJSONText[T string | []byte](dst []byte, text T) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			r, size := decodeRune(text[i:])
			dst = appendUnicode(dst, r)
			i += size
			continue
		}
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c == 0x7f:
			dst = appendUnicode(dst, rune(c))
		default:
			dst = append(dst, c)
		}
		i++
	}
	return dst
}

// decodeRune is utf8.DecodeRune for either kind of text: the copy of at most four bytes stays on the stack.
func decodeRune[T string | []byte](text T) (rune, int) {
	var start [utf8.UTFMax]byte
	return utf8.DecodeRune(start[:copy(start[:], text)])
}

// appendUnicode writes \uXXXX, or two of them for what lies above U+FFFF.
func appendUnicode(dst []byte, r rune) []byte {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return appendUnicode(appendUnicode(dst, high), low)
	}
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
