package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"backline"
)

// maxFuzzInput keeps the byte-by-byte runs, which copy the buffer for every byte, from eating the fuzzer's time.
const maxFuzzInput = 2048

// FuzzParse: no input panics, splitting it changes nothing, and what is accepted net/http accepts as the same request.
func FuzzParse(f *testing.F) {
	for _, c := range corpus(f, "head") {
		f.Add(c.input, uint8(1))
	}
	f.Add([]byte(browserRequest), uint8(5))
	f.Fuzz(func(t *testing.T, input []byte, piece uint8) {
		if len(input) > maxFuzzInput {
			return
		}
		whole := parseHead(t, input, 0, Limits{})
		for _, size := range []int{1, 1 + int(piece)} {
			if got := parseHead(t, input, size, Limits{}); got != whole {
				t.Fatalf("in pieces of %d:\n%+v\nwhole:\n%+v", size, got, whole)
			}
		}
		if whole.consumed > 0 {
			compareWithReadRequest(t, input[:whole.consumed])
		}
	})
}

func compareWithReadRequest(t *testing.T, head []byte) {
	t.Helper()
	var r Request
	mustParse(t, &Parser{}, &r, head)
	checkInvariants(t, &r)
	head = bytes.TrimLeft(head, "\r\n") // net/http takes no empty lines before a request
	theirs, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head), strings.NewReader("0\r\n\r\n"))))
	if err != nil {
		_, badEscape := errors.AsType[url.EscapeError](err)
		switch {
		case badEscape: // the target is passed on undecoded: "/100%" is for the application to judge
		case strings.Contains(err.Error(), "bad trailer key"): // Trailer is not read here: trailers are discarded
		default:
			t.Fatalf("accepted, but net/http says %v", err)
		}
		return
	}
	defer theirs.Body.Close()
	switch {
	case theirs.Method != string(r.Method), theirs.RequestURI != string(r.Target), theirs.ProtoMinor > 0 != (r.Minor > 0):
		t.Errorf("request line: %s %s %d, net/http: %s %s %s", r.Method, r.Target, r.Minor, theirs.Method, theirs.RequestURI, theirs.Proto)
	case !strings.EqualFold(theirs.Host, string(r.Host)):
		t.Errorf("host %q, net/http: %q", r.Host, theirs.Host)
	case r.Chunked != (len(theirs.TransferEncoding) == 1):
		t.Errorf("chunked %v, net/http: %q", r.Chunked, theirs.TransferEncoding)
	case !r.Chunked && max(r.ContentLength, 0) != theirs.ContentLength:
		t.Errorf("length %d, net/http: %d", r.ContentLength, theirs.ContentLength)
	case r.KeepAlive && theirs.Close:
		t.Error("kept open, net/http closes")
	}
	for _, field := range r.Fields {
		name := http.CanonicalHeaderKey(string(field.Name))
		if name == "Host" || name == "Transfer-Encoding" || name == "Trailer" || name == "Cache-Control" {
			continue // net/http moves the first three elsewhere and adds the last for "Pragma: no-cache"
		}
		found := false
		for _, value := range theirs.Header[name] {
			found = found || value == string(field.Value)
		}
		if !found {
			t.Errorf("field %s: %q, net/http: %q", field.Name, field.Value, theirs.Header[name])
		}
	}
}

// checkInvariants checks what the rest of the server relies on without looking again.
func checkInvariants(t *testing.T, r *Request) {
	t.Helper()
	for _, field := range r.Fields {
		if !backline.ValidFieldName(field.Name) || !backline.ValidFieldValue(field.Value) || bytes.IndexByte(field.Name, '_') >= 0 {
			t.Errorf("field %q: %q", field.Name, field.Value)
		}
		if len(trim(field.Value)) != len(field.Value) {
			t.Errorf("whitespace around %q", field.Value)
		}
	}
	switch {
	case len(r.Path) == 0 || r.Path[0] != '/' && string(r.Path) != "*":
		t.Errorf("path %q", r.Path)
	case r.Chunked && r.ContentLength != -1, r.Chunked && r.Minor == 0, r.ContentLength < -1:
		t.Errorf("chunked %v and length %d on 1.%d", r.Chunked, r.ContentLength, r.Minor)
	case len(r.Host) > 0 && !ValidHost(r.Host):
		t.Errorf("host %q", r.Host)
	}
}

// FuzzChunked: no input panics, splitting it changes nothing, and what is accepted net/http decodes to the same body.
func FuzzChunked(f *testing.F) {
	for _, c := range corpus(f, "chunked") {
		f.Add(c.input, uint8(1))
	}
	f.Fuzz(func(t *testing.T, input []byte, piece uint8) {
		whole := decodeChunked(t, input, 0)
		for _, size := range []int{1, 1 + int(piece)} {
			if got := decodeChunked(t, input, size); got != whole {
				t.Fatalf("in pieces of %d:\n%+v\nwhole:\n%+v", size, got, whole)
			}
		}
		if whole.consumed == 0 {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(input[:whole.consumed])))
		if want := "body \"" + escape(theirs) + "\""; err != nil || whole.text != want {
			t.Fatalf("%s, net/http: %s, %v", whole.text, want, err)
		}
	})
}
