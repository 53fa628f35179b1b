"""Waits for as many seconds as the path says, in the way it says: /psycopg2/1, /requests/0.5. Written as for one
request at a time, with connections that are kept for the next request."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

Wait = Callable[[Any, float], object]
free: dict[str, deque[Any]] = defaultdict(deque)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    _, how, seconds = environ["PATH_INFO"].split("/")
    connect, wait = WAYS[how]
    try:
        connection = free[how].pop()
    except IndexError:
        connection = connect()
    wait(connection, float(seconds))
    free[how].append(connection)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [how.encode()]


def psycopg2_connection() -> Any:
    import psycopg2  # type: ignore[import-untyped]  # here, as Django imports its backend late

    connection = psycopg2.connect(os.environ["POSTGRES"])
    connection.autocommit = True
    return connection


def psycopg_connection() -> Any:
    import psycopg

    return psycopg.connect(os.environ["POSTGRES"], autocommit=True)


def pg_sleep(connection: Any, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", (seconds,))


def mysql_connection() -> Any:
    import pymysql

    # Without TLS, whose context costs each connection 20 ms and more.
    return pymysql.connect(host="127.0.0.1", port=int(os.environ["MARIADB"]), user="root", ssl_disabled=True)


def mysql_sleep(connection: Any, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT SLEEP(%s)", (seconds,))


def redis_connection() -> Any:
    import redis

    return redis.Redis(port=int(os.environ["REDIS"]))


def redis_wait(connection: Any, seconds: float) -> None:
    assert connection.blpop(["nothing"], timeout=seconds) is None


def http_connection() -> Any:
    import requests

    return requests.Session()


def http_wait(session: Any, seconds: float) -> None:
    assert session.get(f"http://127.0.0.1:{os.environ['UPSTREAM']}/{seconds}").text == "slow"


def standard_wait(_: Any, seconds: float) -> None:
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", int(os.environ["UPSTREAM"]))
    connection.request("GET", f"/{seconds}")
    assert connection.getresponse().read() == b"slow"
    connection.close()


def nothing() -> None:
    return None


def sleep(_: None, seconds: float) -> None:
    time.sleep(seconds)


def sqlite_wait(_: None, seconds: float) -> None:
    """In gevent's threads, because SQLite itself never gives the hub back."""
    from gevent import get_hub

    def query() -> Any:
        with sqlite3.connect(":memory:") as database:
            database.create_function("wait", 1, original_sleep)
            return database.execute("SELECT wait(?)", (seconds,)).fetchone()

    get_hub().threadpool.apply(query)


def original_sleep(seconds: float) -> int:
    from gevent.monkey import get_original

    get_original("time", "sleep")(seconds)
    return 1


WAYS: dict[str, tuple[Callable[[], Any], Wait]] = {
    "psycopg2": (psycopg2_connection, pg_sleep),
    "psycopg": (psycopg_connection, pg_sleep),
    "pymysql": (mysql_connection, mysql_sleep),
    "redis": (redis_connection, redis_wait),
    "requests": (http_connection, http_wait),
    "http.client": (nothing, standard_wait),
    "sleep": (nothing, sleep),
    "sqlite": (nothing, sqlite_wait),
}
