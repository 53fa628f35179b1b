"""https with certificates from files: which one clients get, what happens when files change, and who is let in."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from authority import Authority, certificate, connect
from cryptography import x509
from harness import APPS, BINARY, PATIENCE, Answer, Server, eventually

APP = "wsgi_environ:app"


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def flags(*pairs: tuple[Path, Path]) -> list[str]:
    return [text for cert, key in pairs for text in ("--certfile", str(cert), "--keyfile", str(key))]


def names(found: x509.Certificate) -> list[str]:
    return found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


def ask(server: Server, name: str, trust: Path, present: tuple[Path, Path] | None = None) -> Answer:
    with connect(server, name, trust=trust, present=present) as client:
        return client.request("GET", "/", {"Host": name})


def test_certificate_for_the_name(serve: Callable[..., Server], ours: Authority) -> None:
    pairs = [
        ours.issue("first", "first.example"),
        ours.issue("all", "*.example.com"),
        ours.issue("www", "www.example.com"),
    ]
    server = serve(APP, *flags(*pairs))
    for name, want in (
        ("first.example", "first.example"),
        ("shop.example.com", "*.example.com"),
        ("www.example.com", "www.example.com"),
        ("elsewhere.example", "first.example"),
        ("", "first.example"),
    ):
        assert names(certificate(server, name)) == [want], name
    assert ask(server, "shop.example.com", ours.root).status == 200


def test_applications_are_told_of_https(serve: Callable[..., Server], ours: Authority) -> None:
    cert, key = ours.issue("site", "site.example")
    both = ours.folder / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    server = serve(APP, "--certfile", str(both))
    body = ask(server, "site.example", ours.root).body
    assert b'"wsgi.url_scheme": ["str", "https"]' in body
    assert b'"HTTPS": ["str", "on"]' in body


@pytest.mark.parametrize("notice", ["signal", "none"])
def test_new_files_are_used(serve: Callable[..., Server], ours: Authority, notice: str) -> None:
    """Connections from before go on, and new ones get the new certificate."""
    server = serve(APP, *flags(ours.issue("site", "site.example")))
    with connect(server, "site.example", trust=ours.root) as client:
        assert client.request("GET", "/").status == 200
        before = certificate(server, "site.example").serial_number
        ours.issue("site", "site.example")
        if notice == "signal":
            server.signal(signal.SIGHUP)
        eventually(lambda: certificate(server, "site.example").serial_number != before, "the new certificate")
        assert client.request("GET", "/").status == 200
    server.wait_for("certificate read names=site.example")


def test_broken_files_are_not_used(serve: Callable[..., Server], ours: Authority) -> None:
    cert, key = ours.issue("site", "site.example")
    server = serve(APP, *flags((cert, key)))
    before = certificate(server, "site.example").serial_number
    cert.write_text("half a cert")
    server.signal(signal.SIGHUP)
    server.wait_for("those in memory stay in use.*the file holds no PEM block")
    assert certificate(server, "site.example").serial_number == before


def test_client_certificates(serve: Callable[..., Server], ours: Authority, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    others = Authority(tmp_path / "others")
    trusted, stranger = ours.issue("ada", "ada.example"), others.issue("eve", "eve.example")
    pair = flags(ours.issue("site", "site.example"))
    for word, nobody in (("required", False), ("1", True)):
        server = serve(APP, *pair, "--ca-certs", str(ours.root), "--cert-reqs", word)
        assert ask(server, "site.example", ours.root, trusted).status == 200
        assert refused(server, ours.root, stranger)
        assert refused(server, ours.root, None) is not nobody


def refused(server: Server, trust: Path, present: tuple[Path, Path] | None) -> bool:
    """Whether a client gets no answer. With TLS 1.3 its half of the handshake is over before it is judged."""
    try:
        ask(server, "site.example", trust, present)
    except (OSError, AssertionError):
        return True
    return False


def test_oldest_version(serve: Callable[..., Server], ours: Authority) -> None:
    pair = flags(ours.issue("site", "site.example"))
    for least, works in (("1.2", True), ("1.3", False)):
        server = serve(APP, *pair, "--tls-min", least)
        context = ssl.create_default_context(cafile=ours.root)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
            try:
                context.wrap_socket(sock, server_hostname="site.example").close()
            except ssl.SSLError:
                assert not works
            else:
                assert works


def test_plain_addresses_beside_https(serve: Callable[..., Server], ours: Authority, tmp_path: Path) -> None:
    path = tmp_path / "site.sock"
    server = serve(
        APP, *flags(ours.issue("site", "site.example")), "--insecure-bind", "127.0.0.1:0", "--bind", f"unix:{path}"
    )
    assert ask(server, "site.example", ours.root).status == 200
    plain = server.wait_for(r"on +http://")
    server.port = int(plain.rpartition(":")[2])
    assert b'"wsgi.url_scheme": ["str", "http"]' in server.get("/").body
    server.path = str(path)
    assert b'"wsgi.url_scheme": ["str", "http"]' in server.get("/").body


def test_redirect_where_asked_for(serve: Callable[..., Server], ours: Authority, tmp_path: Path) -> None:
    path = tmp_path / "site.sock"
    server = serve(
        APP,
        *flags(ours.issue("site", "site.example")),
        *("--bind", "http://127.0.0.1:0", "--bind", f"unix:{path}", "--http-redirect", "on"),
    )
    tls = server.port
    server.port = int(server.wait_for(r"on +http://").rpartition(":")[2])
    answer = server.get("/a?b", Host=f"site.example:{server.port}")
    assert (answer.status, answer.header("location")) == (308, f"https://site.example:{tls}/a?b")
    assert server.get("/", Host="evil.example").status == 421
    server.path = str(path)  # behind it is a proxy, which has decided that for itself
    assert server.get("/", Host="site.example").status == 200


def test_development(serve: Callable[..., Server], tmp_path: Path) -> None:
    state = tmp_path / "state"
    server = serve(APP, "--dev-tls", "--state-dir", str(state))
    root = state / "dev" / "authority.pem"
    assert server.wait_for("trust ").count(str(root)) == 1
    for name in ("localhost", "127.0.0.1", socket.gethostname()):
        assert ask(server, name, root).status == 200
    before = certificate(server, "localhost").serial_number
    assert server.stop() == 0
    again = serve(APP, "--dev-tls", env={"BACKLINE_STATE": str(state)})
    assert certificate(again, "localhost", trust=root).serial_number == before


def test_mistakes(ours: Authority, tmp_path: Path) -> None:
    cert, key = ours.issue("site", "site.example")
    _, other = ours.issue("other", "other.example")
    for given, want in (
        (["--certfile", str(tmp_path / "missing.pem")], "flag --certfile: there is no file"),
        (["--keyfile", str(key)], "keyfile has no effect without certfile"),
        (["--certfile", str(cert)], "the file holds no private key"),
        (["--certfile", str(key), "--keyfile", str(cert)], "the wrong way round"),
        (["--certfile", str(cert), "--keyfile", str(other)], "the private key belongs to another certificate"),
        (["--cert-reqs", "2", "--ca-certs", str(cert)], "there is no https"),
    ):
        for command in ("serve", "check"):
            done = subprocess.run(
                [BINARY, command, APP, *given], cwd=APPS, capture_output=True, text=True, timeout=PATIENCE
            )
            assert done.returncode == 2
            assert want in done.stderr, done.stderr
