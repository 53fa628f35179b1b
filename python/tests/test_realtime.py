from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from backline import realtime


class Response:
    def __init__(self) -> None:
        self.headers: dict[str, str] = {}


class Old(dict):  # type: ignore[type-arg]
    """As Django's response was before it had headers."""


def item(*given: Any, **forms: Any) -> dict[str, Any]:
    (found,) = json.loads(realtime._item(*given, **forms))["items"]
    assert isinstance(found, dict)
    return found


def test_a_hold_is_header_fields() -> None:
    for response in (Response(), Old()):
        assert realtime.hold(response, ["room-42", "a b,c"], timeout=25.4, cursor=7) is response
        assert getattr(response, "headers", response) == {
            "Grip-Hold": "response",
            "Grip-Channel": 'room-42, "a b,c"',
            "Grip-Timeout": "25",
            "Backline-Cursor": "7",
        }


def test_a_stream_is_header_fields() -> None:
    assert realtime.stream(Response(), ["room"], keep_alive=".\n", keep_alive_every=3).headers == {
        "Grip-Hold": "stream",
        "Grip-Channel": "room",
        "Grip-Keep-Alive": "Lgo=; format=base64; timeout=3",
    }
    assert realtime.events(Response(), ["room"]).headers["Content-Type"] == "text/event-stream"


@pytest.mark.parametrize(
    ("since", "said"),
    [
        (None, ""),
        ("", ""),
        ("1f-7.a-b", "1f-7.a-b"),
        ("x:1f-7,y:2e-1", "x:1f-7,y:2e-1"),
        ("a\r\nSet-Cookie: b", "?"),
        ("\xe9", "?"),
        ("1" * 4097, "?"),
        (" ", ""),
    ],
)
def test_a_stream_that_goes_on(since: Any, said: str) -> None:
    new, old = Response(), Old()
    realtime.events(new, ["room"], since=since)
    realtime.events(old, ["room"], since=since)
    assert new.headers["Backline-Since"] == old["Backline-Since"] == said
    assert "Backline-Since" not in realtime.events(Response(), ["room"]).headers


def test_a_number_is_no_place_to_go_on_from() -> None:
    response = Response()
    with pytest.raises(TypeError, match="expected since as the text of Last-Event-ID, or None, got 7"):
        realtime.events(response, ["room"], since=7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("groups", "timeout", "what"),
    [
        ("room", 5, "expected groups as a list"),
        ([], 5, "one group at least"),
        ([""], 5, "expected a group"),
        ([7], 5, "expected a group"),
        (["a\r\nb: c"], 5, "expected a group"),
        (["x" * 256], 5, "expected a group"),
        (["r\xe4um"], 5, "expected a group to wait for in ASCII"),
        (["room"], 0, "expected timeout"),
        (["room"], 1e9, "expected timeout"),
    ],
)
def test_what_cannot_be_waited_for(groups: Any, timeout: float, what: str) -> None:
    with pytest.raises((TypeError, ValueError), match=what):
        realtime.hold(Response(), groups, timeout)


def test_only_responses_are_held() -> None:
    some: tuple[Any, ...] = ({"messages": []}, [1])
    for content in some:
        kept = content.copy()
        with pytest.raises(TypeError, match=r"expected a response with headers, got (dict|list): make one"):
            realtime.hold(content, ["room"])
        assert content == kept
    with pytest.raises(TypeError, match="expected a response with headers, got int"):
        realtime.hold(7, ["room"])


def test_forms_of_publications() -> None:
    assert item("room", "hi", status=201, headers={"X": 1}, id=5, prev_id=4) == {
        "channel": "room",
        "id": "5",
        "prev-id": "4",
        "http-response": {"code": 201, "headers": {"X": "1"}, "body": "hi"},
    }
    assert item("room", b"\xff")["http-response"]["body-bin"] == "/w=="
    made = item("room", json={"a": 1}, stream=b"x")
    assert made["http-response"] == {"code": 200, "headers": {"Content-Type": "application/json"}, "body": '{"a": 1}'}
    assert made["http-stream"] == {"content-bin": "eA=="}
    assert item("room", json=1, headers={"content-type": "x"})["http-response"]["headers"] == {"content-type": "x"}
    assert item("room", close=True)["http-stream"] == {"action": "close"}


def test_events() -> None:
    assert item("room", event="a\r\nb")["http-stream"]["content"] == "data: a\ndata: b\n\n"
    event = {"event": "news", "id": 3, "retry": 500, "data": {"x": "é"}}
    assert item("room", event=event)["http-stream"]["content"] == (
        'event: news\nid: 3\nretry: 500\ndata: {"x": "\\u00e9"}\n\n'
    )
    with pytest.raises(ValueError, match="line break"):
        item("room", event={"event": "a\nb"})
    with pytest.raises(TypeError, match="an event has name"):
        item("room", event={"name": "a"})


def test_what_cannot_be_published() -> None:
    with pytest.raises(TypeError, match="nothing to publish"):
        item("room")
    for forms in ({"stream": "a", "event": "b"}, {"event": "last", "close": True}, {"stream": "last", "close": True}):
        with pytest.raises(TypeError, match="expected one of stream, event and close=True"):
            item("room", **forms)
    for status in ("200 OK", 99, 1000, None):
        with pytest.raises(ValueError, match="expected status as a number from 200 to 999, got "):
            item("room", "text", status=status)
    with pytest.raises(TypeError, match="expected str or bytes to publish, got int"):
        item("room", 7)


def test_cursors() -> None:
    class Request:
        META: ClassVar = {"backline.cursor": 12}

    assert realtime.cursor_of(Request()) == 12
    assert realtime.cursor_of({"backline.cursor": 3}) == 3
    assert realtime.cursor_of({}) is None
    assert realtime.cursor_of(object()) is None
