"""For tests: an application of the test's own process behind a real server.

    from backline.testing import serve

    with serve(app) as server:
        assert httpx.get(server.url).status_code == 200
        assert app.visits == 1                       # the application runs in a thread of this process

The server is the program ``backline``, a child of this process, with one worker: a tiny program that hands its
connections over to this process, where the ordinary loop of a worker runs in a thread. So clients meet the real edge,
limits, timeouts and WebSockets, and the test sees the application's variables.

For Django Channels there is ``ChannelsLiveServerTestCase``, or ``ProtocolServerProcess = BacklineServerProcess`` in a
test case of Channels' own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from . import connection, host, worker
from .control import Control
from .importer import Loaded
from .interface import guess, is_sockets, single
from .tcp import CLOSE_ON_EXEC, descriptors

PATIENCE: Final = 60.0  # seconds for the server to start, or to stop

# The worker: sends its descriptors, and lasts until this process lets go of it. Where nobody takes them, the test has
# gone without stopping its server.
_STUB: Final = """
import array, os, signal, socket, sys
line = socket.socket(socket.AF_UNIX)
try:
    line.connect(sys.argv[1])
except OSError:
    os.kill(os.getppid(), signal.SIGTERM)
    sys.exit(1)
line.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", (3, 4, 5)))])
for each in (3, 4, 5):
    os.close(each)
line.recv(1)
"""

_running = threading.Lock()


class CannotServe(Exception):
    """The server did not start, or has ended; what it said is in the message."""


def serve(application: Any, *, interface: str = "auto", **settings: Any) -> Server:
    """Serve a WSGI or ASGI application, or Sockets, until ``stop()``, or to the end of a ``with``. ``settings`` are
    those of backline.toml, such as ``threads=2`` or ``limit_request_body="1KiB"``. One server a process at a time."""
    server = Server(_loaded(application, interface), settings)
    server.start()
    return server


class Server:
    """A server that runs, and what it said."""

    def __init__(self, loaded: Loaded, settings: Mapping[str, Any]) -> None:
        self.host, self.port = "127.0.0.1", 0
        self._loaded = loaded
        self._settings = settings
        self._lines: list[str] = []
        self._arrived = threading.Condition()
        self._ended = False
        self._workers: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The process number of the server."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server has written so far."""
        with self._arrived:
            return "\n".join(self._lines)

    def start(self) -> None:
        """Start it, and wait until it serves."""
        if not _running.acquire(blocking=False):
            raise CannotServe("another server of this process runs: stop it first, or leave its with")
        self._folder = tempfile.mkdtemp(prefix="backline-")
        self._line = socket.socket(socket.AF_UNIX)
        try:
            self._line.bind(os.path.join(self._folder, "w"))
            self._line.listen()
            connection.reset()
            host.embedded = True
            self._process = subprocess.Popen(
                self._command(),
                env=_environ(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except BaseException:
            self._clean()
            raise
        for work in (self._read, self._accept):
            threading.Thread(target=work, name="backline-testing", daemon=True).start()
        self._await_port()

    def stop(self) -> None:
        """Stop it as an operator does: requests that have begun are finished. Twice does nothing."""
        if not os.path.exists(self._folder):
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise CannotServe(f"the server did not stop within {PATIENCE:g} s:\n{self.log}") from None
        finally:
            self._process.wait()
            for each in self._workers:
                each.join(PATIENCE)
            self._clean()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # The program.

    def _command(self) -> list[str]:
        stub = [sys.executable, "-S", "-E", "-c", _STUB, os.path.join(self._folder, "w")]
        settings = {
            "bind": [f"{self.host}:0"],
            "loop_stall": 0,
            "control_socket": os.path.join(self._folder, "s"),
            "state_dir": self._folder,
            **self._settings,
            "command": stub,
            "workers": 1,
        }
        path = os.path.join(self._folder, "backline.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in settings.items())
        return [_binary(), "serve", "--config", path]

    def _read(self) -> None:
        """What the server says."""
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                with self._arrived:
                    self._lines.append(line.decode(errors="replace").rstrip("\n"))
                    self._arrived.notify_all()
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    def _await_port(self) -> None:
        with self._arrived:
            self._arrived.wait_for(lambda: self._ended or self._says("ready in"), PATIENCE)
        where = re.search(r"^ +on +https?://\S+:(\d+)$", self.log, re.MULTILINE)
        if where is None or self._ended:
            log = self.log
            self.stop()
            raise CannotServe(f"the server did not start:\n{log}")
        self.port = int(where[1])

    def _says(self, text: str) -> bool:
        return any(text in line for line in self._lines)

    def _clean(self) -> None:
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept(), which closing does not
        self._line.close()
        connection.reset()
        host.connection = host.control = host.settings = host.begun = None
        host.up = host.embedded = False
        shutil.rmtree(self._folder, ignore_errors=True)
        _running.release()

    # The worker.

    def _accept(self) -> None:
        """Every worker that the server starts: another one after the first has ended."""
        with suppress(OSError):  # it is closed
            while True:
                stub, _ = self._line.accept()
                _, ancillary, _, _ = stub.recvmsg(1, socket.CMSG_SPACE(64), CLOSE_ON_EXEC)
                thread = threading.Thread(
                    target=self._work, args=(stub, *descriptors(ancillary)), name="backline-worker", daemon=True
                )
                self._workers.append(thread)
                thread.start()

    def _work(self, stub: socket.socket, conn_fd: int, control_fd: int, begun: int) -> None:
        """What worker.py does in a process of its own."""
        host.begun = begun
        conn, line = socket.socket(fileno=conn_fd), socket.socket(fileno=control_fd)
        control = Control(line)
        control.start()
        try:
            worker.serve(conn, control, self._loaded, worker.greet(conn))
        except SystemExit:
            pass  # the server knows why, and says it
        finally:
            with suppress(OSError):  # the server has crashed
                control.end()
            line.detach()
            os.close(control_fd)
            os.close(begun)
            conn.close()
            stub.close()  # and so the process, which the server waits for


def _loaded(application: Any, interface: str) -> Loaded:
    """As if it had been imported."""
    if is_sockets(application):
        return Loaded(application, "sockets", "sockets of a test", django=False)
    found = guess(application)
    fits = found.fits if interface == "auto" else (interface,)
    if not fits or not callable(application):
        raise TypeError(f"{application!r} is neither a WSGI nor an ASGI application: {found.reason}")
    if found.double:
        application = single(application)
    name = getattr(application, "__qualname__", type(application).__name__)
    return Loaded(application, fits[0], f"{name} of a test", found.django)  # type: ignore[arg-type]


def _binary() -> str:
    path = os.environ.get("BACKLINE") or shutil.which("backline")
    if path is None:
        raise CannotServe("there is no program backline on PATH; name it with BACKLINE=/path/to/backline")
    return path


def _environ() -> dict[str, str]:
    """Settings of another server are none of this one's."""
    return {key: value for key, value in os.environ.items() if not key.startswith("BACKLINE")}


class BacklineServerProcess(multiprocessing.Process):
    """What Channels' live server test case starts, in the place of Daphne's: the application in a process of its own,
    behind a server. ``kwargs`` are settings of backline.toml. While it runs, the test has the server's channels and
    groups as well."""

    def __init__(
        self,
        host: str,
        get_application: Callable[[], Any],
        kwargs: Mapping[str, Any] | None = None,
        setup: Callable[[], object] | None = None,
        teardown: Callable[[], object] | None = None,
    ) -> None:
        super().__init__()
        self.host = host
        self.get_application = get_application
        self.kwargs = dict(kwargs or {})
        self.setup = setup
        self.teardown = teardown
        self.port = multiprocessing.Value("i")
        self.ready = multiprocessing.Event()
        self.errors: multiprocessing.Queue[Any] = multiprocessing.Queue()
        self._socket = ""
        self._before: str | None = None

    def start(self) -> None:
        """Start it; ``ready`` is set when it serves."""
        self._socket = os.path.join(tempfile.mkdtemp(prefix="backline-"), "s")
        self._before = os.environ.get("BACKLINE_SOCKET")
        connection.reset()
        os.environ["BACKLINE_SOCKET"] = self._socket
        super().start()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        super().join(timeout)
        if not self._socket or self.is_alive():
            return
        connection.reset()
        del os.environ["BACKLINE_SOCKET"]
        if self._before is not None:
            os.environ["BACKLINE_SOCKET"] = self._before
        shutil.rmtree(os.path.dirname(self._socket), ignore_errors=True)
        self._socket = ""

    def run(self) -> None:
        """In that process."""
        told = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: told.set())
        try:
            self._serve(told)
        except BaseException as error:
            traceback.print_exc()  # whoever waits for ``ready`` only says that it stopped
            self.errors.put((str(error), traceback.format_exc()))
            sys.exit(1)

    def _serve(self, told: threading.Event) -> None:
        if self.setup is not None:
            self.setup()
        try:
            bind = "127.0.0.1" if self.host == "localhost" else self.host
            settings = {"bind": [f"{bind}:0"], "control_socket": self._socket, **self.kwargs}
            with serve(self.get_application(), **settings) as server:
                self.port.value = server.port
                self.ready.set()
                told.wait()
        finally:
            if self.teardown is not None:
                self.teardown()


def __getattr__(name: str) -> Any:
    if name == "ChannelsLiveServerTestCase":  # imports Django, which other tests need not have
        from .livetest import ChannelsLiveServerTestCase

        return ChannelsLiveServerTestCase
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
