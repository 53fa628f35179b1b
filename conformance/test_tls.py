"""https as clients and applications see it, with OpenSSL as the client. Which certificates there are is in
test_certificates.py."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
import sockets
from authority import Authority, connect
from harness import PATIENCE, Client, Server, in_parallel
from processes import resident

NAME = "site.example"
TLS_VERSIONS = {ssl.TLSVersion.TLSv1_2: 0x0303, ssl.TLSVersion.TLSv1_3: 0x0304}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def trust(ours: Authority) -> Path:
    return ours.root


@pytest.fixture(scope="module")
def flags(ours: Authority) -> list[str]:
    cert, key = ours.issue(NAME)
    return ["--certfile", str(cert), "--keyfile", str(key)]


@pytest.fixture
def site(shared: Callable[..., Server], flags: list[str]) -> Server:
    return shared("wsgi_http:raw", *flags)


def dial(server: Server, trust: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Client:
    """A client that takes an end without close_notify for an error."""
    context = ssl.create_default_context(cafile=trust)
    context.minimum_version = context.maximum_version = version
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    return Client(context.wrap_socket(sock, server_hostname=NAME, suppress_ragged_eofs=False))


@pytest.mark.parametrize("version", TLS_VERSIONS, ids=lambda version: version.name)
def test_x7_asgi_extension(
    shared: Callable[..., Server], trust: Path, flags: list[str], version: ssl.TLSVersion
) -> None:
    """ASGI's TLS Extension 0.2, for HTTP."""
    server = shared("asgi_scope:app", *flags)
    with dial(server, trust, version) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        cipher = client.sock.cipher()
        assert cipher
        sent = ssl.DER_cert_to_PEM_cert(client.sock.getpeercert(binary_form=True) or b"")
        seen = [ast.literal_eval(client.request("GET", "/").text) for _ in range(2)]
        suite = next(s["id"] & 0xFFFF for s in client.sock.context.get_ciphers() if s["name"] == cipher[0])
    assert seen[0] == seen[1]
    scope = seen[0]
    assert (scope["scheme"], scope["server"][1]) == ("https", server.port)
    assert "http.response.pathsend" in scope["extensions"]
    assert scope["extensions"]["tls"] == {
        "server_cert": sent,
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": TLS_VERSIONS[version],
        "cipher_suite": suite,
    }


def test_x7_asgi_client_certificate(
    serve: Callable[..., Server], ours: Authority, trust: Path, flags: list[str]
) -> None:
    server = serve("asgi_scope:app", *flags, "--ca-certs", str(trust), "--cert-reqs", "optional")
    ada = ours.issue("ada.example")
    with connect(server, NAME, trust=trust, present=ada) as client:
        found = ast.literal_eval(client.request("GET", "/").text)["extensions"]["tls"]
    assert found["client_cert_chain"][0] == ada[0].read_text()
    assert found["client_cert_name"].startswith("OU=Testing cert #")
    assert found["client_cert_error"] is None


def test_x7_plain_connections_have_no_extension(shared: Callable[..., Server]) -> None:
    scope = ast.literal_eval(shared("asgi_scope:app").get("/").text)
    assert scope["scheme"] == "http"
    assert "tls" not in scope["extensions"]


def test_x7_websockets(shared: Callable[..., Server], trust: Path, flags: list[str]) -> None:
    server = shared("asgi_websocket:app", *flags)
    with connect(server, NAME, trust=trust) as client:
        accept = sockets.ask(client, "/echo")
        assert client.answer().header("sec-websocket-accept") == accept
        client.send(sockets.frame(sockets.TEXT, b"hello"))
        assert client.read_exactly(7) == (b"\x81\x05hello", True)
    with connect(server, NAME, trust=trust) as client:
        sockets.ask(client, "/scope")
        client.answer()
        head, _ = client.read_exactly(4)
        text, _ = client.read_exactly(int.from_bytes(head[2:], "big"))
    assert b"'scheme': 'wss'" in text
    assert b"'tls_version': 772" in text


def environ_of(client: Client) -> dict[str, Any]:
    return {key: value for key, (_, value) in json.loads(client.request("GET", "/environ").body).items()}


def test_wsgi_environ(serve: Callable[..., Server], ours: Authority, trust: Path, flags: list[str]) -> None:
    asking = ["--ca-certs", str(trust), "--cert-reqs", "optional"]
    for more, present, verify in (
        ([], None, None),
        (asking, None, "NONE"),
        (asking, ours.issue("ada.example"), "SUCCESS"),
    ):
        server = serve("wsgi_environ:app", *flags, *more)
        with connect(server, NAME, trust=trust, present=present) as client:
            environ = environ_of(client)
        assert (environ["wsgi.url_scheme"], environ["HTTPS"], environ["SERVER_PORT"]) == (
            "https",
            "on",
            str(server.port),
        )
        assert environ.get("SSL_CLIENT_VERIFY") == verify
        if present:
            assert environ["SSL_CLIENT_CERT"] == present[0].read_text()
            assert re.fullmatch(r"OU=Testing cert #[\w-]+,O=trustme v[\d.]+", environ["SSL_CLIENT_S_DN"])
        else:
            assert "SSL_CLIENT_CERT" not in environ


@pytest.mark.parametrize("version", TLS_VERSIONS, ids=lambda version: version.name)
def test_keep_alive_and_the_end(site: Server, trust: Path, version: ssl.TLSVersion) -> None:
    with dial(site, trust, version) as client:
        for _ in range(3):
            assert client.request("GET", "/").status == 200
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        assert [client.answer().status for _ in range(50)] == [200] * 50
        assert client.request("GET", "/", {"Connection": "close"}).status == 200
        assert client.at_end()  # with close_notify, or this raises


def test_idle_connections_are_told_their_end(serve: Callable[..., Server], trust: Path, flags: list[str]) -> None:
    server = serve("wsgi_http:raw", *flags, "--keep-alive", "1")
    with dial(server, trust) as client:
        assert client.request("GET", "/").status == 200
        assert client.at_end()


def test_client_that_only_closes_its_half(site: Server, trust: Path) -> None:
    with dial(site, trust) as client:
        client.send_request("GET", "/")
        socket.socket.shutdown(client.sock, socket.SHUT_WR)
        assert client.answer().status == 200


def test_upload_and_download(site: Server, trust: Path) -> None:
    body = bytes(range(256)) * (64 << 10)  # 16 MiB
    with dial(site, trust) as client:
        answer = client.request("POST", "/echo", body=body)
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(body).digest()


def test_slow_readers_cost_little_memory(serve: Callable[..., Server], trust: Path, flags: list[str]) -> None:
    """Twenty clients that ask for 16 MiB each and take nothing of it: what waits in memory is answer_memory, 1 MiB, and
    as much again until it is collected."""
    server = serve("wsgi_http:raw", *flags)
    with dial(server, trust) as client:
        assert client.request("GET", "/large?n=1024&token=first").status == 200
    before = resident(server.process.pid)
    clients = [dial(server, trust) for _ in range(20)]
    for n, client in enumerate(clients):
        client.send_request("GET", f"/large?n=1024&token={n}")
    for n, client in enumerate(clients):
        server.wait_for(f"all {n} made")
        assert client.sock.recv(1) == b"H"
    assert resident(server.process.pid) - before < 20 * 5 << 20
    for client in clients:
        client.close()


def test_plain_request_on_this_port(site: Server) -> None:
    answer = site.get("/")
    assert answer.status == 400
    assert "speaks https" in answer.text
    assert answer.header("connection") == "close"


def test_clients_that_stop_in_the_handshake(serve: Callable[..., Server], trust: Path, flags: list[str]) -> None:
    """They keep nobody waiting, are cut off, and leave no line in the log."""
    server = serve("wsgi_http:raw", *flags, "--tls-handshakes", "1", "--tls-handshake-timeout", "3")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=NAME).do_handshake()
    hello = outgoing.read()
    stalled = [server.connect() for _ in range(60)]
    for n, client in enumerate(stalled):
        client.send((b"", b"\x16", hello[:-1], hello)[n % 4])
    with dial(server, trust) as client:
        assert client.request("GET", "/").status == 200
    lines = len(server.lines)
    for client in stalled:
        while client.fill():
            pass
    assert server.lines[lines:] == []


def test_a_burst_of_handshakes(serve: Callable[..., Server], trust: Path, flags: list[str]) -> None:
    server = serve("wsgi_http:raw", *flags, "--tls-handshakes", "2")

    def ask(_: int) -> int:
        with dial(server, trust) as client:
            return client.request("GET", "/").status

    assert in_parallel(60, ask) == [200] * 60


@pytest.mark.parametrize(("version", "command", "answered"), [("-tls1_3", b"K\n", True), ("-tls1_2", b"R\n", False)])
def test_new_keys_and_renegotiation(site: Server, version: str, command: bytes, answered: bool) -> None:
    """TLS 1.3 changes keys when a side wants to; OpenSSL's client asks for ours too with "K". With "R" it wants TLS
    1.2 to negotiate anew, which this server never does."""
    at = f"127.0.0.1:{site.port}"
    process = subprocess.Popen(
        ["timeout", str(PATIENCE), "openssl", "s_client", "-connect", at, "-servername", NAME, version],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdin
    assert process.stdout
    out = process.stdout
    wait_for(out, b"Verify return code")
    process.stdin.write(command)
    process.stdin.flush()
    if answered:  # the rest of what it reads at once counts as part of the command
        wait_for(out, b"KEYUPDATE")
        process.stdin.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        process.stdin.flush()
    said = out.read()
    process.communicate()
    assert (b"HTTP/1.1 200 OK" in said) is answered, said


def wait_for(lines: IO[bytes], text: bytes) -> None:
    assert any(text in line for line in lines), f"the output ended without {text!r}"
