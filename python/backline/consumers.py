"""An ASGI application that works channels off, in a pool that has some: for each channel one instance of the
application, called with the scope ``{"type": "channel", "channel": NAME}``, whose ``receive()`` gives the channel's
messages. What `manage.py runworker` does, with a bound on what a worker takes.

A message has been worked off when its instance asks for the next one, or has ended. Until then it has its place, and
the server gives the worker no more than there are places.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from . import connection, payload, wire
from .errors import report
from .slots import SOCKET_IDLE
from .waiting import TaskWaiter

if TYPE_CHECKING:
    from .asgi import Runner
    from .control import Control

MOST: Final = 1000  # instances that are kept, as with Channels; beyond it the one that has been idle longest ends
AHEAD: Final = 2  # of a channel that is read by name: one that is worked off, and one to go on with
SETTLE: Final = 1.0  # seconds for the server to answer, or for instances to end that were cancelled


async def work_off(runner: Runner, control: Control, settings: dict[str, Any], stopped: Awaitable[object]) -> None:
    """Wait for the end, and until then work off the channels of this worker's pool, if it has any."""
    consumers = Consumers(runner, control, settings) if settings.get("channels") else None
    if consumers is not None:
        consumers.begin()
    await stopped
    if consumers is not None:
        await consumers.end()


class Instance:
    """The application, as it works one channel off."""

    def __init__(self, consumers: Consumers, channel: str) -> None:
        self.channel = channel
        self.messages: deque[bytes] = deque()
        self.given = 0  # messages that it has not finished
        self.task: asyncio.Task[None]
        self._consumers = consumers
        self._received = False
        self._waiting: deque[asyncio.Future[None]] = deque()  # of several receive() calls each has its own

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost without it."""
        return not self.messages and not self.given

    def put(self, data: bytes) -> None:
        """A message for it."""
        self.messages.append(data)
        self._wake()

    async def run(self) -> None:
        """Call the application until it ends."""
        consumers = self._consumers
        try:
            await consumers.call(self)
        except asyncio.CancelledError:
            pass  # by end(), or it has cancelled itself
        except BaseException as error:
            # SystemExit stays here too: one consumer must not end the others of this worker.
            report(error, f"working the channel {self.channel} off")
        consumers.ended(self)

    async def receive(self) -> dict[str, Any]:
        """The next message, for the application. Whoever is cancelled has taken none."""
        self._finished()
        while not self.messages:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                await future
            except BaseException:
                if future in self._waiting:
                    self._waiting.remove(future)
                else:
                    self._wake()  # it was for another one
                raise
        self._received = True
        self.given += 1
        return payload.load(self.messages.popleft())

    async def send(self, message: Any) -> None:
        """There is nobody to send to."""
        raise RuntimeError(
            f"ASGI: {message!r} was sent by an application that works the channel {self.channel} off, which has no "
            "client: send to a channel or a group"
        )

    def leave(self) -> int:
        """It has ended: how many messages it takes along. The first goes with one that has taken none, which would
        otherwise be started and fail for ever."""
        lost, self.given = self.given, 0
        if not self._received and self.messages:
            self.messages.popleft()
            lost += 1
        return lost

    def _finished(self) -> None:
        if self.given:
            self.given -= 1
            self._consumers.finished(self.channel, 1)

    def _wake(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return


class Consumers:
    """The instances of one worker."""

    def __init__(self, runner: Runner, control: Control, settings: dict[str, Any]) -> None:
        names: list[str] = settings["channels"]
        self.room = {each: settings["worker_connections"] if each.endswith("*") else AHEAD for each in names}
        self._grace: float = settings["channels_grace"] / 1000
        self._runner = runner
        self._control = control
        self._prefixes = tuple(each[:-1] for each in names if each.endswith("*"))
        self._instances: dict[str, Instance] = {}  # whoever has been idle longest stands first
        self._loop = asyncio.get_running_loop()
        self._ending = False
        self._calm: asyncio.Future[None] | None = None  # until nothing is worked on
        self._others: Callable[[list[wire.Incoming]], object]

    def begin(self) -> None:
        """Read the channels. The server reads already what the control connection carries."""
        self._session = connection.current()
        others = self._control.channels
        assert others is not None, "a worker's session takes what comes over the control connection"
        self._others, self._control.channels = others, self._incoming
        self._session.reconnect()  # says who we are, if nobody has
        self._control.send([(wire.CHANNEL_READ, n, name) for name, n in self.room.items()])

    async def call(self, instance: Instance) -> None:
        """Call the application."""
        runner = self._runner
        scope: dict[str, Any] = {"type": "channel", "channel": instance.channel}
        if runner.state is not None:
            scope["state"] = runner.state.copy()
        if runner.around is None:
            await runner.application(scope, instance.receive, instance.send)
        else:
            with runner.around(SOCKET_IDLE):
                await runner.application(scope, instance.receive, instance.send)

    def finished(self, channel: str, count: int) -> None:
        """So many places of a channel are free."""
        if self._ending:
            if self._calm is not None and not self._calm.done() and not self._busy():
                self._calm.set_result(None)
        elif count:
            self._control.send([(wire.CHANNEL_READ, count, self._source(channel))])

    def ended(self, instance: Instance) -> None:
        """What it has left undone is for another one."""
        channel = instance.channel
        if self._instances.get(channel) is instance:
            del self._instances[channel]
        lost = instance.leave()
        if not self._ending:
            for data in instance.messages:
                self._open(channel).put(data)
        self.finished(channel, lost)

    def _incoming(self, messages: list[wire.Incoming]) -> None:
        """On the control connection's thread."""
        ours: list[wire.Incoming] = []
        others: list[wire.Incoming] = []
        for each in messages:
            taken = each[0] == wire.CHANNEL_TAKE and not each[1] and self._reads(each[2])
            (ours if taken else others).append(each)
        if others:
            self._others(others)
        if ours:
            self._loop.call_soon_threadsafe(self._take, ours)

    def _reads(self, channel: str) -> bool:
        return channel in self.room or channel.startswith(self._prefixes)

    def _source(self, channel: str) -> str:
        if channel in self.room:
            return channel
        return next(each for each in self.room if each.endswith("*") and channel.startswith(each[:-1]))

    def _take(self, messages: list[wire.Incoming]) -> None:
        for _, _, channel, data in messages:
            if self._ending:
                self._control.send([(wire.GIVE_BACK, 0, channel, data)])
            else:
                self._open(channel).put(data)

    def _open(self, channel: str) -> Instance:
        """The instance for a channel, as the one that was used last."""
        instance = self._instances.pop(channel, None)
        if instance is None:
            if len(self._instances) >= MOST:
                self._end_one()
            instance = Instance(self, channel)
            instance.task = self._loop.create_task(instance.run())
        self._instances[channel] = instance
        return instance

    def _end_one(self) -> None:
        idle = next((each for each in self._instances.values() if each.idle), None)
        if idle is not None:  # as many as have work may be there
            del self._instances[idle.channel]
            idle.task.cancel()

    # The end.

    def _busy(self) -> int:
        return sum(each.given for each in self._instances.values())

    async def end(self) -> None:
        """Read no more, give back what nobody has begun, and wait for what is worked on."""
        self._control.send([(wire.CHANNEL_UNREAD, n, name) for name, n in self.room.items()])
        await self._heard()
        self._ending = True
        for each in self._instances.values():
            # The newest first, and each in front of the ones before: then they stand as they stood, unless somebody
            # takes them meanwhile.
            back: list[wire.Outgoing] = [(wire.GIVE_BACK, 0, each.channel, data) for data in reversed(each.messages)]
            each.messages.clear()
            if back:
                self._control.send(back)
        self._calm = self._loop.create_future()
        self.finished("", 0)
        await asyncio.wait((self._calm,), timeout=self._grace)
        if lost := self._busy():
            sys.stderr.write(f"messages of channels are worked on after the graceful timeout; {lost} are lost\n")
        tasks = [each.task for each in self._instances.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=SETTLE)

    async def _heard(self) -> None:
        """When the server answers, all that it had given before has come."""
        waiter = TaskWaiter(self._loop)
        if self._session.ask(waiter, wire.PRESENCE, "", 1):
            await asyncio.wait((waiter.future,), timeout=SETTLE)
