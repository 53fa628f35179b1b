"""The extensions http.response.pathsend (X1) and http.response.early_hint (X3), and those that there are not (X2, X4,
X5, X6). The extension tls (X7) is in test_tls.py."""

from __future__ import annotations

import pytest
from asgi_variants import VARIANTS, SharedServers
from harness import Server, in_parallel

SIZE = 3_000_000
PATTERN = bytes(range(256))


@pytest.fixture(params=VARIANTS, ids=str)
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_extensions:app", *request.param.flags)


def content(size: int) -> bytes:
    return (PATTERN * (size // 256 + 1))[:size]


@pytest.mark.parametrize(("name", "size"), [("large", SIZE), ("sized", SIZE), ("small", 10), ("empty", 0)])
def test_x1_a_file_is_sent_with_its_length(server: Server, name: str, size: int) -> None:
    with server.connect() as client:
        for _ in range(2):
            answer = client.request("GET", f"/pathsend?{name}")
            assert answer.all("content-length") == [str(size)]
            assert answer.body == content(size)
        assert client.request("GET", "/plain").text == "plain"


def test_x1_the_applications_header_fields_are_sent(server: Server) -> None:
    assert server.get("/pathsend?small").header("content-type") == "text/x"


@pytest.mark.parametrize("name", ["large", "sized"])
def test_x1_head_gets_the_length_and_no_body(server: Server, name: str) -> None:
    with server.connect() as client:
        answer = client.request("HEAD", f"/pathsend?{name}")
        assert (answer.status, answer.header("content-length")) == (200, str(SIZE))
        assert client.request("GET", "/plain").text == "plain"


def test_x1_an_http_1_0_client_gets_the_file(server: Server) -> None:
    with server.connect() as client:
        assert client.request("GET", "/pathsend?large", version="1.0").body == content(SIZE)


def test_x1_no_body_where_none_may_be(server: Server) -> None:
    with server.connect() as client:
        assert client.request("GET", "/pathsend?204").status == 204
        assert client.request("GET", "/plain").text == "plain"


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_x1_a_file_that_cannot_be_opened_is_a_500_and_logged(server: Server, name: str) -> None:
    lines = len(server.lines)
    with server.connect() as client:
        assert client.request("GET", f"/pathsend?{name}").status == 500
        assert client.request("GET", "/plain").text == "plain"
    server.wait_for("cannot be opened", after=lines)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("relative", "ValueError: ASGI: expected path as an absolute path"),
        ("bytes", "TypeError: ASGI: expected path as a str"),
        ("before-start", "RuntimeError: ASGI: http.response.pathsend must follow http.response.start"),
    ],
)
def test_x1_what_is_wrong_raises_in_the_application(server: Server, name: str, error: str) -> None:
    lines = len(server.lines)
    assert server.get(f"/pathsend?{name}").status == 500
    server.wait_for(error, after=lines)


def test_x1_a_file_cannot_follow_a_body(server: Server) -> None:
    lines = len(server.lines)
    answer = server.get("/pathsend?after-body")
    assert (answer.body, answer.complete) == (b"x", False)
    server.wait_for("RuntimeError: ASGI: http.response.pathsend must follow", after=lines)


def test_x1_what_follows_a_file_is_ignored(server: Server) -> None:
    with server.connect() as client:
        assert client.request("GET", "/pathsend?twice").body == content(10)
        assert client.request("GET", "/plain").text == "plain"


def test_x1_a_file_longer_than_content_length_is_cut_to_it(server: Server) -> None:
    with server.connect() as client:
        assert client.request("GET", "/pathsend?length-too-short").body == content(5)
        assert client.request("GET", "/plain").text == "plain"


def test_x1_a_file_shorter_than_content_length_cuts_the_connection(server: Server) -> None:
    """Were the connection kept, the client would take the next answer for the rest of the file."""
    with server.connect() as client:
        answer = client.request("GET", "/pathsend?length-too-long")
        assert answer.status == 500 or (answer.body, answer.complete) == (content(10), False)


def test_x1_many_files_at_once_and_clients_that_leave(server: Server) -> None:
    def one(n: int) -> None:
        with server.connect() as client:
            client.send_request("GET", "/pathsend?large")
            client.head()
            if n % 2:
                assert client.read_exactly(SIZE) == (content(SIZE), True)

    in_parallel(12, one)
    assert server.get("/plain").text == "plain"


def test_x3_hints_come_as_103_before_the_answer(server: Server) -> None:
    with server.connect() as client:
        for _ in range(2):
            answer = client.request("GET", "/hint")
            assert [one.status for one in answer.interim] == [103]
            assert answer.interim[0].all("link") == [
                "</style.css>; rel=preload; as=style",
                "</script.js>; rel=preload; as=script",
            ]
            assert (answer.status, answer.text, answer.header("link")) == (200, "hinted", None)


def test_x3_several_hints(server: Server) -> None:
    answer = server.get("/hint?twice")
    assert [one.status for one in answer.interim] == [103, 103]
    assert answer.interim[1].all("link") == ["</later.css>; rel=preload"]


def test_x3_an_http_1_0_client_gets_no_hint(server: Server) -> None:
    with server.connect() as client:
        answer = client.request("GET", "/hint", version="1.0")
        assert (answer.interim, answer.text) == ([], "hinted")


@pytest.mark.parametrize(("kind", "error"), [("wrong", "TypeError"), ("smuggled", "ValueError")])
def test_x3_links_are_checked(server: Server, kind: str, error: str) -> None:
    lines = len(server.lines)
    answer = server.get(f"/hint?{kind}")
    assert (answer.status, answer.interim) == (500, [])
    server.wait_for(f"{error}: ASGI", after=lines)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("http.response.zerocopysend", id="x2"),
        pytest.param("http.response.trailers", id="x4"),
        pytest.param("http.response.push", id="x5"),
        pytest.param("http.response.debug", id="x6"),
    ],
)
def test_x2_x4_x5_x6_are_not_offered_and_an_error_of_send(server: Server, kind: str) -> None:
    """An application that asks first does without; for one that does not, the answer goes on as if it had."""
    with server.connect() as client:
        client.send_request("GET", f"/other?{kind}", {"TE": "trailers"})
        answer = client.answer()
        raised = f"RuntimeError: ASGI: {kind!r} is not a message of an HTTP response"
        assert answer.text.splitlines() == ["offered False", raised, raised]
        assert answer.header("trailer") is None
        assert client.request("GET", "/plain").text == "plain"
