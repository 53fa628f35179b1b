"""The proxies that people have in front: nginx and HAProxy, each a real process with a configuration of the test's."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import PATIENCE, Client

NGINX = """
daemon off;
{user}
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen {listen};
        location / {{
            proxy_pass {to};
            {more}
        }}
    }}
}}
"""

# What nginx's own documentation and nearly every guide to Django and FastAPI have.
USUAL = """
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
"""

# What WebSockets need on top.
UPGRADE = """
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
"""

# maxconn also bounds the numbers of descriptors, the inherited one's included, which is high in a long run of tests.
HAPROXY = """
global
    maxconn 4000
defaults
    mode {mode}
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend clients
    bind fd@{fd}{bind}
    default_backend site
backend site
    {more}
    server site {to}
"""


def program(name: str) -> str:
    """Where it is. ci/setup.sh installs it; a developer's machine may lack it, CI may not."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if not found and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed")
    return found or pytest.skip(f"{name} is not installed")


def listening() -> socket.socket:
    """A socket that the proxy inherits: its port is known before the proxy is there, and nobody can take it."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(128)
    sock.set_inheritable(True)
    return sock


class Proxy:
    """One that runs, and where."""

    def __init__(self, sock: socket.socket, process: subprocess.Popen[bytes]) -> None:
        self.port: int = sock.getsockname()[1]
        self.process = process

    def connect(self, source: str = "127.0.0.1") -> Client:
        return connect(self.port, source)


def connect(port: int, source: str) -> Client:
    """A client with an address of its own: on Linux, all of 127.0.0.0/8 is this machine."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE, source_address=(source, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Client(sock)


@contextmanager
def nginx(folder: Path, to: str, more: str = USUAL) -> Iterator[Proxy]:
    sock = listening()
    address, port = sock.getsockname()
    # As root its worker would become somebody else, who may not enter the test's folder.
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(listen=f"{address}:{port}", to=to, more=more, user=user))
    command = [program("nginx"), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    # By this variable one nginx hands its sockets to the next; they are found again by their addresses.
    with running(command, sock, {"NGINX": f"{sock.fileno()};"}) as proxy:
        yield proxy


@contextmanager
def haproxy(folder: Path, to: str, *, mode: str = "tcp", more: str = "", bind: str = "") -> Iterator[Proxy]:
    sock = listening()
    config = HAPROXY.format(mode=mode, fd=sock.fileno(), bind=bind, more=more, to=to)
    (folder / "haproxy.cfg").write_text(config)
    with running([program("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")], sock, {}) as proxy:
        yield proxy


@contextmanager
def running(command: list[str], sock: socket.socket, env: dict[str, str]) -> Iterator[Proxy]:
    """Clients may connect at once: the kernel holds them until the proxy is there."""
    process = subprocess.Popen(command, pass_fds=[sock.fileno()], env={**os.environ, **env})
    proxy = Proxy(sock, process)
    sock.close()
    try:
        yield proxy
    finally:
        process.terminate()
        process.wait(PATIENCE)
