"""What may be sent to a channel or a group, and how it is written: marshal's version 2, which costs a microsecond, and
which the server passes on unread.

Only values that every process can take: None, bool, int of 64 bits, float, str, bytes, lists, and dictionaries whose
keys are str. marshal would take more, code among it, so the walk comes first. Tuples become lists.
"""

from __future__ import annotations

import marshal
from typing import Any, Final

FORMAT: Final = 2
LONGEST: Final = 32 * 1024 * 1024  # bytes; the server's own limit (channel_max_message) is at most this
DEEPEST: Final = 100

_SCALARS: Final = frozenset((str, bytes, float, bool, type(None)))


class MessageTooLarge(Exception):
    """The message is longer than channel_max_message."""


def dump(message: dict[str, Any]) -> bytes:
    """The bytes of a message. TypeError says what in it cannot be sent."""
    if not isinstance(message, dict):
        raise TypeError(
            f"expected a message as a dictionary, got one of the type {type(message).__name__}, {message!r:.80}"
        )
    data = marshal.dumps(_dictionary(message, 0), FORMAT)
    if len(data) > LONGEST:
        raise too_large(len(data), LONGEST)
    return data


def too_large(size: int, limit: int) -> MessageTooLarge:
    """The same error on both sides of the wire."""
    return MessageTooLarge(
        f"a message of {size} bytes; at most {limit} are allowed (channel_max_message): "
        "put what it carries into a file or a database, and send its name"
    )


def load(data: bytes) -> dict[str, Any]:
    """A message of its own: what one reader does to it no other one sees. Only for what our own server gave us."""
    message: dict[str, Any] = marshal.loads(data)
    return message


def _dictionary(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in value.items():
        if type(key) is not str:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} of a message is of the type {type(key).__name__}; expected str")
            key = str.__str__(key)  # marshal refuses subclasses, and the loop has no other use for it
        plain[key] = item if type(item) in _SCALARS else _plain(item, depth)
    return plain


def _plain(value: Any, depth: int) -> Any:
    """The same value in types that marshal knows."""
    if type(value) in _SCALARS:
        return value
    if depth > DEEPEST:
        raise TypeError(f"a message is nested deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        return _dictionary(value, depth + 1)
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, int):
        number = int(value)
        if not -(2**63) <= number < 2**63:
            raise TypeError(f"the number {number} of a message has more than 64 bits; send it as str")
        return number
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(
        f"a message has a value of the type {type(value).__name__}, {value!r:.80}; "
        "expected None, bool, int, float, str, bytes, list or dict: send what it is made of"
    )
