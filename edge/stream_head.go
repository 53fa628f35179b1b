package edge

import (
	"net/http"
	"slices"
	"strings"

	"backline"
	"backline/h1"
)

// readHead takes the request's head over into the exchange. To have one set of rules about what a request may look
// like, and one set of limits, it is written down as HTTP/1.1 has it and given to h1, whose buffer the exchange needs
// anyway. What net/http and quic-go have refused by then never gets here (docs/http2.md).
func (st *stream) readHead() (*h1.Request, *h1.Error) {
	s, ex, scope := st.server, st.ex, &st.ex.Scope
	st.answer = outgoing{minor: 1, head: st.r.Method == http.MethodHead}
	ex.More = 0
	scope.Version, scope.Scheme, scope.RootPath = st.session.version, st.session.scheme, s.options.RootPath
	scope.Client, scope.Server, scope.TLS = st.session.client, st.session.local, st.session.tls
	head, fault := appendHead(ex.Head[:0], st.r)
	if fault != nil {
		return nil, fault
	}
	req := h1.Request{Fields: scope.Fields[:0]}
	parser := h1.Parser{Limits: s.options.Head}
	n, err := parser.Parse(head, &req)
	ex.Head = head
	scope.Method, scope.Target = req.Method, req.Target // for the access log, whatever comes of the rest
	if err != nil {
		return nil, asH1Error(err)
	}
	if n != len(head) {
		return nil, &h1.Error{Status: 400, Reason: "malformed header fields"}
	}
	scope.Path, scope.Query, scope.Fields = req.Path, req.Query, req.Fields
	return &req, nil
}

// appendHead writes the head of r as HTTP/1.1 has it, its :authority as Host in front (RFC 9113 8.3.1). http.Header is
// a map, so the fields are in the order of their names; that of values under one name is the client's.
func appendHead(dst []byte, r *http.Request) ([]byte, *h1.Error) {
	if !isToken(r.Method) || strings.ContainsAny(r.RequestURI, " \r\n") {
		return nil, &h1.Error{Status: 400, Reason: "malformed method or path"}
	}
	dst = append(append(append(append(dst, r.Method...), ' '), r.RequestURI...), " HTTP/1.1\r\n"...)
	dst, fault := appendLine(dst, "Host", r.Host)
	if fault != nil {
		return nil, fault
	}
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := r.Header[name]
		switch name {
		case "Host":
			if len(values) > 1 || !strings.EqualFold(values[0], r.Host) {
				return nil, &h1.Error{Status: 400, Reason: "Host differs from :authority"}
			}
			continue
		case pseudoProtocol:
			continue
		case "Cookie":
			values = []string{strings.Join(values, "; ")} // RFC 9113 8.2.3
		}
		for _, value := range values {
			if dst, fault = appendLine(dst, name, value); fault != nil {
				return nil, fault
			}
		}
	}
	return append(dst, "\r\n"...), nil
}

// pseudoProtocol is where net/http puts what an extended CONNECT asks for (RFC 8441).
const pseudoProtocol = ":protocol"

// appendLine writes one field. What could look like another field, or like framing, must not come this far: framing is
// no field's business here, and a field that says otherwise makes the request malformed (RFC 9113 8.2.2).
func appendLine(dst []byte, name, value string) ([]byte, *h1.Error) {
	at := len(dst)
	dst = h1.AppendField(dst, name, value)
	written := dst[at:]
	if !isToken(name) || !backline.ValidFieldValue(written[len(name)+len(": "):len(written)-len("\r\n")]) {
		return nil, &h1.Error{Status: 400, Reason: "malformed header field"}
	}
	switch h1.Lookup(written[:len(name)]) {
	case h1.Connection, h1.KeepAlive, h1.ProxyConnection, h1.TransferEncoding, h1.Upgrade:
		return nil, &h1.Error{Status: 400, Reason: "header field about the connection"}
	case h1.TE:
		if value != "trailers" {
			return nil, &h1.Error{Status: 400, Reason: "TE other than trailers"}
		}
	}
	return dst, nil
}

func isToken(text string) bool { return backline.ValidFieldName([]byte(text)) }
