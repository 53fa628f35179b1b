"""--tcp: raw connections, each given to the application's function of (socket, address), over threads and gevent."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from authority import Authority
from commands import ask
from harness import APPS, BINARY, PATIENCE, ROOT, Server, eventually, in_parallel
from interpreters import on_every_python
from processes import alive
from test_upgrade import Serve, Upgradable, upgradable
from wsgi_loops import GEVENT

__all__ = ["upgradable"]  # a fixture

THREADS = ("-k", "threads")
NAME = "raw.example"
SPEC = "127.0.0.1:0=raw_tcp:handle"

loops = pytest.mark.parametrize("loop", [THREADS, GEVENT], ids=["threads", "gevent"])


class Line:
    """A client that speaks lines."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def say(self, text: str) -> None:
        self.sock.sendall(text.encode() + b"\n")

    def hear(self) -> str:
        """The next line; empty at the end."""
        return self.file.readline().decode().rstrip("\n")

    def ask(self, text: str) -> str:
        self.say(text)
        return self.hear()

    @property
    def worker(self) -> int:
        return int(self.ask("who").split()[0])

    def ended(self) -> bool:
        """Whether the server closes, in order or not. Waits for that."""
        try:
            return self.file.read(1) == b""
        except (ConnectionError, ssl.SSLEOFError):
            return True

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def address(server: Server, pool: str = "tcp") -> tuple[str, int]:
    found = re.search(rf"^  {pool} .* t(?:cp|ls)://(\S+):(\d+)", server.log, re.MULTILINE)
    assert found, server.log
    return found.group(1), int(found.group(2))


def dial(server: Server, pool: str = "tcp") -> Line:
    return Line(socket.create_connection(address(server, pool), PATIENCE))


def site(start: Callable[..., Server], *flags: str, spec: str = SPEC, **kwargs: object) -> Server:
    return start("raw_tcp", "-w", "1", "--tcp", spec, *flags, **kwargs)


@on_every_python
@loops
def test_connection_is_a_socket_with_its_address(
    shared: Callable[..., Server], loop: tuple[str, ...], python: str
) -> None:
    server = site(shared, *loop, "--python", python)
    with dial(server) as line:
        mine = line.sock.getsockname()
        pid, version, module, shown = line.ask("who").split(" ", 3)
        assert (int(pid) in children_of(server), version) == (True, "1")
        assert module == ("gevent._socket3" if loop is GEVENT else "socket")
        assert shown == f"{mine!r} None"  # as accept() gives it, and blocking
        assert line.ask("echo") == "echo"
    assert server.get("/").text == "ok", "and the application is served as ever"


def children_of(server: Server) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True, check=True)
    return [int(each) for each in found.stdout.split()]


@loops
def test_each_side_sees_the_end_of_the_other(shared: Callable[..., Server], loop: tuple[str, ...]) -> None:
    server = site(shared, *loop)
    with dial(server) as line:
        line.sock.shutdown(socket.SHUT_WR)
        assert (line.hear(), line.hear()) == ("end", "")
    with dial(server) as line:
        assert line.ask("bye") == ""


@loops
def test_a_failure_ends_its_own_connection_alone(serve: Serve, loop: tuple[str, ...]) -> None:
    server = site(serve, *loop)
    with dial(server) as other, dial(server) as failing, dial(server) as leaving:
        worker = other.worker
        assert failing.ask("raise of mine") == ""
        server.wait_for("ValueError: of mine")
        server.wait_for(r"error while serving the connection from 127.0.0.1, port \d+")
        assert leaving.ask("exit 3") == ""
        assert other.worker == worker
    assert "loops/connections.py" not in server.log, "the traceback is the application's alone"


@loops
def test_a_worker_has_so_many_connections_and_the_others_wait(serve: Serve, loop: tuple[str, ...]) -> None:
    bound = ("--threads", "2") if loop is THREADS else ("--worker-connections", "2")
    server = site(serve, *loop, *bound)
    with dial(server) as one, dial(server) as two, dial(server) as three, dial(server) as four:
        assert one.ask("a") == two.ask("a") == "a"
        three.say("b")
        four.say("c")
        three.sock.settimeout(0.2)  # nobody serves it: that cannot be waited for
        with pytest.raises(TimeoutError):
            three.sock.recv(1)
        three.sock.settimeout(PATIENCE)
        two.close()
        assert three.hear() == "b", "the one that came first"
        one.close()
        assert four.hear() == "c"


def both_up(server: Server) -> None:
    """Wait for both workers of the pool. Connecting until two have answered would give one of them, while it is alone,
    all the connections that it may have, and the next one no answer."""

    def are_up() -> bool:
        pools = {pool["name"]: pool for pool in ask(server, "ps")["pools"]}
        # What a worker serves is known, here, once it can be given connections.
        return [(each["state"], each["interface"]) for each in pools["tcp"]["workers"]] == [("up", "tcp")] * 2

    eventually(are_up, "both workers are up")


@loops
def test_the_least_busy_worker_has_the_next_connection(serve: Serve, loop: tuple[str, ...]) -> None:
    server = serve("raw_tcp", "-w", "2", "--tcp", SPEC, *loop)
    both_up(server)
    with ExitStack() as stack:

        def owner() -> int:
            return stack.enter_context(dial(server)).worker

        for _ in range(4):
            assert len({owner(), owner()}) == 2, "they take turns"


@loops
def test_hundreds_at_once_and_one_after_the_other(serve: Serve, loop: tuple[str, ...]) -> None:
    bound = ("--threads", "200") if loop is THREADS else ()
    server = site(serve, *loop, *bound)

    def talk(n: int) -> None:
        for turn in range(5):
            with dial(server) as line:
                assert line.ask(f"{n} {turn}") == f"{n} {turn}"
                line.say("many 300000")
                assert len(line.file.read(300_000)) == 300_000

    in_parallel(100, talk)


def test_many_functions(shared: Callable[..., Server]) -> None:
    server = site(shared, "--tcp", "127.0.0.1:0=raw_tcp:greet")
    assert server.port not in {address(server)[1], address(server, "tcp-2")[1]}
    with dial(server) as one, dial(server, "tcp-2") as two:
        assert (one.ask("a"), two.hear(), two.hear()) == ("a", "hello", "")


def test_settings_of_their_own(serve: Serve, tmp_path: Path) -> None:
    """The pool has a section, as any other."""
    (tmp_path / "backline.toml").write_text(
        f'tcp = ["{SPEC}"]\n[pool.tcp]\nworkers = 1\nworker_class = "gevent"\nworker_connections = 3\n'
        'env = ["VERSION=of the pool"]\n'
    )
    server = serve("raw_tcp", "-w", "1", "--config", str(tmp_path / "backline.toml"))
    server.wait_for(r"tcp +raw_tcp:handle \(TCP, 3 greenlets each\), 1 worker, for connections to tcp://127.0.0.1:\d+")
    with dial(server) as line:
        assert " of the pool gevent._socket3 " in line.ask("who")


@loops
def test_commands_and_helpers_know_connections(serve: Serve, loop: tuple[str, ...]) -> None:
    """ps, stacks, offload and gather, as for requests."""
    server = site(serve, *loop)
    with dial(server) as line, dial(server) as other:
        assert (line.ask("gather"), other.ask("a")) == ("3", "a")
        assert int(line.ask("offload")) not in (line.worker, server.process.pid)
        pools = {pool["name"]: pool for pool in ask(server, "ps")["pools"]}
        (worker,) = pools["tcp"]["workers"]
        assert (worker["name"], worker["pid"], worker["interface"]) == ("tcp.1", line.worker, "tcp")
        assert (worker["in_flight"], worker["served"]) == (2, 2)
        (told,) = ask(server, "stacks", "tcp.1")
        assert sum("in handle" in str(stack) or "'handle'" in str(stack) for stack in told["stacks"]) >= 1, told


def test_example_of_the_documentation(serve: Serve, tmp_path: Path) -> None:
    """docs/tcp.md: its module, its settings, and the conversation that it shows."""
    page = (ROOT / "docs" / "tcp.md").read_text()
    code, settings, talk = (page.split(f"```{kind}\n")[1].split("```")[0] for kind in ("python", "toml", "console"))
    (tmp_path / "lines.py").write_text(code)
    (tmp_path / "backline.toml").write_text(settings.replace("0.0.0.0:5000", "127.0.0.1:0"))
    server = serve("raw_tcp", "-w", "1", "--pythonpath", str(APPS), "--tcp", "127.0.0.1:0=lines", cwd=tmp_path)
    server.wait_for(r"tcp +lines:handle \(TCP, 5,000 greenlets each\), 1 worker, ")
    with dial(server) as line:
        shown = talk.splitlines()[1:]
        assert line.hear() == shown[0]
        for asked, answered in zip(shown[1::2], shown[2::2], strict=True):
            assert line.ask(asked) == answered


# TLS


def secure(server: Server, trust: Path) -> Line:
    context = ssl.create_default_context(cafile=trust)
    sock = socket.create_connection(address(server), PATIENCE)
    return Line(context.wrap_socket(sock, server_hostname=NAME, suppress_ragged_eofs=False))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def encrypted(start: Callable[..., Server], ours: Authority, *flags: str) -> Server:
    cert, key = ours.issue(NAME)
    return site(start, "--certfile", str(cert), "--keyfile", str(key), *flags, spec=f"tls://{SPEC}")


@loops
def test_tls_is_the_servers(serve: Serve, ours: Authority, loop: tuple[str, ...]) -> None:
    server = encrypted(serve, ours, *loop)
    with secure(server, ours.root) as line:
        mine = line.sock.getsockname()
        assert repr(mine) in line.ask("who"), "the address is the client's, not that of the pair of sockets"
        line.say("many 1000000")
        assert line.file.read(1_000_000) == b"x" * 1_000_000
        assert line.ask("bye") == "", "with close_notify: OpenSSL would raise without"
    with dial(server) as plain:
        plain.say("this is no TLS")
        assert plain.ended()
    server.wait_for("a connection was closed because of its beginning")
    with secure(server, ours.root) as line:
        assert line.ask("still") == "still"


def test_tls_client_that_sends_no_more_still_hears(serve: Serve, ours: Authority) -> None:
    server = encrypted(serve, ours)
    with secure(server, ours.root) as line:
        assert line.ask("a") == "a"
        assert isinstance(line.sock, ssl.SSLSocket)
        # close_notify ends one direction (RFC 8446 6.1): the function sees the end and says so. Python's ssl gives up
        # what comes then, with an error that tells that it came.
        with pytest.raises(ssl.SSLError, match="APPLICATION_DATA_AFTER_CLOSE_NOTIFY"):
            line.sock.unwrap()
    with secure(server, ours.root) as line:
        assert line.ask("b") == "b"


def test_tls_connection_that_is_left_is_over_for_the_worker(serve: Serve, ours: Authority) -> None:
    server = encrypted(serve, ours, "--threads", "1")
    for n in range(3):
        line = secure(server, ours.root)
        assert line.ask(str(n)) == str(n)
        line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close() resets
        line.close()  # and its place is free again


def test_a_slow_handshake_ends(serve: Serve, ours: Authority) -> None:
    server = encrypted(serve, ours, "--threads", "1", "--tls-handshake-timeout", "2")
    with socket.create_connection(address(server), PATIENCE) as silent:
        with secure(server, ours.root) as line:
            assert line.ask("a") == "a"
        assert silent.recv(1) == b""


# Lives and deaths


@loops
def test_death_of_a_worker_ends_its_connections_alone(serve: Serve, loop: tuple[str, ...]) -> None:
    server = serve("raw_tcp", "-w", "2", "--tcp", SPEC, *loop)
    both_up(server)
    with ExitStack() as stack:
        lines = [stack.enter_context(dial(server)) for _ in range(4)]
        doomed = lines[-1].worker
        theirs = [each for each in lines if each.worker == doomed]
        others = [each for each in lines if each not in theirs]
        assert len(theirs) == len(others) == 2
        theirs[0].say("die")
        assert all(each.ended() for each in theirs)
        assert all(each.ask("here") == "here" for each in others)
        server.wait_for(r"\[tcp\.\d\] worker died .*reason=crashed")
        both_up(server)
        with dial(server) as line:
            assert line.worker not in (doomed, others[0].worker), "the new worker has least to do"


@loops
def test_hup_keeps_connections_and_gives_new_ones_to_new_code(
    serve: Serve, tmp_path: Path, loop: tuple[str, ...]
) -> None:
    source = (APPS / "raw_tcp.py").read_text()
    (tmp_path / "raw_tcp.py").write_text(source)
    server = site(serve, *loop, cwd=tmp_path)
    with dial(server) as old:
        before = old.worker
        (tmp_path / "raw_tcp.py").write_text(source.replace('"VERSION", "1"', '"VERSION", "two"'))
        seen = len(server.lines)
        server.signal(signal.SIGHUP)

        def new() -> bool:
            with dial(server) as line:
                return line.ask("who").split()[1] == "two"

        eventually(new, "a connection to the new code")
        assert old.worker == before, "and the old one goes on"
        assert old.ask("bye") == ""
    server.wait_for(r"\[tcp\.1\] worker ended .*reason=reloaded", after=seen)
    assert not alive(before)


@loops
def test_hup_waits_no_longer_than_the_graceful_timeout(serve: Serve, loop: tuple[str, ...]) -> None:
    server = site(serve, *loop, "--graceful-timeout", "0.5")
    with dial(server) as line:
        before = line.worker
        server.signal(signal.SIGHUP)
        assert line.ended()
    eventually(lambda: not alive(before), "the old worker's end")
    with dial(server) as line:
        assert line.ask("a") == "a"


@loops
def test_term_lets_connections_end(serve: Serve, loop: tuple[str, ...]) -> None:
    server = site(serve, *loop)
    with dial(server) as line:
        assert line.ask("a") == "a"
        server.signal(signal.SIGTERM)
        server.wait_for("stopping")

        def refused() -> bool:
            try:
                dial(server).close()
            except ConnectionError:
                return True
            return False

        eventually(refused, "nobody listens any more")
        assert line.ask("b") == "b"
        assert line.ask("bye") == ""
    assert server.wait() == 0
    assert "requests after the graceful timeout" not in server.log


def test_term_ends_what_does_not_end(serve: Serve, ours: Authority) -> None:
    server = encrypted(serve, ours, "--graceful-timeout", "0.5")
    with secure(server, ours.root) as line:
        assert line.ask("a") == "a"
        server.signal(signal.SIGTERM)
        assert line.ended()
    assert server.wait() == 0


def test_a_worker_that_has_served_enough_is_replaced(serve: Serve) -> None:
    server = site(serve, "--max-requests", "3")
    workers = []
    for _ in range(4):
        with dial(server) as line:
            workers.append(line.worker)

    def replaced() -> bool:
        with dial(server) as line:
            return line.worker != workers[0]

    eventually(replaced, "a new worker")
    server.wait_for("worker is to be replaced .*reason=max-requests")


def test_preloaded(serve: Serve) -> None:
    for loop in (THREADS, GEVENT):
        server = site(serve, *loop, "--preload")
        with dial(server) as line:
            assert line.ask("a") == "a"
        assert server.stop() == 0


def test_usr2_loses_no_connection(upgradable: Callable[..., Upgradable]) -> None:
    it = upgradable("raw_tcp", "-w", "1", "--tcp", SPEC, "--threads", "2")
    with dial(it.server) as old:
        before = old.worker
        it_pid = it.pid
        seen = len(it.server.lines)
        os.kill(it_pid, signal.SIGUSR2)
        it.server.wait_for("a new process serves, this one ends", after=seen)

        def new() -> bool:
            with dial(it.server) as line:
                return line.worker != before

        eventually(new, "a connection to the new process")
        assert old.worker == before
        assert old.ask("bye") == ""
    eventually(lambda: not alive(it_pid), "the old process's end")
    with dial(it.server) as line:
        assert line.ask("a") == "a"


def test_proxies_tell_who_connects(serve: Serve) -> None:
    server = site(serve, "--proxy-protocol", "--proxy-allow-from", "127.0.0.1")
    with dial(server) as line:
        line.sock.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 5123 443\r\nwho\n")
        assert "('192.0.2.7', 5123)" in line.hear()
    with dial(server) as line:
        line.say("who")
        assert line.ended()
    server.wait_for("a connection was closed because of its beginning")


# Mistakes


def refusal(*flags: str) -> str:
    done = subprocess.run(
        [str(BINARY), "serve", "raw_tcp", "-w", "1", "--bind", "127.0.0.1:0", "--python", sys.executable, *flags],
        cwd=APPS, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("127.0.0.1:0=raw_tpc:handle", "did you mean raw_tcp"),
        ("127.0.0.1:0=raw_tcp:handel", "did you mean raw_tcp:handle"),
        ("127.0.0.1:0=raw_tcp:value", "is of type int"),
        ("127.0.0.1:0=raw_tcp:coroutine", "calling it gives a coroutine"),
        ("127.0.0.1:0=raw_tcp:three", "its arguments are (connection, address, server)"),
        ("127.0.0.1:0=raw_tcp:application", "it is a WSGI application"),
        ("127.0.0.1:0", "does not say which function"),
        ("127.0.0.1=raw_tcp:handle", "has no port"),
        ("unix:/tmp/x=raw_tcp:handle", "is no address of raw TCP"),
        ("tls://127.0.0.1:0=raw_tcp:handle", "there are no certificates"),
    ],
)
def test_mistakes(spec: str, told: str) -> None:
    assert told in refusal("--tcp", spec)


def test_without_an_application() -> None:
    done = subprocess.run(
        [str(BINARY), "serve", "--bind", "127.0.0.1:0", "--tcp", SPEC],
        cwd=APPS, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, "and none is named" in done.stderr) == (2, True), done.stderr


def test_no_route_leads_to_connections(tmp_path: Path) -> None:
    (tmp_path / "backline.toml").write_text('[[route]]\npath = "/lines"\npool = "tcp"\n')
    told = refusal("--tcp", SPEC, "--config", str(tmp_path / "backline.toml"))
    assert "the pool tcp has connections of raw TCP, which no route leads to" in told


def test_an_event_loop_serves_none(tmp_path: Path) -> None:
    (tmp_path / "backline.toml").write_text('[pool.tcp]\nworker_class = "asyncio"\n')
    assert "choose threads or gevent" in refusal("--tcp", SPEC, "--config", str(tmp_path / "backline.toml"))


def test_an_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "another process already listens there" in refusal(
            "--tcp", f"127.0.0.1:{taken.getsockname()[1]}=raw_tcp:handle"
        )


def test_check_imports_them(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(BINARY), "check", "raw_tcp", "--tcp", SPEC, "--python", sys.executable],
        cwd=APPS, capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert "raw_tcp:handle starts (TCP, " in done.stdout
