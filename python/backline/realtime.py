"""Long polls and event streams from plain views: the server holds the client, and no worker waits.

    from backline.realtime import hold, publish, stream

    def messages(request):
        new = list(Message.objects.filter(id__gt=request.GET["after"]).values())
        if new:
            return JsonResponse({"messages": new})
        return hold(JsonResponse({"messages": []}), groups=["room-42"], timeout=25)

    def post(request):
        message = Message.objects.create(...)
        publish("room-42", json={"messages": [message.as_dict()]})

``hold`` and ``stream`` set header fields of an answer, whatever framework it is of, and return it; Backline obeys them,
and so does Pushpin. Nothing is missed between looking and waiting: what is published after the server handed the
request on is replayed to the answer that is held.
"""

from __future__ import annotations

import json as _json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from . import connection, wire
from .connection import NoServer as NoServer
from .parallel import greenlets, not_on_a_loop
from .payload import MessageTooLarge as MessageTooLarge
from .payload import too_large
from .session import LOST
from .waiting import SILENT, TaskWaiter, Waiter, blocking_waiter

PATIENCE: Final = 10.0  # seconds for the server to say that it has published
LONGEST: Final = 86_400  # seconds

LONGEST_ID: Final = 4096  # bytes of what a client says that it saw last

_UNSAID: Final[Any] = object()  # None is what a client's first request says

R = TypeVar("R")


def hold(response: R, groups: Sequence[str], timeout: float = 55, *, cursor: int | None = None) -> R:
    """Have the client wait for up to ``timeout`` seconds (5 at least) for what is published to one of ``groups``; then
    it gets ``response``. ``cursor`` is that of a request, where the application has looked before this one came."""
    if not 0 < timeout <= LONGEST:
        raise ValueError(f"expected timeout as seconds, above 0 and up to {LONGEST}, got {timeout!r}")
    _set(response, "Grip-Hold", "response")
    _set(response, "Grip-Channel", _names(groups))
    _set(response, "Grip-Timeout", str(max(1, round(timeout))))
    _at(response, cursor)
    return response


def stream(
    response: R,
    groups: Sequence[str],
    *,
    keep_alive: str | bytes = "",
    keep_alive_every: float = 20,
    cursor: int | None = None,
) -> R:
    """Send ``response`` and leave it open: what is published to ``groups`` with ``stream=`` or ``event=`` is added.
    After each ``keep_alive_every`` seconds without anything, ``keep_alive`` is sent."""
    _set(response, "Grip-Hold", "stream")
    _set(response, "Grip-Channel", _names(groups))
    if keep_alive:
        data = keep_alive.encode() if isinstance(keep_alive, str) else bytes(keep_alive)
        every = max(1, round(keep_alive_every))
        _set(response, "Grip-Keep-Alive", f"{b64encode(data).decode()}; format=base64; timeout={every}")
    _at(response, cursor)
    return response


def events(response: R, groups: Sequence[str], *, cursor: int | None = None, since: str | None = _UNSAID) -> R:
    """``stream`` for server-sent events: with their type, and comments that keep proxies from closing.

    ``since=request.headers.get("Last-Event-ID")`` has a client that comes back get what it missed of groups that have
    a history, or an event of the type ``backline.gap`` with the group as its data where that is not known any more. To
    one that says nothing yet (None, "") all that is remembered is sent. Events have their positions as ids then.
    """
    _set(response, "Content-Type", "text/event-stream")
    _set(response, "Cache-Control", "no-store")
    if since is not _UNSAID:
        _set(response, "Backline-Since", _last(since))
    return stream(response, groups, keep_alive=":\n\n", cursor=cursor)


def cursor_of(request: Any) -> int | None:
    """The position of what had been published when the server handed a request on: a request of Django, Flask or
    Starlette, an environ or a scope. None where nothing was ever held or published."""
    for name in ("META", "environ", "scope"):
        found = getattr(request, name, None)
        if isinstance(found, Mapping):
            request = found
            break
    value = request.get("backline.cursor") if isinstance(request, Mapping) else None
    return value if isinstance(value, int) else None


def publish(group: str, body: Any = None, **forms: Any) -> None:
    """Answer the polls that wait for a group, and extend its streams. ``body`` (str or bytes) or ``json`` is the polls'
    answer, with ``status`` and ``headers`` where they are not 200 and none; ``stream`` is added to streams, ``event``
    is a server-sent event for them (a str, or a dictionary with data, event, id and retry); ``close=True`` ends them.
    """
    data = _item(group, body, **forms)
    not_on_a_loop("publish", "await apublish(...)")
    waiter = blocking_waiter(greenlets())
    try:
        if connection.current().items(waiter, data) and not waiter.wait(PATIENCE):
            waiter.verdict = SILENT
    finally:
        waiter.close()
    _judge(waiter, group, data)


async def apublish(group: str, body: Any = None, **forms: Any) -> None:
    """The same for coroutines."""
    import asyncio

    data = _item(group, body, **forms)
    session = connection.current()
    if greenlets():
        session.items(None, data)  # as channels.agroup_send: each greenlet has a loop, and none may stop here
        return
    waiter = TaskWaiter(asyncio.get_running_loop())
    if session.items(waiter, data):
        await asyncio.wait((waiter.future,), timeout=PATIENCE)
        if not waiter.future.done():
            waiter.verdict = SILENT
    _judge(waiter, group, data)


def _judge(waiter: Waiter, group: str, data: bytes) -> None:
    if waiter.verdict == wire.VERDICT_TOO_LARGE:
        raise too_large(len(data), waiter.number)
    if waiter.verdict == wire.VERDICT_INVALID:
        raise ValueError(f"the server cannot publish that to {group}: its log says why")
    if waiter.verdict == SILENT:
        raise TimeoutError(
            f"the server has not answered for {PATIENCE:.0f} s that it has published to {group}: it hangs or is "
            "overloaded (backline ps). It may have published, or do so yet: give publications an id before you "
            "repeat them"
        )
    if waiter.verdict == LOST:
        raise NoServer(f"the server went while it was asked to publish to {group}; try again when it runs")


def _item(
    group: str,
    body: str | bytes | None = None,
    *,
    json: Any = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    stream: str | bytes | None = None,
    event: str | Mapping[str, Any] | None = None,
    close: bool = False,
    id: str | None = None,
    prev_id: str | None = None,
) -> bytes:
    """The publication as it travels, which is GRIP's JSON."""
    item: dict[str, Any] = {"channel": _name(group)}
    if id is not None:
        item["id"] = str(id)
    if prev_id is not None:
        item["prev-id"] = str(prev_id)
    fields = {str(name): str(value) for name, value in (headers or {}).items()}
    if (stream is not None) + (event is not None) + bool(close) > 1:
        # Streams get one of them; which, nobody could guess.
        raise TypeError("expected one of stream, event and close=True; publish() once for each")
    if json is not None:
        body = _json.dumps(json)
        if not any(name.lower() == "content-type" for name in fields):
            fields["Content-Type"] = "application/json"
    if not isinstance(status, int) or not 200 <= status <= 999:
        raise ValueError(f"expected status as a number from 200 to 999, got {status!r:.80}")
    if body is not None:
        item["http-response"] = {"code": int(status), "headers": fields, **_content("body", body)}
    if event is not None:
        stream = _event(event)
    if stream is not None:
        item["http-stream"] = _content("content", stream)
    if close:
        item["http-stream"] = {"action": "close"}
    if len(item.keys() & {"http-response", "http-stream"}) == 0:
        raise TypeError("publish() has nothing to publish; expected body, json, stream, event or close=True")
    return _json.dumps({"items": [item]}).encode()


def _content(name: str, data: str | bytes) -> dict[str, str]:
    if isinstance(data, str):
        return {name: data}
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"expected str or bytes to publish, got {type(data).__name__}")
    return {f"{name}-bin": b64encode(data).decode()}


def _event(event: str | Mapping[str, Any]) -> str:
    """An event as text/event-stream has it."""
    given = {"data": event} if isinstance(event, str) else dict(event)
    unknown = given.keys() - {"data", "event", "id", "retry"}
    if unknown:
        raise TypeError(f"an event has {', '.join(sorted(unknown))}; expected data, event, id and retry")
    lines = []
    for name in ("event", "id", "retry"):
        if given.get(name) is not None:
            text = str(given[name])
            if any(c in text for c in "\r\n\0"):
                raise ValueError(f"the {name} of an event has a line break: {text!r}")
            lines.append(f"{name}: {text}")
    data = given.get("data", "")
    text = data if isinstance(data, str) else _json.dumps(data)
    lines += [f"data: {line}" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return "\n".join(lines) + "\n\n"


def _name(group: Any) -> str:
    if not isinstance(group, str) or not group or len(group.encode()) > 255 or not group.isprintable():
        raise ValueError(f"expected a group as a text of 1 to 255 bytes, got {group!r}")
    return group


def _names(groups: Iterable[str]) -> str:
    if isinstance(groups, str):
        raise TypeError(f"expected groups as a list, got the text {groups!r}")
    quoted = [_quote(_name(each)) for each in groups]
    if not quoted:
        raise ValueError("expected one group at least to wait for")
    return ", ".join(quoted)


def _quote(name: str) -> str:
    """A name as a header field has it: in quotes, where it has what separates others."""
    if not name.isascii():  # a header field cannot say it
        raise ValueError(f"expected a group to wait for in ASCII, got {name!r}")
    if any(c in ',;"\\<>= ' for c in name):
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return name


def _at(response: Any, cursor: int | None) -> None:
    if cursor is not None:
        _set(response, "Backline-Cursor", str(int(cursor)))


def _last(since: Any) -> str:
    """What a client says that it saw last: what is no position becomes one that nobody knows."""
    if since is None:
        return ""
    if not isinstance(since, str):
        raise TypeError(f"expected since as the text of Last-Event-ID, or None, got {since!r:.120}")
    plain = len(since) <= LONGEST_ID and since.isascii() and since.isprintable()
    return str.__str__(since).strip() if plain else "?"


def _set(response: Any, name: str, value: str) -> None:
    """Set a header field of a response of Django, Flask, Starlette, or whatever is alike."""
    put: Callable[[str, str], object] | None = getattr(response, "__setitem__", None)
    if type(response) in (dict, list):  # which FastAPI and Flask make a response of later; it would get the fields
        raise TypeError(
            f"expected a response with headers, got {type(response).__name__}: make one, as JSONResponse(...)"
        )
    headers = getattr(response, "headers", None)
    if headers is not None and hasattr(headers, "__setitem__"):
        headers[name] = value
    elif put is not None:
        put(name, value)
    else:
        raise TypeError(f"expected a response with headers, got {type(response).__name__}")
