"""PostgreSQL, MariaDB and Redis as Debian has them, each started for the tests alone on a Unix socket and a free port.

Started as root, PostgreSQL and MariaDB run as the user nobody, because both refuse to run as root.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import PATIENCE, eventually
from ports import free_port

CONNECTIONS = 250  # that each of them takes: 200 requests at once have one each


@contextmanager
def postgres() -> Iterator[str]:
    """Gives a connection string."""
    binaries = Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1])
    with _folder("postgres") as folder:
        data = folder / "data"
        _run(
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "tester",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
        )
        port = free_port()
        command = [
            binaries / "postgres", "-D", data, "-p", port, "-h", "127.0.0.1", "-k", folder,
            "-c", f"max_connections={CONNECTIONS}", "-c", "fsync=off", "-c", "shared_buffers=16MB",
        ]  # fmt: skip
        # SIGQUIT takes the processes of its connections along; nothing has to be kept.
        with _running(folder, command, port, signal.SIGQUIT):
            dsn = f"host=127.0.0.1 port={port} user=tester dbname=postgres"
            ready = [str(binaries / "pg_isready"), "-q", "-d", dsn]
            eventually(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL takes connections")
            yield dsn


@contextmanager
def mariadb() -> Iterator[int]:
    """Gives the port; user root has no password."""
    with _folder("mariadb") as folder:
        small = ("--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M")
        _run(
            "mariadb-install-db", "--no-defaults", f"--datadir={folder}/data",
            "--auth-root-authentication-method=normal",
            "--skip-test-db", *small,
        )  # fmt: skip
        port = free_port()
        command = [
            "mariadbd", "--no-defaults", f"--datadir={folder}/data", f"--socket={folder}/socket", f"--port={port}",
            "--bind-address=127.0.0.1", f"--max-connections={CONNECTIONS}", f"--back-log={CONNECTIONS}",
            "--skip-name-resolve", "--thread-stack=256K", *small,
        ]  # fmt: skip
        with _running(folder, command, port, signal.SIGKILL):
            yield port


@contextmanager
def redis() -> Iterator[int]:
    """Gives the port."""
    port = free_port()
    with _folder("redis") as folder:
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with _running(folder, command, port, signal.SIGKILL):
            yield port


def _user() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    """A folder of the user which the server runs as. Not one of pytest's, into which only its own user may look."""
    path = Path(tempfile.mkdtemp(prefix=f"backline-{name}-"))
    try:
        if _user() is not None:
            found = pwd.getpwnam("nobody")
            os.chown(path, found.pw_uid, found.pw_gid)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _run(program: object, *arguments: object) -> None:
    done = subprocess.run(
        [_found(program), *map(str, arguments)], user=_user(), cwd="/", stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, timeout=3 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, f"{program} failed:\n{done.stdout}"


def _found(program: object) -> str:
    path = shutil.which(str(program), path=f"{os.environ['PATH']}:/usr/sbin")
    assert path is not None, f"{program} is not installed; ci/setup.sh installs it"
    return path


@contextmanager
def _running(folder: Path, command: Sequence[object], port: int, last: signal.Signals) -> Iterator[None]:
    log = folder / "log"
    program, *arguments = command
    with log.open("wb") as output:
        process = subprocess.Popen(
            [_found(program), *map(str, arguments)], user=_user(), cwd="/", stdout=output, stderr=subprocess.STDOUT
        )
    try:
        eventually(lambda: process.poll() is not None or _answers(port), f"{program} answers", 3 * PATIENCE)
        assert process.poll() is None, f"{program} ended:\n{log.read_text()}"
        yield
    finally:
        process.send_signal(last)
        process.wait(PATIENCE)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
