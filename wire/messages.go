package wire

// ProtocolVersion is raised when a message changes its meaning or shape.
//
//	1  first version
const ProtocolVersion = 1

// Kind is the first element of every message. The table is ordered like the conversation. Shapes are given as Python
// would write them; "stream" numbers one request on one worker, from 0 to 2^31-1, and is used again after its last
// message.
type Kind uint8

// The handshake: one message a packet, before anything else.
const (
	// KindHello (1, {"protocol", "package", "language", "pid"}): the worker speaks first; the codec of this packet is
	// the codec of the connection.
	KindHello Kind = 1
	// KindWelcome (2, {"protocol", "package", "settings": {...}}): what to import and how to run it.
	KindWelcome Kind = 2
	// KindUp (3, {"interface", "loop", "concurrency", "interpreter", "application", "notes"}): the application is
	// imported and its lifespan has started; requests may come.
	KindUp Kind = 3
	// KindFailed (4, {"kind", "message", "hint", "traceback"}): it cannot be; the worker ends.
	KindFailed Kind = 4
)

// From the server to the worker.
const (
	// KindRequest (16, stream, scope, body, more): scope is a WSGI environ or an ASGI scope without the entries that equal
	// the welcome's defaults; its "type" says when it is a WebSocket's. more is 0 (body is whole), 1 (pieces follow, the
	// worker's window is open) or 2 (pieces follow once the worker asks with KindRead: the client waits for 100-continue).
	KindRequest Kind = 16
	// KindBody (17, stream, data, more): a piece of the request's body.
	KindBody Kind = 17
	// KindCredit (18, stream, n): the worker may send n more bytes of this answer's body. After KindFile: the server has
	// the file.
	KindCredit Kind = 18
	// KindDisconnect (19, stream): the client has gone; what is sent from now on is dropped.
	KindDisconnect Kind = 19
	// KindCancel (20, stream): give the request up; skip it if it has not begun.
	KindCancel Kind = 20
	// KindStop (21, 0): no request will follow; end the lifespan and the process when the last one has ended.
	KindStop Kind = 21
	// KindReceive (23, stream, data): a WebSocket message, or the last piece of one: str for text, bytes for binary.
	KindReceive Kind = 23
	// KindPart (24, stream, data): a piece of a WebSocket message that is longer than MaxPiece; more follows. Text is cut
	// between characters.
	KindPart Kind = 24
	// KindClosed (25, stream, code, reason): the WebSocket has ended; what is sent from now on is dropped.
	KindClosed Kind = 25
	// KindGap (54, stream, group): what came after the position of KindSocketEnter is not known any more, so nothing of it
	// was written to the WebSocket.
	KindGap Kind = 54
	// KindConnect (31, stream, address): a client of a pool of interface "tcp" has connected. The packet comes with the
	// connection's descriptor (SCM_RIGHTS), one packet for each. address is what Python's accept() gives.
	KindConnect Kind = 31
	// KindGiven (59, token, n): control connection only; answers KindTake. With 1 the packet, in which there is nothing
	// else, comes with the descriptor of the client's connection (SCM_RIGHTS); with 0 there is none, and the connection
	// stays the server's.
	KindGiven Kind = 59
	// KindStacks (22, token, [stream, ...]): control connection only; answered with KindTrace.
	KindStacks Kind = 22
	// KindJob (26, stream, function, arguments): to a worker of interface "compute": run this function, which another
	// worker has offloaded. Answered with KindReturn.
	KindJob Kind = 26
	// KindResult (27, token, outcome, data): control connection only; what has become of KindOffload.
	KindResult Kind = 27
	// KindWatch (28, 0): control connection only; the worker owes a sign of life, so its loop may be stuck.
	KindWatch Kind = 28
	// KindSnapshot (29, token): control connection only; answered with KindReport, which has every stack.
	KindSnapshot Kind = 29
	// KindProfile (30, token, milliseconds, rate): control connection only; answered with KindReport when the time is
	// over. 0 milliseconds end the one that is being taken, which is then answered.
	KindProfile Kind = 30
	// KindEvent (96, stream, event, id, state, data): to a worker of interface "sockets": something has happened to a
	// WebSocket that the server holds. event is a What, see there. state is what the last answer left (bytes),
	// empty at first. data is the ASGI scope, the message (str or bytes), a tuple (code, reason), or EventGap's group
	// (str). KindActed follows.
	KindEvent Kind = 96
)

// From the worker to the server.
const (
	// KindAnswer (32, stream, status, headers, body): a whole answer, and the application has returned. status is an
	// int or a WSGI status line, headers pairs of str or of bytes.
	KindAnswer Kind = 32
	// KindAnswerOpen (33, stream, status, headers, body): a whole answer, but the application still runs (a close
	// method, a background task): KindDone follows.
	KindAnswerOpen Kind = 33
	// KindStart (34, stream, status, headers, body): an answer begins with its first piece of body.
	KindStart Kind = 34
	// KindData (35, stream, data): the next piece.
	KindData Kind = 35
	// KindEnd (36, stream): the body is complete; KindDone follows when the application has returned.
	KindEnd Kind = 36
	// KindDone (37, stream): the application has returned; the stream's number is free. Without an answer before it: the
	// application does not want to answer, and the client's connection is closed.
	KindDone Kind = 37
	// KindError (38, stream, message): the application failed and has returned: 500, or an aborted connection when
	// the answer had begun.
	KindError Kind = 38
	// KindRead (39, stream, n): n more bytes of the request's body may be sent.
	KindRead Kind = 39
	// KindHint (40, stream, headers): 103 Early Hints.
	KindHint Kind = 40
	// KindFile (41, stream, status, headers, path, offset, length): the body is length bytes of this file from offset on,
	// -1 for all the rest (ASGI http.response.pathsend, wsgi.file_wrapper). KindCredit says that the file is open, so that
	// the application may remove it. KindDone follows.
	KindFile Kind = 41
	// KindAlive (42, 0): the worker's loop has turned and taken what was sent; only sent when nothing else is, and only
	// by workers with one loop (ASGI).
	KindAlive Kind = 42
	// KindTrace (43, token, text): control connection only.
	KindTrace Kind = 43
	// KindAccept (44, stream, subprotocol, headers): the WebSocket's handshake is answered with 101. subprotocol is a str
	// or None. Any other answer than this (KindAnswer, KindStart, ...) is the client's answer instead.
	KindAccept Kind = 44
	// KindSend (45, stream, data): a WebSocket message, or the last piece of one: str for text, bytes for binary.
	KindSend Kind = 45
	// KindSendPart (46, stream, data): a piece of a WebSocket message that is longer than MaxPiece; more follows. What
	// comes between is an error.
	KindSendPart Kind = 46
	// KindClose (47, stream, code, reason): close the WebSocket, or answer 403 when it is not accepted. KindDone follows.
	KindClose Kind = 47
	// KindOffload (48, token, function, arguments, timeout): control connection only, because a worker must be able to
	// take the result while all that reads its main connection waits for it. timeout is in milliseconds.
	KindOffload Kind = 48
	// KindReturn (49, stream, outcome, data): the function has returned or raised; the stream's number is free.
	KindReturn Kind = 49
	// KindSocketJoin (50, stream, group): from now on, or from KindAccept on, the server writes what is broadcast to this
	// group to the WebSocket itself. KindSocketLeave (51, stream, group) ends that; the socket's end ends all.
	KindSocketJoin  Kind = 50
	KindSocketLeave Kind = 51
	// KindSocketEnter (53, stream, group, user, socket, info, position): KindSocketJoin for a WebSocket that is accepted,
	// and more. user (str or None) is then present in the group by a socket of this name, with info (JSON or empty). With
	// a position (str or None) the WebSocket gets what came after that first, all that is remembered where it is empty;
	// KindGap says where that is not known. KindSocketLeave, or the socket's end, ends all of it.
	KindSocketEnter Kind = 53
	// KindTake (52, stream, token): the application has answered a WebSocket's handshake with bytes of its own, and wants
	// the client's connection to write them to. Answered with KindGiven; after 1 the WebSocket is accepted, and KindClose
	// or KindError follow when the application has returned.
	KindTake Kind = 52
	// KindStall (56, stream, milliseconds, text): control connection only; the loop has not turned for so long, and this
	// is the stack that holds it. stream is whose request that is, NoStream where it is none's or not known.
	KindStall Kind = 56
	// KindReport (57, token, text): control connection only; text is JSON.
	KindReport Kind = 57
	// KindCrowd (58, n, milliseconds, text): control connection only; n pieces of synchronous work of an ASGI application
	// have waited for a thread for so long, and these are the stacks of those who have one.
	KindCrowd Kind = 58
	// KindAct (97, stream, actions, state): do this now; the handler goes on. actions is a list of tuples, see Do.
	KindAct Kind = 97
	// KindActed (98, stream, actions, state): the handler has returned; the stream's number is free. state goes with the
	// socket's next event; None leaves it as it was.
	KindActed Kind = 98
)

// What has happened to a WebSocket that the server holds for its application.
type What int

// The events.
const (
	EventConnect    What = 0 // the client asks for it
	EventReceive    What = 1 // a message has come, whole
	EventDisconnect What = 2 // it has ended; the last event
	EventGap        What = 3 // what it missed of a group, for which it was entered with a position, is not known
)

// Do is what an application does in answer to an event: the first element of an action.
type Do int

// What may be done, and what follows in the tuple.
const (
	DoAccept  Do = 0 // subprotocol (str or None), headers
	DoSend    Do = 1 // data: str for text, bytes for binary
	DoJoin    Do = 2 // group
	DoLeave   Do = 3 // group
	DoPublish Do = 4 // group, data, whether this socket is left out
	DoClose   Do = 5 // code, reason; before DoAccept the client is refused
	DoEnter   Do = 6 // group, user (str or None), info (JSON or empty), position (str or None)
)

// MaxActions bounds the actions in one message. A handler that does more sends several.
const MaxActions = 1000

// MaxState bounds what an application may keep with a socket; the setting is smaller.
const MaxState = 64 << 10

// Outcome is what has become of an offloaded function. A worker that ran one knows the first two.
type Outcome int

// The outcomes. Data is what the function returned or raised, as the two workers write it to each other, else empty.
const (
	OutcomeReturned Outcome = 0
	OutcomeRaised   Outcome = 1
	OutcomeTimeout  Outcome = 2 // it took too long, waiting included
	OutcomeBusy     Outcome = 3 // too many wait already
	OutcomeLost     Outcome = 4 // the process that ran it has ended
	OutcomeRefused  Outcome = 5 // the server stops, or has no workers for it
)

// NoStream in KindStall names no request.
const NoStream = 1<<31 - 1

// Values of more in KindRequest.
const (
	BodyWhole   = 0
	BodyFollows = 1
	BodyOnRead  = 2
)

// Window is how many bytes of a request's body may be under way to a worker before it has asked for more with KindRead.
const Window = 256 << 10

// MessageCost is what a WebSocket message takes of the credit beside its length (of text in code points, which either
// side knows without looking at the bytes), in both directions: empty messages are not free.
const MessageCost = 64

// MaxPiece bounds the body in one message, either way, so that no stream holds up the others for long.
const MaxPiece = 64 << 10

// MaxJob bounds the arguments and the result of an offloaded function. They cross in one message, and the server holds
// those of every job that waits.
const MaxJob = 8 << 20

// MaxPacket bounds a packet from a worker: a batch of answers with their first pieces. The worker splits what is more;
// one that announces more is not one of ours.
const MaxPacket = 64 << 20
