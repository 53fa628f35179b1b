"""What an application answers and what is published then, for test_pushpin.py.

CHANNEL stands for a channel of the case's own, and LINK for a link that is answered as ``link`` says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Fields = list[list[str]]


@dataclass(frozen=True)
class Case:
    """One request. Steps are publications, texts that must have come, and how many times it must be held by now.

    Of a stream ``end`` is published last.
    """

    name: str
    script: dict[str, Any]
    steps: list[Any] = field(default_factory=list)
    stream: bool = False
    end: dict[str, Any] = field(default_factory=lambda: item(http_stream={"action": "close"}))
    channels: int = 1  # how many it waits for
    expected: bytes | None = None  # what the body must be, where two that are wrong alike would not be noticed


@dataclass(frozen=True)
class SocketCase:
    """One WebSocket: steps are messages, frames, publications, and how many frames must come."""

    name: str
    script: dict[str, Any]
    steps: list[Any]


def held(mode: str, *more: list[str], channel: str = "CHANNEL", body: str = "held\n", **of: Any) -> dict[str, Any]:
    fields = [["Content-Type", "text/plain"], ["X-View", "1"], ["Grip-Hold", mode], ["Grip-Channel", channel], *more]
    return {"fields": fields, "body": body, **of}


def case(mode: str, name: str, steps: tuple[Any, ...], fields: Fields = [], **of: Any) -> Case:  # noqa: B006
    script: dict[str, Any] = {key: of.pop(key) for key in ("link", "again") if key in of}
    said = {key: of.pop(key) for key in ("channel", "body") if key in of}
    return Case(name, {"answer": held(mode, *fields, **said), **script}, list(steps), mode == "stream", **of)


def poll(name: str, *steps: Any, **of: Any) -> Case:
    return case("response", name, steps, **of)


def stream(name: str, *steps: Any, **of: Any) -> Case:
    return case("stream", name, steps, **of)


def item(channel: str = "CHANNEL", **formats: Any) -> dict[str, Any]:
    return {"channel": channel, **{name.replace("_", "-"): value for name, value in formats.items()}}


def line(text: str, **more: Any) -> dict[str, Any]:
    return item(http_stream={"content": text}, **more)


def response(**of: Any) -> dict[str, Any]:
    return item(http_response={name.replace("_", "-"): value for name, value in of.items()})


def ended(name: str, after: str) -> dict[str, Any]:
    return item(http_stream={"action": "close"}, id=name, prev_id=after)


NEXT = ["Grip-Link", "<LINK>; rel=next"]

POLLS = [
    poll("published", response(code=201, reason="Made", headers={"X-A": "1"}, body="news\n"), expected=b"news\n"),
    poll("published with the view's field", response(headers={"Content-Type": "text/html"}, body="<p>")),
    poll("published with pairs", response(headers=[["X-A", "1"], ["X-A", "2"]], body="x")),
    poll("published in base64", response(body_bin="AAEC/w=="), expected=b"\0\1\2\xff"),
    poll("published as formats", {"channel": "CHANNEL", "formats": {"http-response": {"body": "formats"}}}),
    poll("published without a body", response(code=204, body="")),
    poll("an unknown code", response(code=299, body="x")),
    poll("patched", response(body_patch=[{"op": "add", "path": "/n/-", "value": 2}]), body='{"n":[1]}'),
    poll("a patch with code and fields", response(code=202, headers={"X-P": "1"}, body_patch=[]), body='{"n":[1]}'),
    poll("another format first", line("x"), response(body="mine"), expected=b"mine"),
    poll("time is up", fields=[["Grip-Timeout", "1"]], expected=b"held\n"),
    poll("two channels in one field", response(body="x"), channel="CHANNEL-b, CHANNEL", channels=2),
    poll(
        "hint", item(id="2", prev_id="1", http_response={"action": "hint"}), channel="CHANNEL; prev-id=1",
        again={"status": "203 Again", "fields": [["X-B", "1"]], "body": "{Grip-Last}"}, expected=b"hint; last-id=2",
    ),
    poll("close", response(action="close"), response(body="x")),
    poll("in order", item(id="2", prev_id="1", http_response={"body": "2"}), channel="CHANNEL; prev-id=1"),
    poll(
        "skip-users of a poll",
        {**response(body="no"), "meta": {"skip_users": "1,7"}}, {**response(body="yes"), "meta": {"skip_users": "1"}},
        channel="CHANNEL; filter=skip-users", fields=[["Grip-Set-Meta", 'user="7"']], expected=b"yes",
    ),
    poll(
        "a poll that has missed something", item(id="3", prev_id="2", http_response={"body": "3"}),
        channel="CHANNEL; prev-id=1", again={"body": "again {Grip-Last}"},
        expected=b"again a-poll-that-has-missed-something; last-id=1",
    ),
    poll(
        "a poll that has missed something of two channels", item(id="3", prev_id="2", http_response={"body": "3"}),
        channel="CHANNEL; prev-id=1, CHANNEL-b; prev-id=5", again={"body": "again {Grip-Last}"}, channels=2,
    ),
]  # fmt: skip

STREAMS = [
    stream("text", line("a\n"), line(""), line("\u20ac"), expected="held\na\n\u20ac".encode()),
    stream("binary", item(http_stream={"content-bin": "AAEC/w=="}), expected=b"held\n\0\1\2\xff"),
    stream("other formats", response(body="x"), item(ws_message={"content": "x"}), line("a"), expected=b"held\na"),
    stream("status", fields=[["Grip-Status", "404 Nothing Here"]]),
    stream("status without a reason", fields=[["Grip-Status", "201"]]),
    stream("exposed", fields=[["X-A", "1"], ["X-B", "2"], ["Grip-Expose-Headers", "X-A"]]),
    stream("exposed twice", fields=[["X-A", "1"], ["X-B", "2"], ["Grip-Expose-Headers", "x-a, content-type"]]),
    stream("kept alive raw", "ping", fields=[["Grip-Keep-Alive", "ping; timeout=2"]]),
    stream("kept alive cstring", "A\\\r", fields=[["Grip-Keep-Alive", r":\n\x41\\\r; format=cstring; timeout=2"]]),
    stream("kept alive base64", "ping", fields=[["Grip-Keep-Alive", "cGluZw==; format=base64; timeout=2; mode=idle"]]),
    stream("kept alive interval", "ping", fields=[["Grip-Keep-Alive", "ping; format=raw; mode=interval; timeout=2"]]),
    stream(
        "skip-self", {**line("no"), "meta": {"sender": "7"}}, {**line("yes"), "meta": {"sender": "8"}}, line("both"),
        channel="CHANNEL; filter=skip-self", fields=[["Grip-Set-Meta", 'user="7"']], expected=b"held\nyesboth",
    ),
    stream(
        "require-sub",
        {**line("no"), "meta": {"require_sub": "x"}}, {**line("yes"), "meta": {"require_sub": "CHANNEL-b"}},
        channel="CHANNEL; filter=require-sub, CHANNEL-b", channels=2, expected=b"held\nyes",
    ),
    stream(
        "var-subst", line("%(color)s %%"), channel="CHANNEL; filter=var-subst",
        fields=[["Grip-Set-Meta", 'user="7", color="red, \\"dark\\""']], expected=b'held\nred, "dark" %',
    ),
    stream(
        "build-id", line("id %I;", id="2", prev_id="1"), body="first %(C:1)I;",
        end=ended("3", "2"), link={"answer": {"body": "x"}}, channel="CHANNEL; prev-id=1; filter=build-id",
        fields=[["Grip-Set-Meta", 'id_format="C:%(CHANNEL)s"'], NEXT], expected=b"first C:1;id C:2;",
    ),
    stream(
        "content-filters", item(http_stream={"content": "%(a)s", "content-filters": ["var-subst"]}),
        channel="CHANNEL; filter=var-subst", fields=[["Grip-Set-Meta", "a=b"]], expected=b"held\nb",
    ),
    stream(
        "content-filters of another form",
        item(http_response={"body": "x", "content-filters": ["build-id"]}, http_stream={"content": "%I"}),
        expected=b"held\n%I",
    ),
    stream(
        "content-filters that the channel has not",
        item(http_stream={"content": "%(a)s", "content-filters": ["var-subst"]}), fields=[["Grip-Set-Meta", "a=b"]],
    ),
    stream(
        "an action of another form", item(http_response={"action": "hint"}, http_stream={"content": "a"}), line("b"),
        expected=b"held\nab",
    ),
    stream("duplicates", line("a", id="1"), line("a", id="1"), line("b", id="2"), expected=b"held\nab"),
    stream(
        "out of order", line("1", id="1"), line("3", id="3", prev_id="2"), line("2", id="2", prev_id="1"), "3",
        expected=b"held\n123",
    ),
    stream(
        "out of order and too late", line("1", id="1"), line("3", id="3", prev_id="2"), "3", expected=b"held\n13",
    ),
    stream(
        "no-seq", line("1", id="1"), {**line("3", id="3", prev_id="2"), "no-seq": True}, "3", expected=b"held\n13",
    ),
    stream(
        "what has been missed is asked for", line("3", id="3", prev_id="2"), "]4",
        channel="CHANNEL; prev-id=1", fields=[NEXT], end=ended("5", "4"),
        link={"answer": held("stream", NEXT, channel="CHANNEL; prev-id=4", body="[{Grip-Last}]4"),
              "link": {"answer": {"body": "end"}}},
        expected=b"held\n[CHANNEL; last-id=1]4".replace(b"CHANNEL", b"what-has-been-missed-is-asked-for"),
    ),
    stream(
        "what has been missed of two channels", line("3", id="3", prev_id="2"), "]4",
        channel="CHANNEL; prev-id=1, CHANNEL-b; prev-id=7", fields=[NEXT], channels=2,
        link={"answer": held("stream", channel="CHANNEL", body="[{Grip-Last}]4")},
    ),
    stream(
        "hint of a stream", item(http_stream={"action": "hint"}), "asked", fields=[NEXT],
        link={"answer": held("stream", body="asked")}, expected=b"held\nasked",
    ),
    stream("hint of a stream without a link", item(http_stream={"action": "hint"}), line("a")),
]  # fmt: skip

# What Debian's Pushpin is too old for, and a case in which nobody tells when its poll is held again.
ALONE = [
    poll(
        "hint that holds on", item(id="2", prev_id="1", http_response={"action": "hint"}), 2,
        item(id="3", prev_id="2", http_response={"body": "x"}),
        channel="CHANNEL; prev-id=1", again=held("response", channel="CHANNEL; prev-id=2"), expected=b"x",
    ),
    poll(
        "refresh", item(id="2", prev_id="1", http_response={"action": "refresh"}), channel="CHANNEL; prev-id=1",
        again={"body": "{Grip-Last}"}, expected=b"refresh; last-id=2",
    ),
    stream(
        "refresh of a stream", item(http_stream={"action": "refresh"}), "asked", fields=[NEXT],
        link={"answer": held("stream", body="asked")}, expected=b"held\nasked",
    ),
    Case("too many filters", {"answer": held("stream", channel="CHANNEL" + "; filter=skip-self" * 6)}, expected=None),
]  # fmt: skip

INSTRUCT = [["Content-Type", "application/grip-instruct"]]


def instruct(name: str, text: str, *steps: Any, stream: bool = False, **of: Any) -> Case:
    return Case(name, {"answer": {"fields": [*INSTRUCT, ["X-Gone", "1"]], "body": text}}, list(steps), stream, **of)


INSTRUCTIONS = [
    instruct(
        "instruct a poll",
        '{"hold": {"mode": "response", "channels": [{"name": "CHANNEL"}], "timeout": 20},'
        ' "response": {"code": 202, "reason": "Fine", "headers": {"X-A": "1"}, "body": "x"}}',
        response(body="news"), expected=b"news",
    ),
    instruct(
        "instruct a poll whose time is up",
        '{"hold": {"channels": [{"name": "CHANNEL"}], "timeout": 1},'
        ' "response": {"code": 202, "reason": "Fine", "headers": [["X-A", "1"], ["X-A", "2"]], "body-bin": "AAEC"}}',
        expected=b"\0\1\2",
    ),
    instruct(
        "instruct a stream",
        '{"hold": {"mode": "stream", "channels": [{"name": "CHANNEL", "filters": ["var-subst", "skip-self"]}],'
        ' "keep-alive": {"content": "ping", "timeout": 2}, "meta": {"user": "7", "a": "b"}},'
        ' "response": {"headers": {"X-A": "1"}, "body": "x"}}',
        {**line("no"), "meta": {"sender": "7"}}, line("%(a)s"), "ping", stream=True, expected=b"xbping",
    ),
    instruct(
        "instruct a stream kept alive with bytes",
        '{"hold": {"mode": "stream", "channels": [{"name": "CHANNEL"}],'
        ' "keep-alive": {"content-bin": "cGluZw==", "timeout": 2}}, "response": {"body-bin": "/w=="}}',
        "ping", stream=True, expected=b"\xffping",
    ),
    instruct("instruct no hold", '{"response": {"code": 404, "headers": {"X-A": "1"}, "body": "none"}}'),
    instruct("instruct no response", '{"hold": {"channels": [{"name": "CHANNEL"}], "timeout": 5}}'),
]  # fmt: skip

PAGES = [
    Case(
        "next without a hold",
        {"answer": {"fields": [["Content-Type", "text/plain"], NEXT], "body": "1"},
         "link": {"answer": {"fields": [["X-No", "1"], NEXT], "body": "2"}, "link": {"answer": {"body": "3"}}}},
        expected=b"123",
    ),
    Case("fields without a hold", {"answer": {"fields": [["Grip-Set-Meta", "a=b"], ["X-A", "1"]], "body": "x"}}),
    Case("status without a hold", {"answer": {"fields": [["Grip-Status", "404 Gone"]], "body": "x"}}),
]  # fmt: skip


def wrong(name: str, *fields: list[str], **of: Any) -> Case:
    return Case(f"wrong {name}", {"answer": {"fields": list(fields), "body": "x", **of}})


ON = ["Grip-Channel", "CHANNEL"]
WRONG = [
    wrong("hold", ["Grip-Hold", "socket"], ON),
    wrong("timeout", ["Grip-Hold", "response"], ON, ["Grip-Timeout", "soon"]),
    wrong("negative timeout", ["Grip-Hold", "response"], ON, ["Grip-Timeout", "-5"]),
    wrong("keep-alive", ["Grip-Hold", "stream"], ON, ["Grip-Keep-Alive", "x; format=hex"]),
    wrong("keep-alive mode", ["Grip-Hold", "stream"], ON, ["Grip-Keep-Alive", "x; mode=often"]),
    wrong("cstring", ["Grip-Hold", "stream"], ON, ["Grip-Keep-Alive", "\\x4; format=cstring"]),
    wrong("link", ["Grip-Hold", "stream"], ON, ["Grip-Link", "/next; rel=next"]),
    wrong("status", ["Grip-Hold", "stream"], ON, ["Grip-Status", "fine"]),
    wrong("stream from a prev-id without a link", ["Grip-Hold", "stream"], ["Grip-Channel", "CHANNEL; prev-id=1"]),
    wrong("instruction", *INSTRUCT, body="{"),
    wrong("mode of an instruction", *INSTRUCT, body='{"hold": {"mode": "x", "channels": [{"name": "CHANNEL"}]}}'),
    wrong("status of an instruction", *INSTRUCT, body='{"response": {"body": "x"}}', status="201 Created"),
    wrong("instruction without channels", *INSTRUCT, body='{"hold": {"mode": "stream"}}'),
]

CASES = [*POLLS, *STREAMS, *INSTRUCTIONS, *PAGES, *WRONG]

GRIP = [["Sec-WebSocket-Extensions", "grip"]]
OPEN = ["OPEN"]


def say(*events: list[str], fields: Fields = []) -> dict[str, Any]:  # noqa: B006
    return {"events": list(events), "fields": fields}


def text(content: str) -> list[str]:
    return ["TEXT", content]


SUBSCRIBE = text('c:{"type": "subscribe", "channel": "CHANNEL"}')
SOCKETS = [
    SocketCase("echo", say(OPEN), [say(text("a"), ["BINARY", "base64:AAH/"]), 2]),
    SocketCase(
        "subscribe", say(OPEN, SUBSCRIBE, text("m:on"), fields=GRIP),
        [1, item(ws_message={"content": "a"}), 1, item(ws_message={"content-bin": "AAE="}), 1,
         item(ws_message={"type": "ping", "content": "p"}), 1],
    ),
    SocketCase(
        "unsubscribe", say(OPEN, SUBSCRIBE, text("m:on"), fields=GRIP),
        [1, item(ws_message={"content": "a"}), 1,
         say(text('c:{"type": "unsubscribe", "channel": "CHANNEL"}'), text("m:off")), 1,
         item(ws_message={"content": "no"}), say(text("m:end")), 1],
    ),
    SocketCase(
        "prefix", say(OPEN, SUBSCRIBE, text("s:on"), text("m:no"), text("s:"),
                      fields=[["Sec-WebSocket-Extensions", 'grip; message-prefix="s:"']]), [2],
    ),
    SocketCase("a control that is none", say(OPEN, text("c:on"), fields=GRIP), [say(text("m:a")), 1]),
    SocketCase("no prefix", say(OPEN, fields=[["Sec-WebSocket-Extensions", 'grip; message-prefix=""']]),
               [say(text("on")), 1]),
    SocketCase(
        "filters",
        say(OPEN, text('c:{"type": "subscribe", "channel": "CHANNEL", "filters": ["skip-self", "var-subst"]}'),
            text('c:{"type": "set-meta", "name": "user", "value": "7"}'), text("m:on"), fields=GRIP),
        [1, {**item(ws_message={"content": "no"}), "meta": {"sender": "7"}},
         item(ws_message={"content": "user %(user)s"}), 1],
    ),
    SocketCase(
        "closed by a publication", say(OPEN, SUBSCRIBE, text("m:on"), fields=GRIP),
        [1, item(ws_message={"action": "close"}), 1],
    ),
    SocketCase(
        "closed by a publication with a code", say(OPEN, SUBSCRIBE, text("m:on"), fields=GRIP),
        [1, item(ws_message={"action": "close", "code": 4001, "reason": "over"}), 1],
    ),
    SocketCase(
        "close of another form", say(OPEN, SUBSCRIBE, text("m:on"), fields=GRIP),
        [1, item(http_stream={"action": "close"}, ws_message={"content": "a"}), 1],
    ),
    SocketCase("closed by the application", say(OPEN), [say(["CLOSE", "base64:D6FvdmVy"]), 1]),
    SocketCase("ping and pong", say(OPEN), [say(["PING", "a"], ["PONG", "b"]), 2, {"frame": 9, "payload": b"x"}, 1]),
    SocketCase(
        "send-delayed", say(OPEN, fields=GRIP),
        [say(text('c:{"type": "send-delayed", "content": "later", "timeout": 1}'), text("m:now")), 2],
    ),
    SocketCase(
        "flush-delayed", say(OPEN, fields=GRIP),
        [say(text('c:{"type": "send-delayed", "content": "later", "timeout": 60}'), text("m:now")), 1,
         say(text('c:{"type": "flush-delayed"}')), 1],
    ),
    SocketCase(
        "keep-alive", say(OPEN, fields=GRIP),
        [say(text('c:{"type": "keep-alive", "content": "alive", "timeout": 2}'), text("m:now")), 2],
    ),
    SocketCase(
        "keep-alive ping", say(OPEN, fields=GRIP),
        [say(text('c:{"type": "keep-alive", "message-type": "ping", "content": "p", "timeout": 2}'), text("m:now")), 2],
    ),
    SocketCase(
        "set-meta", say(OPEN, fields=[*GRIP, ["Set-Meta-Who", "ann"], ["Set-Meta-More", "x"]]),
        [say(text("m:{Meta-Who} {Meta-More} {Meta-None}"), fields=[["Set-Meta-More", ""]]), 1,
         say(text("m:{Meta-Who} {Meta-More}")), 1],
    ),
    SocketCase("asked by and by", say(OPEN, fields=[["Keep-Alive-Interval", "1"]]), [1]),
    SocketCase(
        "detach", say(OPEN, SUBSCRIBE, text("m:on"), fields=GRIP),
        [1, say(text('c:{"type": "detach"}'), text("m:off")), 1,
         say(text("m:no")), item(ws_message={"content": "a"}), 1],
    ),
]  # fmt: skip
