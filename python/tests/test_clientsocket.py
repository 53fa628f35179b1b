"""The client's connection in the hands of a library that has a thread of its own, over real socket pairs."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from backline.clientsocket import ClientSocket


@pytest.fixture
def pair() -> Iterator[tuple[ClientSocket, socket.socket]]:
    near, far = socket.socketpair()
    near.setblocking(False)  # as the server has it
    far.settimeout(10)
    given = ClientSocket(near.detach())
    with far:
        yield given, far
    given.close()


def test_blocks_as_any_socket(pair: tuple[ClientSocket, socket.socket]) -> None:
    given, far = pair
    late = threading.Timer(0.01, far.sendall, (b"late",))
    late.start()
    assert given.recv(10) == b"late"
    late.join()
    sent = threading.Thread(target=lambda: given.send(b"x" * 1_000_000))
    sent.start()
    got = 0
    while got < 1_000_000:
        got += len(far.recv(65536))
    sent.join(10)
    assert not sent.is_alive()


def test_reading_thread_sees_the_end_and_has_the_last_word(pair: tuple[ClientSocket, socket.socket]) -> None:
    given, far = pair
    reading = threading.Event()

    def library() -> None:
        reading.set()
        assert given.recv(10) == b""
        given.send(b"bye")
        given.close()

    thread = threading.Thread(target=library)
    thread.start()
    assert reading.wait(10)
    given.finish()
    thread.join(10)
    assert not thread.is_alive()
    assert (far.recv(10), far.recv(10)) == (b"bye", b"")
    assert given.socket.fileno() == -1


def test_own_reader_is_not_waited_for(pair: tuple[ClientSocket, socket.socket]) -> None:
    given, far = pair
    far.sendall(b"hello")
    assert given.recv(10) == b"hello"
    given.finish()
    assert far.recv(10) == b""
    assert given.recv(10) == b"", "after the end, too"
    with pytest.raises(BrokenPipeError):
        given.send(b"late")


def test_descriptor_is_not_closed_under_a_reader(pair: tuple[ClientSocket, socket.socket]) -> None:
    """Else the next client's connection would have its number, and its bytes would go to the wrong reader."""
    given, _ = pair
    descriptor = given.socket.fileno()
    given._users.append(None)  # a reader between looking whether it has ended and the system call
    given.close()
    os.fstat(descriptor)  # raises for one that is closed
    given._leave()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
