"""backline.layer: the contract of Channels' layers, from a process that is no worker, against a real server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull, MessageTooLarge
from harness import PATIENCE, Server
from outside import fresh
from outside import layer as layer_module

BacklineChannelLayer = layer_module.BacklineChannelLayer

Layers = Callable[..., BacklineChannelLayer]
Test = Callable[[BacklineChannelLayer], Awaitable[None]]
SOON = 0.2  # seconds in which what must not come has not come


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("layer") / "s"
    with Server("layer_members:app", "--workers", "1", "--control-socket", str(path)) as running:
        running.path_of_control = path  # type: ignore[attr-defined]
        yield running


@pytest.fixture
def layers(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Layers]:
    """Makes layers, each with the options of its own; in the end nothing is left of them."""
    monkeypatch.setenv("BACKLINE_SOCKET", str(server.path_of_control))  # type: ignore[attr-defined]
    made: list[BacklineChannelLayer] = []

    def make(**options: Any) -> BacklineChannelLayer:
        made.append(BacklineChannelLayer(hosts=[("localhost", 6379)], **options))
        return made[-1]

    yield make
    asyncio.run(make().flush())
    for each in made:
        asyncio.run(each.close_pools())
    fresh()


async def soon(layer: BacklineChannelLayer, channel: str) -> Any:
    return await asyncio.wait_for(layer.receive(channel), PATIENCE)


async def nothing(layer: BacklineChannelLayer, channel: str) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(layer.receive(channel), SOON)


@pytest.mark.parametrize("channel", ["thumbs", None])
def test_send_and_receive_in_order(layers: Layers, channel: str | None) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        name = channel or await layer.new_channel()
        for n in range(3):
            await layer.send(name, {"type": "message", "n": n})
        assert [(await soon(layer, name))["n"] for _ in range(3)] == [0, 1, 2]

    asyncio.run(test(layers()))


def test_every_type_crosses(layers: Layers) -> None:
    message = {
        "bytes": b"\x00\xff", "str": "Grüße \U0001f600 \0", "int": -(2**63), "most": 2**63 - 1, "float": 0.1,
        "none": None,
        "true": True, "list": [1, [2, {"a": b""}]], "dict": {"": {}},
    }  # fmt: skip

    async def test(layer: BacklineChannelLayer) -> None:
        await layer.send("thumbs", {**message, "tuple": (1, (2,))})
        assert await soon(layer, "thumbs") == {**message, "tuple": [1, [2]]}
        wrongs: list[Any] = [{1: 2}, {"a": {1}}, {"a": 2**64}, {"a": object()}, {"a": {"b": [1j]}}]
        for wrong in wrongs:
            with pytest.raises(TypeError):
                await layer.send("thumbs", wrong)

    asyncio.run(test(layers()))


def test_what_the_sender_changes_later_is_not_sent(layers: Layers) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        one, two = await layer.new_channel(), await layer.new_channel()
        for each in (one, two):
            await layer.group_add("room", each)
        message = {"list": [1]}
        await layer.group_send("room", message)
        message["list"].append(2)
        first = await soon(layer, one)
        first["list"].append(3)
        assert await soon(layer, two) == {"list": [1]}

    asyncio.run(test(layers()))


def test_capacity(layers: Layers) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        for name in ("thumbs", await layer.new_channel()):
            for _ in range(3):
                await layer.send(name, {})
            with pytest.raises(ChannelFull, match="3 messages wait"):
                await layer.send(name, {})
            assert await soon(layer, name) == {}
            await layer.send(name, {})

    asyncio.run(test(layers(capacity=3)))


def test_capacities_by_name(layers: Layers) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        for name, most in (("one", 1), ("two.x", 2), ("three", 3)):
            for _ in range(most):
                await layer.send(name, {})
            with pytest.raises(ChannelFull):
                await layer.send(name, {})
        assert layer.get_capacity("two.x") == 2

    asyncio.run(test(layers(capacity=3, channel_capacity={"one": 1, re.compile("two"): 2})))


@pytest.mark.parametrize("name", ["=+135!", "", "a b", "x" * 100, 5, "é"])
def test_names_that_cannot_be(layers: Layers, name: Any) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        in_channels = (layer.send(name, {}), layer.receive(name), layer.group_add("room", name))
        in_groups = (layer.group_add(name, "a"), layer.group_discard(name, "a"), layer.group_send(name, {}))
        for call in in_channels + in_groups:
            with pytest.raises(TypeError):
                await call

    asyncio.run(test(layers()))


def test_misuse(layers: Layers) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        with pytest.raises(AssertionError, match="another process"):
            await layer.receive("not-client-prefix!local_part")
        for wrong in ("text", [1], None):
            with pytest.raises(AssertionError):
                await layer.send("thumbs", wrong)  # type: ignore[arg-type]
            with pytest.raises(AssertionError):
                await layer.group_send("room", wrong)  # type: ignore[arg-type]
        with pytest.raises(AssertionError):
            await layer.send("thumbs", {"__asgi_channel__": "x"})

    asyncio.run(test(layers()))


def test_groups(layers: Layers) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        names = [await layer.new_channel(prefix=f"test-{n}") for n in range(3)]
        for each in names:
            await layer.group_add("test-group", each)
            await layer.group_add("test-group", each)
        await layer.group_discard("test-group", names[1])
        await layer.group_discard("never", names[1])
        await layer.group_send("test-group", {"type": "message.1"})
        await layer.group_send("nobody", {})
        for each in (names[0], names[2]):
            assert await soon(layer, each) == {"type": "message.1"}
        for each in names:
            await nothing(layer, each)

    asyncio.run(test(layers()))


def test_a_group_never_raises_that_a_channel_is_full(
    layers: Layers, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        quick, slow = await layer.new_channel(), await layer.new_channel()
        for each in (quick, slow, "thumbs"):
            await layer.group_add("test-group", each)
        for n in range(4):
            await layer.group_send("test-group", {"n": n})
            assert await soon(layer, quick) == {"n": n}
        assert [(await soon(layer, slow))["n"] for _ in range(3)] == [0, 1, 2]
        await nothing(layer, slow)

    with caplog.at_level("INFO", "backline.channels"):
        asyncio.run(test(layers(capacity=3)))
    assert "1 of 2 channels over capacity in group test-group" in caplog.text
    server.wait_for("messages were dropped.*group test-group: 1")


def test_channels_of_nobody_and_of_others_in_groups(layers: Layers, server: Server) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        theirs = server_join(server, "elsewhere", "theirs")
        await layer.group_add("room", "thumbs")
        await layer.group_add("room", theirs)
        await layer.group_send("room", {"n": 1})
        assert await soon(layer, "thumbs") == {"n": 1}
        assert ask(server, "receive/10/theirs") == {"n": 1}
        await layer.group_discard("room", "thumbs")
        await layer.group_discard("room", theirs)
        await layer.group_send("room", {"n": 2})
        await nothing(layer, "thumbs")

    asyncio.run(test(layers()))


def ask(server: Server, target: str) -> Any:
    answer = server.get(f"/{target}")
    assert answer.status == 200, server.log
    return json.loads(answer.body)[1]


def server_join(server: Server, group: str, name: str) -> str:
    return str(ask(server, f"join/{group}/{name}"))


def test_cancelling_receive_loses_nothing(layers: Layers) -> None:
    """A sweep over the moment of the cancellation."""

    async def test(layer: BacklineChannelLayer) -> None:
        for name in (await layer.new_channel(), "thumbs"):
            for step in range(20):
                waiting = asyncio.ensure_future(layer.receive(name))
                sending = asyncio.ensure_future(layer.send(name, {"n": step}))
                for _ in range(step):
                    await asyncio.sleep(0)
                waiting.cancel()
                await sending
                try:
                    found = await waiting
                except asyncio.CancelledError:
                    found = await soon(layer, name)
                assert found == {"n": step}

    asyncio.run(test(layers()))


def test_many_receivers_share_a_channel(layers: Layers) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        waiting = [asyncio.ensure_future(layer.receive("thumbs")) for _ in range(10)]
        await asyncio.sleep(0)
        for n in range(5):
            await layer.send("thumbs", {"n": n})
        done: set[asyncio.Future[Any]] = set()
        pending: set[asyncio.Future[Any]] = set(waiting)
        while len(done) < 5:
            found, pending = await asyncio.wait(pending, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            assert found
            done |= found
        assert sorted(each.result()["n"] for each in done) == list(range(5))
        for each in pending:
            each.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await layer.send("thumbs", {"n": 9})
        assert await soon(layer, "thumbs") == {"n": 9}

    asyncio.run(test(layers()))


def test_from_many_loops(layers: Layers) -> None:
    layer = layers()
    names = [async_to_sync(layer.new_channel)() for _ in range(2)]
    assert names[0] != names[1]
    for name in names:
        async_to_sync(layer.group_add)("room", name)
    for n in range(10):
        async_to_sync(layer.group_send)("room", {"n": n})
    for n in range(10):
        assert [async_to_sync(layer.receive)(name) for name in names] == [{"n": n}] * 2


@pytest.mark.parametrize("owned", [True, False])
def test_a_loop_that_ends_while_it_waits(layers: Layers, owned: bool) -> None:
    layer = layers()
    name = asyncio.run(layer.new_channel()) if owned else "thumbs"
    loop = asyncio.new_event_loop()
    stuck = loop.create_task(layer.receive(name))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    asyncio.run(layer.send(name, {"n": 1}))
    assert asyncio.run(soon(layer, name)) == {"n": 1}
    stuck._log_destroy_pending = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("owned", [True, False])
def test_expiry(layers: Layers, owned: bool) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        name = await layer.new_channel() if owned else "thumbs"
        await layer.send(name, {"n": 1})
        if owned:
            await layer.group_add("room", name)
            await layer.group_send("room", {"n": 2})
        await asyncio.sleep(0.1)  # the thing itself: time has to pass
        await layer.send(name, {"n": 3})
        assert await soon(layer, name) == {"n": 3}

    asyncio.run(test(layers(expiry=0.05)))


def test_flush(layers: Layers, server: Server) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        name = await layer.new_channel()
        await layer.group_add("room", name)
        await layer.send("thumbs", {})
        await layer.send(name, {})
        await layer.flush()
        await layer.group_send("room", {})
        await nothing(layer, name)
        await nothing(layer, "thumbs")
        await layer.group_add("room", name)
        await layer.group_send("room", {"n": 1})
        assert await soon(layer, name) == {"n": 1}

    asyncio.run(test(layers()))


def test_a_megabyte_and_too_much(layers: Layers) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        text = "x" * 1_100_000
        name = await layer.new_channel()
        await layer.group_add("room", name)
        await layer.group_send("room", {"text": text})
        await layer.send("thumbs", {"text": text})
        assert (await soon(layer, name))["text"] == (await soon(layer, "thumbs"))["text"] == text
        for call in (layer.send("thumbs", {"b": bytes(5 << 20)}), layer.group_send("room", {"b": bytes(5 << 20)})):
            with pytest.raises(MessageTooLarge, match="channel_max_message"):
                await call

    asyncio.run(test(layers()))


def test_ten_thousand_members(layers: Layers) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        names = [await layer.new_channel() for _ in range(10_000)]
        for each in names:
            await layer.group_add("crowd", each)
        waiting = [asyncio.ensure_future(layer.receive(each)) for each in names]
        await asyncio.sleep(0)
        await layer.group_send("crowd", {"n": 1})
        found = await asyncio.wait_for(asyncio.gather(*waiting), 2 * PATIENCE)
        assert found == [{"n": 1}] * 10_000

    asyncio.run(test(layers()))


def test_a_busy_channel_does_not_starve_a_quiet_one(layers: Layers) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        async def flood() -> None:
            while True:
                await layer.send("busy", {})
                await layer.receive("busy")

        floods = [asyncio.ensure_future(flood()) for _ in range(4)]
        for n in range(20):
            waiting = asyncio.ensure_future(soon(layer, "quiet"))
            await layer.send("quiet", {"n": n})
            assert await waiting == {"n": n}
        for each in floods:
            each.cancel()
        await asyncio.gather(*floods, return_exceptions=True)

    asyncio.run(test(layers()))


def test_attributes(layers: Layers) -> None:
    layer = layers(expiry=7, group_expiry=8, capacity=9, prefix="asgi", symmetric_encryption_keys=["x"])
    assert (layer.expiry, layer.group_expiry, layer.capacity) == (7, 8, 9)
    assert set(layer.extensions) == {"groups", "flush"}


def test_without_a_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BACKLINE_SOCKET", str(tmp_path / "none"))
    layer = BacklineChannelLayer()
    name = asyncio.run(layer.new_channel())
    sends = (layer.send("thumbs", {}), layer.group_send("room", {}))
    for call in (*sends, layer.receive("thumbs"), layer.group_add("a", name)):
        with pytest.raises(ConnectionError, match=re.escape(str(tmp_path / "none"))):
            asyncio.run(call)
    monkeypatch.delenv("BACKLINE_SOCKET")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(ConnectionError, match=r"start one \(backline serve\).* or name its control socket with"):
        asyncio.run(layer.send("thumbs", {}))


def test_layers_with_different_prefixes_do_not_see_each_others_groups(layers: Layers) -> None:
    shop, blog, none = layers(prefix="shop"), layers(prefix="blog"), layers()

    async def test() -> None:
        channels = {each: await each.new_channel() for each in (shop, blog, none)}
        for each, channel in channels.items():
            await each.group_add("room", channel)
        for name, each in (("shop", shop), ("blog", blog), ("none", none)):
            await each.group_send("room", {"type": "from", "name": name})
        for name, each in (("shop", shop), ("blog", blog), ("none", none)):
            assert (await soon(each, channels[each]))["name"] == name
            await nothing(each, channels[each])
        await none.group_send("shop.room", {"type": "from", "name": "elsewhere"})
        assert (await soon(shop, channels[shop]))["name"] == "elsewhere", "the name that everybody else has for it"
        await shop.group_discard("room", channels[shop])
        await shop.group_send("room", {"type": "from", "name": "late"})
        await nothing(shop, channels[shop])

    asyncio.run(test())


def test_a_prefix_is_a_part_of_a_name(layers: Layers) -> None:
    async def test() -> None:
        layer = layers(prefix="p" * 50)
        await layer.group_send("g" * 48, {"type": "a"})
        with pytest.raises(ValueError, match="1 to 99"):
            await layer.group_send("g" * 49, {"type": "a"})

    asyncio.run(test())
    for wrong in ("a b", "é", "x" * 100):
        with pytest.raises(ValueError, match="1 to 99"):
            layers(prefix=wrong)
