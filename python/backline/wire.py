"""The worker protocol, sans-IO: the other end of the server's ``wire`` package, described in docs/protocol.md.

A packet is a little-endian u32 length and one marshalled list of messages, a message a tuple ``(kind, stream, ...)``.
marshal is in the standard library, written in C, and decodes a whole packet of requests in one call. It is only ever
fed by the parent process, which this process trusts as it trusts the files it was started from.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Iterable
from typing import Any, Final

PROTOCOL_VERSION: Final = 1

# The handshake.
HELLO: Final = 1
WELCOME: Final = 2
UP: Final = 3
FAILED: Final = 4

# From the server.
REQUEST: Final = 16  # stream, scope, body, more
BODY: Final = 17  # stream, data, more
CREDIT: Final = 18  # stream, n
DISCONNECT: Final = 19  # stream
CANCEL: Final = 20  # stream
STOP: Final = 21  # 0
STACKS: Final = 22  # token, streams
RECEIVE: Final = 23  # stream, data
PART: Final = 24  # stream, data
CLOSED: Final = 25  # stream, code, reason
JOB: Final = 26  # stream, function, arguments
RESULT: Final = 27  # token, outcome, data
WATCH: Final = 28  # 0
SNAPSHOT: Final = 29  # token
PROFILE: Final = 30  # token, milliseconds, rate
GAP: Final = 54  # stream, group
CONNECT: Final = 31  # stream, address; a descriptor comes with it
GIVEN: Final = 59  # token, n; n descriptors come with it
EVENT: Final = 96  # stream, event, id, state, data

# To the server.
ANSWER: Final = 32  # stream, status, headers, body
ANSWER_OPEN: Final = 33  # stream, status, headers, body
START: Final = 34  # stream, status, headers, body
DATA: Final = 35  # stream, data
END: Final = 36  # stream
DONE: Final = 37  # stream
ERROR: Final = 38  # stream, message
READ: Final = 39  # stream, n
HINT: Final = 40  # stream, headers
FILE: Final = 41  # stream, status, headers, path, offset, length
ALIVE: Final = 42  # 0
TRACE: Final = 43  # token, text
ACCEPT: Final = 44  # stream, subprotocol, headers
SEND: Final = 45  # stream, data
SEND_PART: Final = 46  # stream, data
CLOSE: Final = 47  # stream, code, reason
OFFLOAD: Final = 48  # token, function, arguments, timeout
RETURN: Final = 49  # stream, outcome, data
SOCKET_JOIN: Final = 50  # stream, group
SOCKET_LEAVE: Final = 51  # stream, group
SOCKET_ENTER: Final = 53  # stream, group, user, socket, info, position
TAKE: Final = 52  # stream, token
STALL: Final = 56  # stream, milliseconds, text
REPORT: Final = 57  # token, text
CROWD: Final = 58  # n, milliseconds, text
ACT: Final = 97  # stream, actions, state
ACTED: Final = 98  # stream, actions, state

# Channels, to the server.
ATTACH: Final = 64  # token, id
CHANNEL_SEND: Final = 65  # token, channel, message, capacity, milliseconds
PUBLISH: Final = 66  # token, group, message
JOIN: Final = 67  # token, group
LEAVE: Final = 68  # 0, group
CHANNEL_READ: Final = 69  # n, channel
CHANNEL_UNREAD: Final = 70  # n, channel
GIVE_BACK: Final = 71  # 0, channel, message
DROPPED: Final = 77  # n, group
ENLIST: Final = 72  # token, group, channel
STRIKE: Final = 73  # token, group, channel
FLUSH: Final = 74  # token
OUTCOME: Final = 75  # token, verdict, n
BROADCAST: Final = 76  # token, group, data
ITEMS: Final = 104  # token, items

# Channels, from the server.
VERDICT: Final = 80  # token, verdict, n
CHANNEL_TAKE: Final = 81  # token, channel, message
DELIVER: Final = 82  # 0, group, message
ENLISTED: Final = 83  # token, group, channel
STRUCK: Final = 84  # token, group, channel
FLUSHED: Final = 85  # 0

# What was sent to groups, and who is there.
KEEP: Final = 113  # token, group, messages, seconds
HISTORY: Final = 114  # token, group, position
ENTER: Final = 115  # token, group, user, socket, info
EXIT: Final = 116  # 0, group, user, socket
PRESENCE: Final = 117  # token, group, limit
RECALL: Final = 118  # token, complete, position, messages
PRESENT: Final = 119  # token, users, sockets, who

NO_STREAM: Final = 2**31 - 1  # in STALL: no request is known to hold the loop

# Values of ``more`` in a request.
BODY_WHOLE: Final = 0
BODY_FOLLOWS: Final = 1
BODY_ON_READ: Final = 2

# Outcomes of what was offloaded.
OUTCOME_RETURNED: Final = 0
OUTCOME_RAISED: Final = 1
OUTCOME_TIMEOUT: Final = 2
OUTCOME_BUSY: Final = 3
OUTCOME_LOST: Final = 4
OUTCOME_REFUSED: Final = 5

# What has become of what was asked about channels.
VERDICT_DONE: Final = 0
VERDICT_FULL: Final = 1
VERDICT_INVALID: Final = 2
VERDICT_TOO_LARGE: Final = 3
VERDICT_TAKEN: Final = 4
VERDICT_AWAY: Final = 5
VERDICT_BEYOND_BUS: Final = 6

WINDOW: Final = 256 * 1024  # bytes of a request's body that may be under way before READ asks for more
MESSAGE_COST: Final = 64  # what a WebSocket message takes of a window besides its length: empty ones are not free
MAX_PIECE: Final = 64 * 1024  # bytes of body in one message
MAX_JOB: Final = 8 * 1024 * 1024  # bytes of an offloaded function's arguments, and of its result
MAX_PACKET: Final = 64 * 1024 * 1024  # bytes of one packet to the server

# Version 2 of marshal's format has no references between objects: the server need not keep track of them, and writing
# it is faster than the versions that look every object up.
_FORMAT: Final = 2

_length = struct.Struct("<I")

# (kind, stream, ...); a list where its kind may still change before it is sent.
Outgoing = list[Any] | tuple[Any, ...]
Incoming = tuple[Any, ...]


class Decoder:
    """Bytes in, messages out."""

    __slots__ = ("_missing", "_rest")

    def __init__(self) -> None:
        self._rest: list[bytes] = []  # the beginning of a packet, in the pieces that came
        self._missing = 0  # bytes until that packet, or its length, is whole

    def feed(self, data: bytes) -> list[Incoming]:
        """The messages of every packet that ``data`` completes; what is left waits for more."""
        if self._rest:
            # A large packet comes in many pieces. They are joined once, when the last is here: joining each with what
            # came before would copy a packet of n pieces n/2 times.
            self._rest.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return []
            data = b"".join(self._rest)
            self._rest = []
        messages: list[Incoming] = []
        start, end = 0, len(data)
        missing = 0
        with memoryview(data) as view:
            while start < end:
                stop = start + 4
                if stop <= end:
                    stop += _length.unpack_from(data, start)[0]
                if stop > end:
                    missing = stop - end
                    break
                messages += marshal.loads(view[start + 4 : stop])
                start = stop
        if missing:
            self._rest = [data[start:]]
            self._missing = missing
        return messages


def encode(batch: list[Outgoing]) -> bytes:
    """A packet with these messages; more than one where they are more than the server takes at once. Values that only
    look like str or bytes (subclasses, which marshal refuses) are made plain."""
    try:
        payload = marshal.dumps(batch, _FORMAT)
    except ValueError:
        payload = marshal.dumps([_plain(message) for message in batch], _FORMAT)
    if len(payload) > MAX_PACKET and len(batch) > 1:
        half = len(batch) // 2
        return encode(batch[:half]) + encode(batch[half:])
    return _length.pack(len(payload)) + payload


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if value is None or isinstance(value, bool):
        return value
    for number in (int, float):
        if isinstance(value, number):
            return number(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    raise ValueError(
        f"what is of the type {type(value).__name__} cannot be sent to the server; "
        "expected a number, str, bytes or None"
    )
