package accesslog

import (
	"bytes"
	"encoding/base64"
	"slices"

	"backline"
)

const hexDigits = "0123456789abcdef"

// appendEscaped adds text that somebody else chose. Control bytes would forge lines or drive the reader's terminal
// (CVE-2020-7694), quotes would forge fields, and bytes above ASCII include terminal controls too (0x9b is CSI), so all
// of those become \xNN, as does the backslash itself: the original can always be read back.
func appendEscaped[T string | []byte](dst []byte, text T) []byte {
	plain := 0 // start of what is not copied yet
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			dst = append(dst, text[plain:i]...)
			dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
			plain = i + 1
		}
	}
	return append(dst, text[plain:]...)
}

// appendOrDash is appendEscaped with the Common Log Format's "-" for nothing.
func appendOrDash[T string | []byte](dst []byte, text T) []byte {
	if len(text) == 0 {
		return append(dst, '-')
	}
	return appendEscaped(dst, text)
}

// find gives the value of the last field of that name (lower case), which is the one gunicorn logs.
func find(fields []backline.Field, name string) []byte {
	for _, field := range slices.Backward(fields) {
		if backline.EqualFold(field.Name, name) {
			return field.Value
		}
	}
	return nil
}

// maxCredentials is how much of "Basic ..." is decoded, in base64 characters (a multiple of 4): names longer than 96
// bytes are cut, so that the buffer can live on the stack.
const maxCredentials = 128

// appendUser adds the name of "Authorization: Basic" credentials (RFC 7617), never the password. The name is the one
// piece that usually stands unquoted in a format, so spaces are escaped too: they would shift the columns behind it.
func appendUser(dst []byte, scope *backline.Scope) []byte {
	value := find(scope.Fields, "authorization")
	kind, credentials, _ := bytes.Cut(value, []byte(" "))
	if !backline.EqualFold(kind, "basic") {
		return append(dst, '-')
	}
	credentials = bytes.Trim(credentials, " ")
	cut := len(credentials) > maxCredentials
	if cut {
		credentials = credentials[:maxCredentials]
	}
	var buffer [maxCredentials / 4 * 3]byte
	n, err := base64.StdEncoding.Decode(buffer[:], credentials)
	if err != nil {
		return append(dst, '-')
	}
	user, _, found := bytes.Cut(buffer[:n], []byte(":"))
	if len(user) == 0 || !found && !cut {
		return append(dst, '-')
	}
	for {
		word, rest, more := bytes.Cut(user, []byte(" "))
		dst = appendEscaped(dst, word)
		if !more {
			return dst
		}
		dst = append(dst, `\x20`...)
		user = rest
	}
}
