"""The channels of a process without a connection: what is queued for the hub, and who is woken by what comes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from backline import channels, connection, payload, realtime, wire
from backline.mailbox import Box, Limits, layer_of, new_name, owner_of
from backline.session import LOST, Session
from backline.waiting import ThreadWaiter


class Hub:
    """Notes what a session tells it."""

    def __init__(self) -> None:
        self.told: list[wire.Outgoing] = []
        self.session = Session(self.told.extend)
        self.limits = self.session.layer(capacity=2)

    def new(self) -> str:
        return new_name(self.session.id, self.limits)

    def kinds(self) -> list[int]:
        found = [each[0] for each in self.told]
        self.told.clear()
        return found


@pytest.fixture
def hub() -> Hub:
    return Hub()


def test_names(hub: Hub) -> None:
    name = hub.new()
    assert owner_of(name) == hub.session.id
    assert layer_of(name) == hub.limits.number
    assert len(name) < 100
    assert owner_of("thumbs") is None
    assert re.fullmatch(r"x\.[0-9a-f]{32}![\w-]+", new_name(hub.session.id, hub.limits, "x"))


def test_capacities() -> None:
    limits = Limits("0", capacity=5, channel_capacity={"a*": 1, re.compile("b"): 2, "[!c]": 3})
    assert [limits.capacity_of(each) for each in ("abc", "bc", "d", "c")] == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"capacity": "100"}, "expected capacity as a whole number from 1 to 2147483647, got '100'"),
        ({"capacity": 0}, "expected capacity"),
        ({"capacity": 2**31}, "expected capacity"),
        ({"capacity": True}, "expected capacity"),
        ({"channel_capacity": {"thumbs": None}}, "expected channel_capacity as .*, got None"),
        ({"expiry": "60"}, "expected expiry as a number of seconds, got '60'"),
        ({"expiry": float("nan")}, "expected expiry"),
        ({"group_expiry": -1}, "expected group_expiry"),
    ],
)
def test_limits_that_cannot_be(limits: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        channels.Endpoint(**limits)


def test_an_expiry_that_is_longer_than_the_server_counts(hub: Hub) -> None:
    for expiry in (86_400.0 * 365, float("inf")):
        hub.session.send(ThreadWaiter(), hub.session.layer(expiry=expiry), "thumbs", b"0")
        assert hub.told.pop()[-1] == 2**31 - 1


def test_what_is_over_makes_room() -> None:
    box = Box(Limits("0", capacity=1, expiry=1), "x", owned=True)
    assert box.put(b"1", 0.0)
    assert not box.put(b"2", 0.5)
    assert box.put(b"3", 2.0)
    assert box.take(2.0) == b"3"
    assert box.take(2.0) is None


def test_a_group_is_joined_and_left_once(hub: Hub) -> None:
    one, two = hub.new(), hub.new()
    first, second, third = ThreadWaiter(), ThreadWaiter(), ThreadWaiter()
    assert hub.session.add(first, "room", one)
    assert hub.session.add(second, "room", two)
    assert hub.told == [(wire.JOIN, 1, "room")]
    assert not second.wait(0)
    hub.session.take([(wire.VERDICT, 1, wire.VERDICT_DONE, 0)])
    assert first.wait(0)
    assert second.wait(0)
    assert not hub.session.add(third, "room", two)
    hub.told.clear()
    hub.session.discard(third, "room", one)
    assert not hub.told
    hub.session.discard(third, "room", two)
    hub.session.discard(third, "room", two)
    assert hub.told == [(wire.LEAVE, 0, "room")]


def test_one_message_for_all_members(hub: Hub) -> None:
    names = [hub.new() for _ in range(3)]
    for each in names:
        hub.session.add(ThreadWaiter(), "room", each)
    hub.session.take([(wire.DELIVER, 0, "room", b"x"), (wire.DELIVER, 0, "other", b"y")])
    assert [hub.session.receive(ThreadWaiter(), hub.limits, each) for each in names] == [b"x"] * 3
    hub.told.clear()
    for _ in range(3):
        hub.session.take([(wire.DELIVER, 0, "room", b"x")])
    assert hub.told == [(wire.DROPPED, 3, "room")]


def test_verdicts_of_a_channel_that_others_send_to(hub: Hub) -> None:
    name = hub.new()
    hub.session.take([(wire.CHANNEL_TAKE, token, name, b"x") for token in (5, 6, 7)])
    assert [each[1:] for each in hub.told] == [
        (5, wire.VERDICT_DONE, 0),
        (6, wire.VERDICT_DONE, 0),
        (7, wire.VERDICT_FULL, 2),
    ]


def test_a_process_on_a_server_that_is_out_of_reach(hub: Hub) -> None:
    waiter = ThreadWaiter()
    hub.session.send(waiter, hub.limits, "specific.other!0-x", b"0")
    hub.session.take([(wire.VERDICT, hub.told[-1][1], wire.VERDICT_AWAY, 0)])
    with pytest.raises(channels.NoServer, match="is not of this server, and the bus to the other servers is away"):
        channels._judge(waiter, "specific.other!0-x")


def test_a_channel_of_nobody_is_read_as_often_as_somebody_waits(hub: Hub) -> None:
    first, second = ThreadWaiter(), ThreadWaiter()
    for each in (first, second):
        assert hub.session.receive(each, hub.limits, "thumbs") is None
    assert hub.told == [(wire.CHANNEL_READ, 1, "thumbs")] * 2
    hub.told.clear()
    hub.session.resumed(second, "thumbs", gave_up=True)
    assert hub.told == [(wire.CHANNEL_UNREAD, 1, "thumbs")]
    hub.told.clear()
    # Two come all the same: the second was on its way.
    hub.session.take([(wire.CHANNEL_TAKE, 0, "thumbs", b"1"), (wire.CHANNEL_TAKE, 0, "thumbs", b"2")])
    assert hub.told == [(wire.GIVE_BACK, 0, "thumbs", b"2")]
    assert first.wait(0)
    hub.told.clear()
    hub.session.resumed(first, "thumbs", gave_up=True)
    assert hub.told == [(wire.GIVE_BACK, 0, "thumbs", b"1")]
    assert not hub.session._boxes


def test_who_gives_up_passes_the_turn_on(hub: Hub) -> None:
    name, first, second = hub.new(), ThreadWaiter(), ThreadWaiter()
    for each in (first, second):
        hub.session.receive(each, hub.limits, name)
    hub.session.send(ThreadWaiter(), hub.limits, name, b"x")
    assert first.wait(0)
    assert not second.wait(0)
    hub.session.resumed(first, name, gave_up=True)
    assert second.wait(0)


def test_a_lost_connection(hub: Hub) -> None:
    name, asked, reader = hub.new(), ThreadWaiter(), ThreadWaiter()
    hub.session.add(ThreadWaiter(), "room", name)
    hub.session.receive(reader, hub.limits, "thumbs")
    hub.session.send(asked, hub.limits, "jobs", b"x")
    assert hub.session.lost()
    assert asked.wait(0)
    assert asked.verdict == LOST
    assert [each[0] for each in hub.session.resume()] == [wire.ATTACH, wire.JOIN, wire.CHANNEL_READ]


def test_a_write_that_fails_leaves_nothing(hub: Hub) -> None:
    def fail(_: list[wire.Outgoing]) -> None:
        session.lost()  # as lines do
        raise ConnectionError("none")

    session = Session(fail)
    limits = session.layer()
    name = new_name(session.id, limits)
    for call in (
        lambda: session.add(ThreadWaiter(), "room", name),
        lambda: session.receive(ThreadWaiter(), limits, "thumbs"),
        lambda: session.publish(ThreadWaiter(), "room", b""),
    ):
        with pytest.raises(ConnectionError):
            call()
    assert not session._groups
    assert not session._asked
    assert not session.waited_for()


def test_a_channel_that_ends(hub: Hub) -> None:
    name, other = hub.new(), hub.new()
    for group, channel in (("a", name), ("b", name), ("b", other)):
        hub.session.add(ThreadWaiter(), group, channel)
    hub.session.take([(wire.DELIVER, 0, "b", b"x")])
    hub.told.clear()
    hub.session.end(name)
    assert hub.told == [(wire.LEAVE, 0, "a")]
    assert set(hub.session._boxes) == set(hub.session._of) == {other}


def test_what_expired_is_swept(hub: Hub) -> None:
    limits = hub.session.layer(expiry=0.0)
    name = new_name(hub.session.id, limits)
    hub.session.add(ThreadWaiter(), "room", name)
    hub.session.take([(wire.DELIVER, 0, "room", b"x")])
    assert hub.session._boxes
    limits.group_expiry = 0.0
    hub.told.clear()
    hub.session._swept = -1e9
    hub.session.take([])
    assert not hub.session._boxes
    assert hub.told == [(wire.LEAVE, 0, "room")]


def test_a_membership_that_is_over_gets_nothing(hub: Hub) -> None:
    short, long = hub.session.layer(group_expiry=0.0), hub.session.layer()
    for limits in (short, long):
        hub.session.add(ThreadWaiter(), "room", new_name(hub.session.id, limits))
    hub.session.take([(wire.DELIVER, 0, "room", b"x")])
    assert len(hub.session._boxes) == 1
    assert (wire.LEAVE, 0, "room") not in hub.told


class Sub(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"a": (1, [2, (3,)])}, {"a": [1, [2, [3]]]}),
        ({Sub("a"): Sub("b")}, {"a": "b"}),
        ({"a": bytearray(b"x")}, {"a": b"x"}),
    ],
)
def test_payloads(value: dict[str, Any], plain: dict[str, Any]) -> None:
    found = payload.load(payload.dump(value))
    assert found == plain
    assert all(type(key) is str for key in found)


@pytest.mark.parametrize(
    ("value", "said"),
    [({1: 2}, "the key 1 of a message is of the type int; expected str"), ({"a": {1}}, "of the type set"),
     ({"a": 2**63}, "more than 64 bits"), ({"a": compile("1", "", "eval")}, "of the type code")],
)  # fmt: skip
def test_payloads_that_cannot_be(value: dict[Any, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        payload.dump(value)


def test_a_payload_without_end() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(TypeError, match="nested deeper"):
        payload.dump({"a": endless})
    with pytest.raises(payload.MessageTooLarge, match="channel_max_message"):
        payload.dump({"a": bytes(payload.LONGEST)})


@pytest.mark.parametrize("message", [[1], None, "text"])
def test_only_dictionaries_are_messages(message: Any) -> None:
    for send in (channels.send, channels.group_send):
        with pytest.raises(TypeError, match="expected a message as a dictionary, got one of the type "):
            send("thumbs", message)


@pytest.mark.parametrize("name", ["", "a b", "x" * 100, "ä", 5, "a!b\n"])
def test_names_of_channels(name: Any) -> None:
    with pytest.raises(TypeError, match="is no name of a channel"):
        channels.send(name, {})


def test_synchronous_forms_stop_no_loop() -> None:
    async def test() -> None:
        with pytest.raises(RuntimeError, match=r"await areceive\(...\)"):
            channels.receive("thumbs")

    asyncio.run(test())


def test_no_answer_is_an_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whatever waits for the server, and names what was asked."""
    monkeypatch.setattr(connection, "current", lambda: hub.session)
    monkeypatch.setattr(hub.session, "answered", lambda: True)
    for module in (channels, realtime):
        monkeypatch.setattr(module, "PATIENCE", 0.01)
    end = channels.Endpoint()
    calls: list[Callable[[], Any]] = [
        lambda: end.send("thumbs", {"a": 1}),
        lambda: asyncio.run(end.asend("thumbs", {"a": 1})),
        lambda: end.group_send("thumbs", {"a": 1}),
        lambda: end.group_broadcast("thumbs", "a"),
        lambda: end.group_add("thumbs", hub.new()),
        lambda: end.group_add("thumbs", "nobodys"),
        lambda: realtime.publish("thumbs", "a"),
        lambda: asyncio.run(realtime.apublish("thumbs", "a")),
    ]
    for call in calls:
        with pytest.raises(TimeoutError, match=r"answered.*(thumbs|nobodys|specific).*may have"):
            call()
    end.group_discard("thumbs", hub.new())  # which waits for nothing


def test_a_message_that_is_too_long_for_the_bus(hub: Hub) -> None:
    waiter = ThreadWaiter()
    hub.session.ask(waiter, wire.CHANNEL_SEND, "elsewhere.x!y", b"")
    waiter.verdict, waiter.number = wire.VERDICT_BEYOND_BUS, 1000
    with pytest.raises(channels.MessageTooLarge, match=r"elsewhere\.x!y .* at most 1000 bytes \(half of bus_buffer\)"):
        channels._judge(waiter, "elsewhere.x!y")
