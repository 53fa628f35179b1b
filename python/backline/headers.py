"""What header fields of an answer may hold (RFC 9110 5.1, 5.5), checked where the application can still be blamed."""

from __future__ import annotations

import re
from typing import Any, Final

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_TOKEN_BYTES: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CONTROL_BYTES: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS: Final = re.compile(r"[2-9][0-9]{2}( [^\x00-\x08\x0a-\x1f\x7f]*)?\Z")

# Hop-by-hop fields belong to the connection, which is the edge's (RFC 9110 7.6.1). It looks at Connection itself: an
# application may ask for "close".
HOP_BY_HOP: Final = frozenset(
    ("keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding",
     "upgrade")
)  # fmt: skip

# Applications send the same fields again and again: those that were found good are remembered, and a whole list of them
# is checked by one call in C. The bound keeps fields that never repeat (ETag, Set-Cookie) from piling up.
_REMEMBERED: Final = 2048
_WORTH: Final = 512  # bytes of a value that is worth remembering

_PERSONAL: Final = frozenset((b"authorization", b"cookie", b"sec-websocket-key"))  # as good as never repeated

# The server takes a worker that sends more for broken (maxFields in wire/answer.go), and packets have a limit as well.
_MOST: Final = 1000
_LARGEST: Final = 128 * 1024  # bytes of all names and values


class Known:
    """The fields that were found good. One for each interface."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: set[Any] = set()

    def remember(self, field: Any) -> None:
        if len(self.fields) >= _REMEMBERED:
            self.fields.clear()
        self.fields.add(field)

    def holds(self, fields: list[Any]) -> bool:
        """Whether all of these fields are good, and not too many."""
        try:
            return self.fields.issuperset(fields) and len(fields) <= _MOST
        except TypeError:  # pairs that are lists cannot be in a set
            return False


class Repeated:
    """One object for each field that client after client sends. A WebSocket's scope lasts as long as the socket, and
    its fields were the largest part of what an idle one took: with a browser's thirteen, 6.5 KB instead of 4.5."""

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        self._fields: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}

    def share(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Put into ``fields``, in place, what other lists have too."""
        known = self._fields
        for n, field in enumerate(fields):
            same = known.get(field)
            if same is not None:
                fields[n] = same
            elif field[0] not in _PERSONAL and len(field[1]) <= _WORTH:
                if len(known) >= _REMEMBERED:
                    known.clear()
                known[field] = field


def is_token(text: object) -> bool:
    """RFC 9110 5.6.2, which the names of fields and of WebSocket subprotocols are."""
    return isinstance(text, str) and _TOKEN.match(text) is not None


def check_status(status: object) -> None:
    """WSGI's status: a str like "404 Not Found" (PEP 3333, "The start_response() Callable")."""
    if not isinstance(status, str):
        raise TypeError(f"start_response: expected the status as a str such as '200 OK', got {status!r}")
    if not _STATUS.match(status):
        raise ValueError(
            f"start_response: expected three digits from 200 on, a space and a reason, as in '200 OK', got {status!r}"
        )


def check_wsgi(headers: Any, known: Known) -> list[tuple[str, str]]:
    """Fields with no control character and nothing outside latin-1, as a list of tuples.

    PEP 3333 wants exactly that list. Other servers take any sequence of pairs and drop hop-by-hop fields without a word
    (applications that pass on another server's answer send them), so neither stops an application here.
    """
    if isinstance(headers, (str, bytes, dict)):
        raise TypeError(f"start_response: expected headers as a list of tuples, got {type(headers).__name__}")
    fields = []
    size = 0
    for field in headers:
        if not isinstance(field, (tuple, list)) or len(field) != 2:
            raise TypeError(f"start_response: expected each header as a tuple (name, value), got {field!r}")
        name, value = field
        _check_wsgi_field(name, value)
        if name.lower() in HOP_BY_HOP:
            continue
        pair = (name, value)
        if len(value) <= _WORTH:
            known.remember(pair)
        fields.append(pair)
        size += len(name) + len(value)
        if len(fields) > _MOST or size > _LARGEST:
            raise ValueError(
                f"start_response: expected at most {_MOST} headers of together {_LARGEST} bytes; send fewer"
            )
    return fields


def _check_wsgi_field(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"start_response: expected a header's name and value as str, got ({name!r}, {value!r})")
    if not _TOKEN.match(name):
        raise ValueError(f"start_response: {name!r} is not a header name (letters, digits and !#$%&'*+-.^_`|~)")
    if _CONTROL.search(value):
        raise ValueError(f"start_response: the value of {name} has a control character: {value!r}")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"start_response: the value of {name} has characters outside latin-1: {value!r}") from None


def check_asgi(headers: object, known: Known) -> list[tuple[bytes, bytes]]:
    """Any iterable of two-item iterables of bytes (ASGI www 2.3.2), as a list of tuples."""
    fields = []
    size = 0
    for field in headers:  # type: ignore[attr-defined]
        name, value = field
        if not isinstance(name, (bytes, bytearray)) or not isinstance(value, (bytes, bytearray)):
            raise TypeError(f"ASGI: expected header names and values as bytes, got ({name!r}, {value!r})")
        pair = bytes(name), bytes(value)
        if not _TOKEN_BYTES.match(pair[0]):
            raise ValueError(f"ASGI: {name!r} is not a header name (letters, digits and !#$%&'*+-.^_`|~)")
        if _CONTROL_BYTES.search(pair[1]):
            raise ValueError(f"ASGI: the value of {name!r} has a control character: {value!r}")
        if len(pair[1]) <= _WORTH:
            known.remember(pair)
        fields.append(pair)
        size += len(pair[0]) + len(pair[1])
        if len(fields) > _MOST or size > _LARGEST:
            raise ValueError(f"ASGI: expected at most {_MOST} headers of together {_LARGEST} bytes; send fewer")
    return fields
