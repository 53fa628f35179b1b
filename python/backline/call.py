"""One call of an ASGI application: what requests and WebSockets have in common. Does no I/O and imports no event loop:
a loop moves the messages and makes the futures that ``receive()`` and ``send()`` wait on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from types import coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from . import slots, wire
from .begun import MASK, TAKEN
from .errors import ClientDisconnected, report

if TYPE_CHECKING:
    from .asgi import Runner


class Link(Protocol):
    """What a loop does for a call."""

    turn: int  # counts packets: what was emitted in this turn has not left yet

    def emit(self, message: wire.Outgoing) -> None:
        """Queue a message; it leaves when the loop has turned."""

    def forget(self, stream: int) -> None:
        """The call has ended; its stream's number may come again."""

    def future(self) -> Any:
        """An empty future of the running loop."""


class Call:
    """A stream of the server's that the application has been, or will be, called with."""

    __slots__ = ("_begun", "_gone", "_runner", "_scope", "_unwanted", "_waiting", "stream", "task")
    IDLE: ClassVar[float] = slots.IDLE  # seconds for which it keeps a thread that it does not use

    def __init__(self, runner: Runner, stream: int, sent: dict[str, Any]) -> None:
        self.stream = stream
        self.task: Any = None
        self._runner = runner
        self._scope: dict[str, Any] = runner.scope(sent)
        self._begun = False
        self._unwanted = False  # the server has given it up before it had begun
        self._gone = False  # nothing that is sent can reach the client
        self._waiting: Any = None  # a future; a list of them where several tasks wait

    async def run(self) -> None:
        """Call the application and see that the server hears of the end."""
        runner, link = self._runner, self._runner.link
        marks, at = runner.begun, self.stream & MASK
        if self._unwanted or (marks[at] == TAKEN and at == self.stream):
            link.emit((wire.DONE, self.stream))  # or another worker has it
            link.forget(self.stream)
            return
        marks[at] = 1
        self._begun = True
        try:
            if runner.around is None:
                await runner.application(self._scope, self.receive, self.send)
            else:
                with runner.around(self.IDLE):
                    await runner.application(self._scope, self.receive, self.send)
            if not self.ends_at_once():
                await self.finish()
                self.end("no answer")
        except ClientDisconnected:
            self.end("the client has gone")
        except BaseException as error:
            # SystemExit stays here too: sys.exit() in one request must not end the others of this worker.
            if not (self.is_over() and _comes_of_going(error)):
                report(error, self.doing())
            self.end(type(error).__name__)
        link.forget(self.stream)

    def take(self, message: wire.Incoming) -> None:
        """A message for this stream."""
        raise NotImplementedError

    def _leave(self, cancel: bool) -> None:
        """The client has gone; with ``cancel`` the server gives the call up."""
        self._gone = True
        if cancel:
            self._unwanted = True
            if self._begun:  # a task that has not would be cancelled without a line of run()
                self.task.cancel()
        self._wake()

    # What run() asks.

    async def receive(self) -> dict[str, Any]:
        """Give the application its next event."""
        raise NotImplementedError

    async def send(self, message: Any) -> None:
        """Take an event from the application."""
        raise NotImplementedError

    def doing(self) -> str:
        """What an error happened in, for the log."""
        raise NotImplementedError

    def is_over(self) -> bool:
        """Whether the application may have been told that its client has gone."""
        return self._gone

    def ends_at_once(self) -> bool:
        """Whether the end has been told in the last message, because it has not left yet."""
        return False

    async def finish(self) -> None:
        """Wait until what the application left behind has been sent. Raises if it returned too early."""
        raise NotImplementedError

    def end(self, why: str) -> None:
        """Tell the server that the application has returned; why, where it had not finished."""
        raise NotImplementedError

    # Several tasks may wait in receive() and send() at once, each on a future of its own, so that cancelling one of
    # them takes nothing from the others.

    def _wait(self) -> Awaitable[None]:
        future, waiting = self._runner.link.future(), self._waiting
        if waiting is None:
            self._waiting = future  # nearly always, and a list would be as large as the future
        else:
            # Without those that were cancelled: an application may poll receive() with a timeout for hours.
            several = waiting if type(waiting) is list else [waiting]
            self._waiting = [*(waiter for waiter in several if not waiter.done()), future]
        return future  # type: ignore[no-any-return]

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            for future in waiting if type(waiting) is list else (waiting,):
                if not future.done():
                    future.set_result(None)


@coroutine
def turn() -> Generator[None, None, None]:
    """Let the loop turn once, which sends what was emitted. What asyncio.sleep(0) does, without importing asyncio."""
    yield


def _comes_of_going(error: BaseException) -> bool:
    """Whether an error that left the application only says that the client has gone: our own, the cancellation, or what
    a framework made of them (Starlette raises a ClientDisconnect of its own, anyio an ExceptionGroup)."""
    # WebSocketDisconnect is how Starlette and Litestar tell of the disconnect event, by which most handlers end.
    if isinstance(error, OSError) or type(error).__name__ in ("CancelledError", "WebSocketDisconnect"):
        return True
    parts = getattr(error, "exceptions", None)
    if isinstance(parts, tuple) and parts:
        return all(_comes_of_going(part) for part in parts)
    cause = error.__cause__ or error.__context__
    # Not of built-in errors: a TypeError while an OSError is handled is the application's mistake.
    return cause is not None and type(error).__module__ != "builtins" and _comes_of_going(cause)
