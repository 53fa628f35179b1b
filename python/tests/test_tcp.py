"""Connections that are handed over: packets and descriptors, and one call of a function."""

from __future__ import annotations

import array
import os
import socket
import sys
from typing import Any

import pytest

from backline import tcp, wire

ADDRESS = ("192.0.2.7", 5123)


def packet(stream: int) -> bytes:
    return wire.encode([(wire.CONNECT, stream, ADDRESS)])


def test_descriptors_belong_to_packets_in_order() -> None:
    """However the bytes come: whole, one by one, and several packets at once."""
    inbox = tcp.Inbox()
    assert list(inbox.feed(packet(0), [10])) == [(0, ADDRESS, 10)]
    assert list(inbox.feed(packet(1) + packet(2), [11, 12])) == [(1, ADDRESS, 11), (2, ADDRESS, 12)]
    data = packet(3)
    found: list[tuple[int, Any, int]] = []
    for at in range(len(data)):
        found += inbox.feed(data[at : at + 1], [13] if at == 0 else [])
    assert found == [(3, ADDRESS, 13)]
    assert list(inbox.feed(packet(4)[:7], [14])) == []
    assert list(inbox.feed(packet(4)[7:] + packet(5), [15])) == [(4, ADDRESS, 14), (5, ADDRESS, 15)]
    assert not inbox.stopping
    assert list(inbox.feed(wire.encode([(wire.STOP, 0)]), [])) == []
    assert inbox.stopping


def test_descriptors_are_found_among_what_comes_beside_the_bytes() -> None:
    packed = array.array("i", [7, 8]).tobytes()
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, packed + b"\0")  # some systems pad
    assert list(tcp.descriptors([(socket.SOL_SOCKET, 99, packed), rights])) == [7, 8]


def call(function: Any) -> tuple[bytes, int]:
    """What a client gets of a function, and the descriptor that that had."""
    ours, theirs = socket.socketpair()
    with ours:
        theirs.setblocking(False)  # as the server's are
        descriptor = theirs.detach()
        tcp.serve(function, ADDRESS, descriptor)
        return ours.recv(100), descriptor


def test_function_has_a_blocking_socket_that_is_closed_behind_it() -> None:
    seen: list[Any] = []

    def handle(connection: socket.socket, address: object) -> None:
        seen.extend((connection, address, os.get_blocking(connection.fileno())))
        connection.sendall(b"hello")

    assert call(handle)[0] == b"hello"
    connection, address, blocking = seen
    assert (address, blocking, connection.fileno()) == (ADDRESS, True, -1)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_failure_is_reported_and_closes(error: type[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    def handle(connection: socket.socket, address: object) -> None:
        raise error("of mine")

    got, descriptor = call(handle)
    assert got == b""
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    told = capsys.readouterr().err
    assert told.startswith("error while serving the connection from 192.0.2.7, port 5123\nTraceback")
    assert f"{error.__name__}: of mine" in told
    assert "backline/tcp.py" not in told


def test_function_that_keeps_its_socket_keeps_nothing(recwarn: pytest.WarningsRecorder) -> None:
    kept: list[socket.socket] = []
    assert call(lambda connection, _: kept.append(connection))[0] == b""
    assert sys.getrefcount(kept[0]) > 1
    assert kept[0].fileno() == -1
