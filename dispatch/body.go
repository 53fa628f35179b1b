package dispatch

import "backline/wire"

// SendBody passes the piece of the request's body that begins at byte at on. The caller keeps within what Client.Wanted
// allowed. The data is copied. The offset keeps a body whole when its worker dies meanwhile: the piece may have been on
// its way to the old worker and meet the new one, which wants another.
func (ex *Exchange) SendBody(data []byte, at int64, more bool) {
	d := ex.dispatcher
	if d == nil {
		return
	}
	d.mu.Lock()
	w := ex.worker
	if lost := w == nil && ex.state == stateQueued && !ex.Replayable; lost {
		d.unqueue(ex)
		ex.state = stateEnded
		d.mu.Unlock()
		failAll([]*Exchange{ex}, FailWorker)
		return
	}
	if w != nil && at <= ex.bodyAt && ex.bodyAt <= at+int64(len(data)) {
		w.sendBody(ex, data[ex.bodyAt-at:], more)
	}
	d.mu.Unlock()
}

// sendBody puts the next piece of ex's body into the packet.
func (w *WorkerConn) sendBody(ex *Exchange, data []byte, more bool) {
	ex.clock, ex.bodySent = w.dispatcher.now, true
	ex.bodyAt += int64(len(data))
	ex.bodyDone = !more
	ex.wanted -= len(data)
	for len(data) > wire.MaxPiece {
		w.pending.AddBody(ex.stream, data[:wire.MaxPiece], true)
		data = data[wire.MaxPiece:]
	}
	w.pending.AddBody(ex.stream, data, more)
	w.wake()
}

// openBody has the client told, in unlock, that ex's worker can take body. The caller holds the lock.
func (d *Dispatcher) openBody(ex *Exchange) {
	ex.more = 0
	if ex.renewed = ex.telling; ex.renewed {
		return
	}
	ex.telling = true
	ex.refs.Add(1)
	d.opened = append(d.opened, ex)
}

// tellWanted tells the client that a worker can take body from its beginning, and what else has come to be told
// meanwhile. The worker may ask for more while the client still hands over what it has just been told of, and two calls
// at once would send pieces in the wrong order, of which SendBody drops the later one: then the request hangs.
func (d *Dispatcher) tellWanted(ex *Exchange) {
	for n, rewind := wire.Window, true; n > 0; {
		ex.Client.Wanted(ex, n, rewind)
		d.mu.Lock()
		n, rewind = ex.more, ex.renewed
		if rewind {
			n += wire.Window
		}
		ex.more, ex.renewed, ex.telling = 0, false, n > 0
		d.mu.Unlock()
	}
}

// wantMore tells the client that its worker can take n more bytes, or leaves it to who is telling it something already.
func (d *Dispatcher) wantMore(ex *Exchange, n int) {
	d.mu.Lock()
	later := ex.telling
	if later {
		ex.more += n
	}
	d.mu.Unlock()
	if !later {
		ex.Client.Wanted(ex, n, false)
	}
}
