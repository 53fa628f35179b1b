"""What a process makes of histories, without a server."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from backline import channels, connection, wire
from backline.recall import History
from backline.session import Session


class Name(str, Enum):
    ANN = "ann"


class Line:
    """A connection to a server that answers every question at once."""

    def __init__(self) -> None:
        self.told: list[wire.Outgoing] = []
        self.session = Session(self._write)

    def _write(self, messages: list[wire.Outgoing]) -> None:
        self.told += messages
        for kind, token, *_ in messages:
            if token:
                asked = kind == wire.HISTORY
                self.session.take([(wire.RECALL, token, 0, "", []) if asked else (wire.VERDICT, token, 0, 0)])

    def forget(self) -> None:
        """Nothing to close."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[wire.Outgoing]:
    line = Line()
    monkeypatch.setattr(connection, "_line", line)
    return line.told


@pytest.mark.parametrize(
    ("position", "new"),
    [
        ("a1-7", False),
        ("a1-8", True),
        ("a1-7.zik0zj-5.b-1", False),
        ("a1-10.zik0zj-5", True),
        ("b2-1", True),
        ("", True),
    ],
)
def test_what_is_new_is_told_by_the_part_of_the_own_server(position: str, new: bool) -> None:
    message = {"text": "x", "__position__": position} if position else {"text": "x"}
    for end in ("a1-7", "a1-7.zik0zj-3"):
        assert History([], True, end).is_new(message) is new
    assert History([], True, "").is_new(message)


@pytest.mark.parametrize("name", [42, None, b"ann", "", "x" * 256, "\xe4" * 128])
def test_who_is_there_has_a_name(told: list[wire.Outgoing], name: Any) -> None:
    for call in (channels.enter, channels.leave):
        with pytest.raises(TypeError, match="expected user as a str of 1 to 255 bytes, got "):
            call("chat.1", user=name, socket="a")
        with pytest.raises(TypeError, match="expected socket as a str of 1 to 255 bytes, got "):
            call("chat.1", user="ann", socket=name)
    with pytest.raises(ValueError, match="JSON compliant"):
        channels.enter("chat.1", user="ann", socket="a", info=float("nan"))
    assert told == []
    channels.enter("chat.1", user=Name.ANN, socket="a", info={"tab": 1})
    assert told.pop()[2:] == ("chat.1", "ann", "a", '{"tab": 1}')


LONG = "a1-7" + ".b-1" * 255


@pytest.mark.parametrize(
    ("after", "asked"), [(None, ""), ("", ""), ("a1-7", "a1-7"), (LONG, LONG), ("x" * 1025, "?"), ("\xe4", "?")]
)
def test_positions_that_clients_say(told: list[wire.Outgoing], after: Any, asked: str) -> None:
    assert channels.history("chat.1", after=after) == History([], False, "")
    assert told.pop()[2:] == ("chat.1", asked)


@pytest.mark.parametrize("count", [1.5, "7", -1, 2**31, None])
def test_counts(told: list[wire.Outgoing], count: Any) -> None:
    for messages, seconds in ((count, 60), (10, count)):
        with pytest.raises(ValueError, match=r"is no count; expected 0 to 2147483647"):
            channels.keep("chat.1", messages=messages, seconds=seconds)
    with pytest.raises(ValueError, match="is no count"):
        channels.presence("chat.1", limit=count)
    assert told == []


def test_a_position_is_text(told: list[wire.Outgoing]) -> None:
    with pytest.raises(TypeError, match="expected after as a position, which is a str, got 7"):
        channels.history("chat.1", after=7)  # type: ignore[arg-type]
    assert told == []
