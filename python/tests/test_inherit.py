"""What is said and done before a fork, without one."""

from __future__ import annotations

import socket
import threading

from backline import inherit
from backline.control import Control


class Exporter(threading.Thread):
    """A thread that is a class of its own, as SDKs have them."""

    def __init__(self, end: threading.Event) -> None:
        super().__init__(name="exporter", daemon=True)
        self._end = end

    def run(self) -> None:
        self._end.wait()


def test_threads_are_named_with_what_they_run() -> None:
    assert inherit.lost_threads() == []
    end = threading.Event()
    threads = [Exporter(end), threading.Thread(target=end.wait, name="waiter", daemon=True)]
    for thread in threads:
        thread.start()
    (note,) = inherit.lost_threads()
    end.set()
    for thread in threads:
        thread.join()
    assert "started 2 threads that no worker will have: " in note
    assert "exporter (test_inherit.Exporter)" in note or "exporter (tests.test_inherit.Exporter)" in note
    assert "waiter (threading.Event.wait)" in note
    assert inherit.lost_threads() == []


def test_nothing_of_django_is_imported_where_there_is_none() -> None:
    assert inherit.settle() == []


def test_control_that_has_ended_leaves_the_process_and_the_descriptor() -> None:
    ours, theirs = socket.socketpair()
    number, before = ours.fileno(), threading.active_count()
    control = Control(ours)
    control.start()
    control.end()
    theirs.close()  # which would end the process of one that listens
    assert threading.active_count() == before
    kept = socket.socket(fileno=number)
    assert kept.recv(1) == b""
    kept.close()
