"""Certificates from an authority: Pebble, which checks names and issues as the public ones do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from authority import certificate, connect
from harness import Server, eventually
from pebble import Pebble
from ports import free_port

NAME = "site.example"
# How long certificates hold, in seconds, as the public authorities have it. Pebble's advice on when to renew (RFC 9773)
# is a window of two days around the last third: one of an hour would be renewed at once, every other time.
QUARTER = 90 * 86400
OBTAINING = 120.0  # seconds: several round trips to the authority, with a pause of a second here and there


class Site:
    """Backline at two ports, and the authority that looks for it there, or at others."""

    def __init__(self, folder: Path, serve: Callable[..., Server], *, dead: str = "", validity: int = QUARTER) -> None:
        self.folder, self._serve = folder, serve
        self.http, self.tls = free_port(), free_port()
        looks = {
            kind: free_port() if kind in dead.split() else port
            for kind, port in (("http", self.http), ("tls", self.tls))
        }
        self.pebble = Pebble(folder, validity=validity, **looks)

    def start(self, *flags: str, name: str = NAME, plain: bool = True) -> Server:
        plain_bind = ["--bind", f"http://127.0.0.1:{self.http}"] if plain else []
        return self._serve(
            "wsgi_environ:app",
            *plain_bind,
            *("--acme", name, "--state-dir", str(self.folder / "state"), "--log-level", "debug"),
            *self.pebble.flags(),
            *flags,
            bind=f"127.0.0.1:{self.tls}",
        )


@pytest.fixture
def site(tmp_path: Path, serve: Callable[..., Server]) -> Iterator[Callable[..., Site]]:
    """``site()``: the two of them; ``site(dead="http tls")``: with an authority that looks where nobody is."""
    made: list[Site] = []

    def make(dead: str = "", validity: int = QUARTER) -> Site:
        made.append(Site(tmp_path, serve, dead=dead, validity=validity))
        return made[-1]

    yield make
    for each in made:
        each.pebble.stop()


def obtain(site: Site, *flags: str, plain: bool = True) -> Server:
    server = site.start(*flags, plain=plain)
    server.wait_for(f"certificate ready name={NAME}", timeout=OBTAINING)
    return server


def served(server: Server) -> set[str]:
    """The kinds of challenges that were answered."""
    return set(re.findall(r"served key authentication.*challenge=(\S+)", server.log))


def serial(server: Server) -> int:
    return certificate(server, NAME).serial_number


def test_http_01(site: Callable[..., Site]) -> None:
    here = site(dead="tls")  # then this challenge cannot do it
    server = obtain(here)
    assert served(server) == {"http-01"}
    with connect(server, NAME, trust=here.pebble.root(), alpn="http/1.1") as client:
        answer = client.request("GET", "/", {"Host": NAME})
    assert answer.status == 200
    assert b'"wsgi.url_scheme": ["str", "https"]' in answer.body
    assert b'"HTTPS": ["str", "on"]' in answer.body


def test_tls_alpn_01(site: Callable[..., Site]) -> None:
    here = site()
    server = obtain(here, plain=False)
    assert served(server) == {"tls-alpn-01"}
    assert certificate(server, NAME, trust=here.pebble.root()).serial_number


def test_client_certificates_do_not_keep_the_authority_out(site: Callable[..., Site]) -> None:
    here = site()
    server = obtain(here, "--cert-reqs", "required", "--ca-certs", str(here.pebble.own.root), plain=False)
    assert served(server) == {"tls-alpn-01"}


def test_a_restart_uses_what_is_stored(site: Callable[..., Site]) -> None:
    here = site()
    server = obtain(here)
    before, orders = serial(server), here.pebble.orders()
    assert server.stop() == 0
    again = here.start()
    assert again.count(f"certificate loaded name={NAME}") == 1  # before the first client could come
    assert serial(again) == before
    assert here.pebble.orders() == orders == 1
    assert not list((here.folder / "state").rglob("*.lock"))
    for path in (here.folder / "state").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_renewal(site: Callable[..., Site]) -> None:
    """Five checks before its end, a certificate is renewed: this one is always that close to it."""
    here = site(validity=10)
    server = obtain(here, "--acme-check", "3s")
    with connect(server, NAME) as client:
        assert client.request("GET", "/", {"Host": NAME}).status == 200
        before = serial(server)
        eventually(lambda: serial(server) != before, "a renewed certificate", timeout=OBTAINING)
        assert client.request("GET", "/", {"Host": NAME}).status == 200  # the old connection goes on
    server.wait_for(f"certificate renewed name={NAME}")


def test_plain_http_leads_to_https(site: Callable[..., Site]) -> None:
    here = site()
    server = here.start()
    for host, status, location in (
        (f"{NAME}:{here.http}", 308, f"https://{NAME}:{here.tls}/a%20b?x=1&y"),
        (NAME, 308, f"https://{NAME}/a%20b?x=1&y"),
        ("evil.example", 421, None),
        ("127.0.0.1", 421, None),
    ):
        server.port = here.http
        answer = server.request("POST", "/a%20b?x=1&y", {"Host": host}, b"body")
        assert (answer.status, answer.header("location")) == (status, location), host


def test_redirects_can_be_off(site: Callable[..., Site]) -> None:
    here = site(dead="tls")
    server = obtain(here, "--http-redirect", "off")
    assert served(server) == {"http-01"}
    server.port = here.http
    answer = server.get("/")
    assert answer.status == 200
    assert b'"wsgi.url_scheme": ["str", "http"]' in answer.body


def test_a_challenge_that_fails(site: Callable[..., Site]) -> None:
    """Nobody gets a wrong certificate; what is at other names and addresses is served; the log says what to do."""
    here = site(dead="http tls")
    cert, key = here.pebble.own.issue("other.example")
    server = here.start("--http-redirect", "off", "--certfile", str(cert), "--keyfile", str(key))
    line = server.wait_for("no certificate could be obtained", timeout=OBTAINING)
    assert f"name={NAME}" in line
    # Of the two challenges, tried in any order, the last one's failure is told; Pebble calls it one thing or the other.
    assert re.search("must lead to this server|something else answered", line), line
    assert f"port 80 (here {here.http}) or port 443 (here {here.tls})" in line
    with pytest.raises(OSError, match=r"(?i)internal error"):
        connect(server, NAME)
    with connect(server, "other.example", trust=here.pebble.own.root) as client:
        assert client.request("GET", "/", {"Host": "other.example"}).status == 200
    server.port = here.http
    assert server.get("/").status == 200


def test_a_name_that_the_authority_refuses(site: Callable[..., Site]) -> None:
    here = site()
    server = here.start(name="blocked.example")
    line = server.wait_for("no certificate could be obtained", timeout=OBTAINING)
    assert "is it public, and spelt right?" in line


def test_an_authority_that_is_not_trusted(site: Callable[..., Site], tmp_path: Path) -> None:
    here = site()
    server = here.start("--acme-ca-root", str(here.pebble.root()))  # the root of what it issues, not of its own https
    line = server.wait_for("no certificate could be obtained", timeout=OBTAINING)
    assert "--acme-ca-root FILE" in line
    assert server.stop() == 0
