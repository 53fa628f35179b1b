package h1

import "strconv"

// LastChunk ends a chunked body that has no trailers.
const LastChunk = "0\r\n\r\n"

// AppendStatusLine appends "HTTP/1.1 200 OK\r\n". An answer to an HTTP/1.0 request says 1.1 as well (RFC 9110 2.5).
// Without a reason it takes the standard phrase. status must be 100 to 999 and reason pass ValidFieldValue: what comes
// from an application is checked where the application can still be blamed.
func AppendStatusLine(dst []byte, status int, reason []byte) []byte {
	if status == 200 && len(reason) == 0 {
		return append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ') // required even when nothing follows (RFC 9112 4)
	if len(reason) > 0 {
		dst = append(dst, reason...)
	} else {
		dst = append(dst, ReasonPhrase(status)...)
	}
	return append(dst, "\r\n"...)
}

// AppendField appends "Name: value\r\n". Both must be valid (ValidFieldName, ValidFieldValue).
func AppendField[N, V string | []byte](dst []byte, name N, value V) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// AppendChunk appends data as one chunk, and nothing for no data: an empty chunk would end the body.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = AppendChunkSize(dst, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// AppendChunkSize appends the line before a chunk of n bytes, for data that is written by itself; "\r\n" must follow
// the data. n must be above 0.
func AppendChunkSize(dst []byte, n int) []byte {
	dst = strconv.AppendUint(dst, uint64(n), 16)
	return append(dst, "\r\n"...)
}

// BodyForbidden tells whether an answer of this status ends after its head, whatever its fields say (RFC 9112 6.3):
// 1xx, 204 and 304. The same holds for every answer to HEAD.
func BodyForbidden(status int) bool {
	return status < 200 || status == 204 || status == 304
}

// ReasonPhrase gives the standard phrase (RFC 9110 15 and the IANA registry), or "" for a status that has none.
func ReasonPhrase(status int) string {
	if status < 0 || status >= len(phrases) {
		return ""
	}
	return phrases[status]
}

var phrases = [...]string{ //nolint:gochecknoglobals // never written; Go has no constant arrays
	100: "Continue",
	101: "Switching Protocols",
	102: "Processing",
	103: "Early Hints",

	200: "OK",
	201: "Created",
	202: "Accepted",
	203: "Non-Authoritative Information",
	204: "No Content",
	205: "Reset Content",
	206: "Partial Content",
	207: "Multi-Status",
	208: "Already Reported",
	226: "IM Used",

	300: "Multiple Choices",
	301: "Moved Permanently",
	302: "Found",
	303: "See Other",
	304: "Not Modified",
	305: "Use Proxy",
	307: "Temporary Redirect",
	308: "Permanent Redirect",

	400: "Bad Request",
	401: "Unauthorized",
	402: "Payment Required",
	403: "Forbidden",
	404: "Not Found",
	405: "Method Not Allowed",
	406: "Not Acceptable",
	407: "Proxy Authentication Required",
	408: "Request Timeout",
	409: "Conflict",
	410: "Gone",
	411: "Length Required",
	412: "Precondition Failed",
	413: "Content Too Large",
	414: "URI Too Long",
	415: "Unsupported Media Type",
	416: "Range Not Satisfiable",
	417: "Expectation Failed",
	418: "I'm a teapot",
	421: "Misdirected Request",
	422: "Unprocessable Content",
	423: "Locked",
	424: "Failed Dependency",
	425: "Too Early",
	426: "Upgrade Required",
	428: "Precondition Required",
	429: "Too Many Requests",
	431: "Request Header Fields Too Large",
	451: "Unavailable For Legal Reasons",

	500: "Internal Server Error",
	501: "Not Implemented",
	502: "Bad Gateway",
	503: "Service Unavailable",
	504: "Gateway Timeout",
	505: "HTTP Version Not Supported",
	506: "Variant Also Negotiates",
	507: "Insufficient Storage",
	508: "Loop Detected",
	510: "Not Extended",
	511: "Network Authentication Required",
}
