package edge

import (
	"strings"

	"backline/channel"
	"backline/dispatch"
	"backline/grip"
)

// again has the application asked once more for a long poll's answer, in its client's name (GRIP's race rule), because
// something may have been missed, or a publication says that there is news. Where the request cannot be made again, the
// client gets what its view gave, asks by itself, and the view looks.
func (h *hold) again(scarce bool) (verdict, *channel.Response, []byte) {
	if h.self == "" || scarce && h.retried {
		return verdictAnswer, &h.in.Answer, nil
	}
	h.retried = h.retried || scarce // a channel on which more comes than is remembered would else keep a worker busy
	return h.fetch()
}

// nextAgain waits for what was asked for: an answer, or one that is held on.
func (h *hold) nextAgain(now int64) (verdict, *channel.Response, []byte) {
	if h.leaving {
		return verdictAnswer, &h.in.Answer, nil
	}
	f := h.answered()
	if f == nil {
		return verdictWait, nil, nil
	}
	in := f.read()
	switch {
	case in == nil, in.Mode == grip.Stream, in.Mode == grip.Pass && in.Next.URI != "":
		return verdictAnswer, &h.in.Answer, nil
	case in.Mode == grip.Pass:
		return verdictAnswer, &in.Answer, nil
	}
	h.change(in, f.cursor, now)
	return h.nextAnswer(now)
}

// asks is whom the application is asked for.
func (h *hold) asks() string {
	if h.in.Mode == grip.Response {
		return h.self
	}
	return h.in.Next.URI
}

// selfOf is the target of a request that can be made again.
func selfOf(ex *dispatch.Exchange) string {
	if string(ex.Scope.Method) != "GET" {
		return ""
	}
	return string(ex.Scope.Target)
}

// inherited gives the fields of an answer that is published in place of a held one: those of the held one too, as far
// as the publication has none of that name and they are not about the body that is not sent.
func inherited(held, published [][2]string) [][2]string {
	fields := make([][2]string, 0, len(held)+len(published))
	for _, f := range held {
		named := aboutBody(f[0])
		for i := 0; i < len(published) && !named; i++ {
			named = strings.EqualFold(f[0], published[i][0])
		}
		if !named {
			fields = append(fields, f)
		}
	}
	for _, f := range published {
		if !strings.EqualFold(f[0], "Content-Length") { // it is counted
			fields = append(fields, f)
		}
	}
	return fields
}

func aboutBody(name string) bool {
	switch strings.ToLower(name) {
	case "content-length", "content-encoding", "content-range", "etag", "last-modified":
		return true
	}
	return false
}
