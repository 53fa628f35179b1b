package edge

import (
	"net/http"
	"net/textproto"
	"strconv"
	"time"

	"backline"
	"backline/dispatch"
	"backline/static"
	"backline/wire"
)

// Answer implements dispatch.Client.
func (st *stream) Answer(ex *dispatch.Exchange, m *wire.Message) {
	file, ok := st.server.fileFor(ex, m)
	st.mu.Lock()
	switch {
	case st.phase != phaseAnswer:
		file.Close()
	case !ok, m.Status < 200: // HTTP/2 has no 101 (RFC 9113 8.6)
		file.Close()
		st.page(500, dispatch.FailApp.Reason, 0)
		st.answer.failed = dispatch.FailApp.Name
	case file != nil:
		st.sendFile(file, m)
	case st.server.instructs(&st.answer, m):
		if g := gather(m); m.Kind == wire.KindStart {
			st.unfinished = g
			st.answer.held += len(m.Data)
		} else {
			st.obey(g)
		}
	default:
		st.begun(m)
	}
	st.creditAndUnlock(0)
}

// begun notes an answer, or its beginning.
func (st *stream) begun(m *wire.Message) {
	compressed := st.server.compress(st.ex, &st.answer, m)
	st.start(m, knownLength(m))
	st.add(m.Data)
	if m.Kind != wire.KindStart {
		st.finish()
	}
	if compressed != nil {
		st.server.recycleAnswer(compressed)
	}
}

// Data implements dispatch.Client.
func (st *stream) Data(_ *dispatch.Exchange, data []byte) {
	st.mu.Lock()
	switch {
	case st.phase != phaseAnswer:
	case st.unfinished != nil:
		st.gather(data)
	default:
		st.add(data)
	}
	st.creditAndUnlock(0)
}

// End implements dispatch.Client.
func (st *stream) End(*dispatch.Exchange) {
	st.mu.Lock()
	switch {
	case st.phase != phaseAnswer:
	case st.unfinished != nil:
		st.obey(st.unfinished)
	default:
		st.finish()
	}
	st.creditAndUnlock(0)
}

// Hint implements dispatch.Client (RFC 8297).
func (st *stream) Hint(_ *dispatch.Exchange, fields []backline.Field) {
	st.mu.Lock()
	if st.phase == phaseAnswer && !st.answer.begun {
		head := http.Header{}
		for _, f := range fields {
			if hintable(f) {
				hint := asHeadField(f)
				head.Add(hint.name, hint.value)
			}
		}
		st.addInterim(http.StatusEarlyHints, head)
	}
	st.creditAndUnlock(0)
}

// Fail implements dispatch.Client. An answer that has begun is cut, so that the client sees that it is not whole.
func (st *stream) Fail(_ *dispatch.Exchange, why *dispatch.Failure) {
	st.mu.Lock()
	if st.phase == phaseAnswer {
		if st.answer.begun || why.Status == 0 {
			st.abort()
		} else {
			st.page(why.Status, why.Reason, why.Wait)
		}
		st.answer.failed = why.Name
	}
	st.creditAndUnlock(0)
}

// creditAndUnlock ends what a note about the answer began: the worker may send more, now that sent bytes have left, and
// the goroutine looks what there is to write.
func (st *stream) creditAndUnlock(sent int) {
	a := &st.answer
	a.credit(&st.out, sent, &st.server.options)
	owed := a.owed
	a.owed = 0
	more := st.phase == phaseAnswer
	st.mu.Unlock()
	if owed > 0 && more {
		st.ex.Took(owed)
	}
	notify(st.woken)
}

// start notes the answer's head. known is the body's whole length, -1 where it is not known.
func (st *stream) start(m *wire.Message, known int64) {
	a, s := &st.answer, st.server
	a.begin(m.Status)
	head := make([]headField, 0, len(m.Fields)+4)
	var seen seenFields
	for _, f := range m.Fields {
		if a.admit(f, &seen) {
			head = append(head, asHeadField(f))
		}
	}
	if !seen.date && !s.options.HideDate {
		head = append(head, headField{"Date", string(s.date.Append(nil, time.Unix(0, s.clock.Load())))})
	}
	if !seen.server && !s.options.HideServer {
		head = append(head, headField{"Server", serverName})
	}
	if told := s.http3.told(st.session.local.Port); told != "" && st.session.version == "2" && st.session.tls != nil {
		head = append(head, headField{"Alt-Svc", told})
	}
	if a.frame(seen, known) == framedByLength {
		head = append(head, headField{"Content-Length", strconv.FormatInt(known, 10)})
	}
	if s.needsAnswer {
		a.keep(m)
	}
	st.head = head
}

func asHeadField(f backline.Field) headField {
	return headField{textproto.CanonicalMIMEHeaderKey(string(f.Name)), string(f.Value)}
}

// addInterim notes an answer before the answer.
func (st *stream) addInterim(status int, head http.Header) {
	if len(st.interim) < maxInterim {
		st.interim = append(st.interim, interim{status, head})
	}
}

// add notes a piece of the body.
func (st *stream) add(data []byte) {
	kept, excess := st.answer.take(data)
	if excess {
		st.server.complain(st.ex, complaintExcess)
	}
	st.answer.held += len(data)
	if st.answer.encoder != nil {
		scratch := st.server.answerBuffer()
		defer st.server.recycleAnswer(scratch)
		kept = st.answer.encode(scratch, kept)
	}
	st.pass(kept)
}

// pass adds what goes to the client to what waits for it.
func (st *stream) pass(data []byte) {
	if len(data) == 0 {
		return
	}
	if err := st.out.add(data, st.server); err != nil {
		st.server.options.Log.Error("an answer cannot be kept for a slow client; its stream is reset", "error", err)
		st.broken = true
	}
}

// sendFile makes a file the body, under m's head.
func (st *stream) sendFile(file *static.Answer, m *wire.Message) {
	st.start(m, file.Length)
	size, short := st.answer.takeFile(file.Length)
	if short {
		st.server.complain(st.ex, complaintShortFile)
		st.answer.failed, st.cut = dispatch.FailApp.Name, true
	}
	if size == 0 {
		file.Close()
	} else {
		st.out.send(file, size)
	}
	if m.Kind == wire.KindStart {
		st.answer.replaced = true // as in conn.sendFile
	} else {
		st.finish()
	}
}

// serveFile answers a request for a file without the application.
func (st *stream) serveFile() bool {
	answer := st.server.options.Files.Serve(&st.ex.Scope)
	if answer == nil {
		return false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.sendFile(answer, localMessage(answer))
	return true
}

// finish notes the end of the body. Too short a body cannot be mended: the stream is reset.
func (st *stream) finish() {
	st.phase = phaseFlush
	if !st.cut && st.answer.short() {
		st.server.complain(st.ex, complaintShort)
		st.answer.failed, st.cut = dispatch.FailApp.Name, true
	}
	if st.answer.encoder != nil && !st.cut {
		scratch := st.server.answerBuffer()
		defer st.server.recycleAnswer(scratch)
		st.pass(st.answer.encodeEnd(scratch))
	}
}

// abort resets the stream after what has been given to it.
func (st *stream) abort() { st.phase, st.cut = phaseFlush, true }

// page answers for the server itself.
func (st *stream) page(status int, reason string, wait int, more ...backline.Field) {
	m := newPage(status, reason, wait, more)
	st.start(&m, int64(len(m.Data)))
	st.add(m.Data)
	st.finish()
}
