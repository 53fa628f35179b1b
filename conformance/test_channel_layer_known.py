"""What the tests of other channel layers ask (channels_redis: core and pubsub; Channels: in memory, layers; asgiref's
conformance), as far as test_channel_layer.py does not: each under the name that it is known by."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import re
import subprocess
import sys
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from harness import PATIENCE, ROOT
from test_channel_layer import BacklineChannelLayer, Layers, layers, nothing, server, soon

assert layers and server  # fixtures


def test_double_receive(layers: Layers) -> None:
    """Two loops, each in a thread of its own, read channels of one process at once."""
    layer = layers()
    names = [asyncio.run(layer.new_channel()) for _ in range(2)]
    found: dict[str, Any] = {}
    threads = [
        threading.Thread(target=lambda name=name: found.update({name: asyncio.run(soon(layer, name))}))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for name in names:
        async_to_sync(layer.send)(name, {"for": name})
    for thread in threads:
        thread.join(PATIENCE)
    assert found == {name: {"for": name} for name in names}


def test_process_local_send_receive(layers: Layers) -> None:
    """Channels of one process are apart, and share neither messages nor order."""

    async def test(layer: BacklineChannelLayer) -> None:
        one, two = await layer.new_channel(), await layer.new_channel()
        await layer.send(two, {"n": 2})
        await layer.send(one, {"n": 1})
        assert (await soon(layer, one), await soon(layer, two)) == ({"n": 1}, {"n": 2})

    asyncio.run(test(layers()))


def test_capacity_process(layers: Layers) -> None:
    """Each consumer's channel has a capacity of its own, so one that is slow fills nobody else's."""

    async def test(layer: BacklineChannelLayer) -> None:
        slow, other = await layer.new_channel(), await layer.new_channel()
        for _ in range(2):
            await layer.send(slow, {})
        with pytest.raises(ChannelFull):
            await layer.send(slow, {})
        await layer.send(other, {"n": 1})
        assert await soon(layer, other) == {"n": 1}

    asyncio.run(test(layers(capacity=2)))


def test_groups_multiple_hosts(layers: Layers) -> None:
    """Settings of Redis stay in the project while it moves: several hosts, a sentinel, encryption."""
    moved: dict[str, Any] = {"hosts": ["redis://a:6379", {"address": "redis://b:6379"}], "random_prefix_length": 12}
    moved |= {"symmetric_encryption_keys": ["key"], "on_disconnect": None, "serializer_format": "json"}

    async def test(layer: BacklineChannelLayer) -> None:
        name = await layer.new_channel()
        await layer.group_add("room", name)
        await layer.group_send("room", {"n": 1})
        assert await soon(layer, name) == {"n": 1}

    layers()
    asyncio.run(test(BacklineChannelLayer(**moved)))


def test_groups_same_prefix(layers: Layers) -> None:
    """Two layers of one process, as two aliases are, reach each other's channels."""
    one, two = layers(), layers()

    async def test() -> None:
        name = await one.new_channel()
        await one.group_add("room", name)
        await two.group_send("room", {"n": 1})
        assert await soon(one, name) == {"n": 1}
        await two.send("thumbs", {"n": 2})
        assert await soon(one, "thumbs") == {"n": 2}

    asyncio.run(test())


@pytest.mark.parametrize("members", [1, 10, 100])
def test_groups_performance(layers: Layers, members: int) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        names = [await layer.new_channel() for _ in range(members)]
        for name in names:
            await layer.group_add("room", name)
        await layer.group_send("room", {"n": 1})
        assert await asyncio.gather(*(soon(layer, name) for name in names)) == [{"n": 1}] * members

    asyncio.run(test(layers()))


def test_group_send_capacity_multiple_channels(layers: Layers, caplog: pytest.LogCaptureFixture) -> None:
    """One of two is over its capacity: it keeps what it had first, the other one loses nothing."""

    async def test(layer: BacklineChannelLayer) -> None:
        one, two = await layer.new_channel(), await layer.new_channel()
        for name in (one, two):
            await layer.group_add("test-group", name)
        await layer.send(one, {"n": 0})
        for n in (1, 2, 3):
            await layer.group_send("test-group", {"n": n})
        assert [(await soon(layer, one))["n"] for _ in range(3)] == [0, 1, 2]
        assert [(await soon(layer, two))["n"] for _ in range(3)] == [1, 2, 3]
        await nothing(layer, one)
        await nothing(layer, two)

    with caplog.at_level("INFO", "backline.channels"):
        asyncio.run(test(layers(capacity=3)))
    assert "1 of 2 channels over capacity in group test-group" in caplog.text


def test_random_reset__channel_name(layers: Layers) -> None:
    """Names are as good as random where the application has seeded `random`, as tests do."""
    layer = layers()
    names = set()
    for _ in range(2):
        random.seed(1)
        names.add(asyncio.run(layer.new_channel()))
    assert len(names) == 2


def test_random_reset__client_prefix(layers: Layers) -> None:
    """Two processes that seed `random` have channels of different owners."""
    code = (
        "import random; random.seed(1); import asyncio; from backline.layer import BacklineChannelLayer\n"
        "print(asyncio.run(BacklineChannelLayer().new_channel()).partition('!')[0])"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    layers()
    command = [sys.executable, "-c", code]
    owners = {subprocess.check_output(command, env=environ, timeout=PATIENCE) for _ in range(2)}
    assert len(owners) == 2


@pytest.mark.parametrize("group", [False, True], ids=["send", "group_send"])
def test_message_expiry__earliest_message_expires(layers: Layers, group: bool) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        name = await layer.new_channel()
        await layer.group_add("room", name)
        await (layer.group_send("room", {"n": 1}) if group else layer.send(name, {"n": 1}))
        await asyncio.sleep(0.3)  # the thing itself: time has to pass
        await (layer.group_send("room", {"n": 2}) if group else layer.send(name, {"n": 2}))
        assert await soon(layer, name) == {"n": 2}

    asyncio.run(test(layers(expiry=0.2)))


def test_message_expiry__all_messages_under_expiration_time(layers: Layers) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        name = await layer.new_channel()
        for n in (1, 2):
            await layer.send(name, {"n": n})
            await asyncio.sleep(0.05)
        assert [await soon(layer, name) for _ in (1, 2)] == [{"n": 1}, {"n": 2}]

    asyncio.run(test(layers(expiry=60)))


def test_message_expiry__group_send__one_channel_expires(layers: Layers) -> None:
    """What one member has not read in time is over for it alone."""

    async def test(layer: BacklineChannelLayer) -> None:
        one, two = await layer.new_channel(), await layer.new_channel()
        for name in (one, two):
            await layer.group_add("room", name)
        await layer.group_send("room", {"n": 1})
        assert await soon(layer, one) == {"n": 1}
        await asyncio.sleep(0.3)
        await layer.send(two, {"n": 2})
        assert await soon(layer, two) == {"n": 2}
        await nothing(layer, two)

    asyncio.run(test(layers(expiry=0.2)))


def test_expiry_multi(layers: Layers) -> None:
    """Many that expire together leave room for as many."""

    async def test(layer: BacklineChannelLayer) -> None:
        for _ in range(3):
            await layer.send("thumbs", {"old": True})
        with pytest.raises(ChannelFull):
            await layer.send("thumbs", {})
        await asyncio.sleep(0.3)
        for n in range(3):
            await layer.send("thumbs", {"n": n})
        assert [(await soon(layer, "thumbs"))["n"] for _ in range(3)] == [0, 1, 2]

    asyncio.run(test(layers(capacity=3, expiry=0.2)))


def test_group_expiry(layers: Layers) -> None:
    """A membership is over so long after it was last said, and is not where it was said again."""

    async def test(layer: BacklineChannelLayer) -> None:
        forgotten, again = await layer.new_channel(), await layer.new_channel()
        for name in (forgotten, again):
            await layer.group_add("room", name)
        for _ in range(4):
            await asyncio.sleep(0.3)  # the thing itself: time has to pass
            await layer.group_add("room", again)
        await layer.group_send("room", {"n": 1})
        assert await soon(layer, again) == {"n": 1}
        await nothing(layer, forgotten)

    asyncio.run(test(layers(group_expiry=1)))


def test_receive_hang(layers: Layers) -> None:
    """A receive that gave up does not take what comes later."""

    async def test(layer: BacklineChannelLayer) -> None:
        for name in (await layer.new_channel(), "thumbs"):
            await nothing(layer, name)
            await layer.send(name, {"n": 1})
            assert await soon(layer, name) == {"n": 1}

    asyncio.run(test(layers()))


def test_discard_before_add(layers: Layers) -> None:
    async def test(layer: BacklineChannelLayer) -> None:
        name = await layer.new_channel()
        await layer.group_discard("room", name)
        await layer.group_add("room", name)
        await layer.group_send("room", {"n": 1})
        assert await soon(layer, name) == {"n": 1}

    asyncio.run(test(layers()))


@pytest.mark.parametrize("how", ["close", "close_pools"])
def test_layer_close(layers: Layers, how: str) -> None:
    """What is closed is opened again by whatever needs it, and has forgotten nothing."""

    async def test(layer: BacklineChannelLayer) -> None:
        name = await layer.new_channel()
        await layer.group_add("room", name)
        await getattr(layer, how)()
        await layer.group_send("room", {"n": 1})
        assert await soon(layer, name) == {"n": 1}

    asyncio.run(test(layers()))


def test_proxied_methods_coroutine_check(layers: Layers) -> None:
    """async_to_sync warns of what it does not see to be a coroutine function."""
    for name in ("send", "receive", "new_channel", "group_add", "group_discard", "group_send", "flush", "close"):
        assert inspect.iscoroutinefunction(getattr(layers(), name)), name


def test_exceptions(layers: Layers) -> None:
    """asgiref's: the layer carries the exceptions that it raises."""
    layer = layers(capacity=1)
    async_to_sync(layer.send)("thumbs", {})
    with pytest.raises(layer.ChannelFull):
        async_to_sync(layer.send)("thumbs", {})
    assert issubclass(layer.MessageTooLarge, Exception)


MANAGER = """
import django
from django.conf import settings

BACKEND = {"BACKEND": "backline.layer.BacklineChannelLayer"}
settings.configure(CHANNEL_LAYERS={
    "default": BACKEND | {"CONFIG": {"capacity": 7}, "TEST_CONFIG": {"expiry": 100500}},
    "plain": BACKEND, "old": BACKEND | {"ROUTING": "x"}, "wrong": BACKEND | {"CONFIG": {"channel_capacity": 5}},
})
django.setup()
from channels.exceptions import InvalidChannelLayerError
from channels.layers import channel_layers, get_channel_layer
from django.test import override_settings

layer = get_channel_layer()
print(type(layer).__name__, layer.capacity, get_channel_layer("plain").capacity, get_channel_layer() is layer)
print(channel_layers.make_test_backend("default").expiry)
with override_settings(CHANNEL_LAYERS={"default": BACKEND | {"CONFIG": {"capacity": 8}}}):
    print(get_channel_layer().capacity)
print(get_channel_layer().capacity)
for name in ("old", "wrong", "none"):
    try:
        print(get_channel_layer(name))
    except Exception as error:
        print(type(error).__name__)
"""


def test_the_manager_of_layers() -> None:
    """Channels' own: configurations, test configurations, changed settings, errors of the layer that are not hidden."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", MANAGER], env=environ, timeout=PATIENCE, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    wanted = ["BacklineChannelLayer 7 100 True", "100500", "8", "7"]
    assert run.stdout.splitlines()[:4] == wanted, run.stdout
    assert run.stdout.splitlines()[4] == "InvalidChannelLayerError"
    assert re.fullmatch(r"(AttributeError|TypeError)", run.stdout.splitlines()[5])
    assert run.stdout.splitlines()[6] == "None"
