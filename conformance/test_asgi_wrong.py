"""Applications that break the rules: A5, A8, A9, H28, H29 and H32 of the checklist."""

from __future__ import annotations

import pytest
from asgi_variants import VARIANTS, SharedServers
from harness import Server, in_parallel


@pytest.fixture(params=VARIANTS, ids=str)
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_answers:app", *request.param.flags)


@pytest.mark.parametrize(
    ("what", "raised"),
    [
        ("unknown", "RuntimeError"),
        ("websocket", "RuntimeError"),
        ("no-type", "KeyError"),
        ("no-status", "KeyError"),
        ("status-str", "TypeError"),
        ("status-bool", "TypeError"),
        ("status-99", "ValueError"),
        ("status-199", "ValueError"),
        ("status-1000", "ValueError"),
        ("header-str", "TypeError"),
        ("header-triple", "ValueError"),
        ("header-none", "TypeError"),
        ("too-many-headers", "ValueError"),
        ("too-large-headers", "ValueError"),
        ("body-str", "TypeError"),
        ("body-none", "TypeError"),
        ("body-list", "TypeError"),
    ],
)
def test_a5_an_invalid_event_is_an_error_of_send(server: Server, what: str, raised: str) -> None:
    """The application can go on after it, and the worker lives."""
    for _ in range(2):
        answer = server.get(f"/wrong?{what}")
        assert answer.status == 200
        assert answer.text.startswith(raised), answer.text


def test_a5_a_generator_of_headers_is_not_read_past_its_error(server: Server) -> None:
    lines = len(server.lines)
    assert server.get("/wrong?header-str-in-generator").status == 200
    assert server.get("/uncaught?header-str").status == 500
    server.wait_for("TypeError: ASGI: expected header names and values as bytes", after=lines)


def test_a5_an_error_of_send_that_is_not_caught_is_a_500_with_its_traceback(server: Server) -> None:
    lines = len(server.lines)
    assert server.get("/uncaught?unknown").status == 500
    server.wait_for(r"error while answering GET /uncaught", after=lines)
    server.wait_for(r"asgi_answers\.py.*in uncaught", after=lines)
    server.wait_for(r"RuntimeError: ASGI: 'http.response.nonsense' is not a message", after=lines)
    assert "backline/asgi.py" not in "\n".join(server.lines[lines:]).split("in uncaught")[0]  # no frame of ours first


@pytest.mark.parametrize("what", ["status-101", "status-199"])
def test_h29_an_interim_status_is_no_answer(server: Server, what: str) -> None:
    """A client waits on after 1xx, and would take the next answer for the one to this request."""
    with server.connect() as client:
        answer = client.request("GET", f"/wrong?{what}")
        assert (answer.interim, answer.status, answer.text.split(":")[0]) == ([], 200, "ValueError")
        answer = client.request("GET", f"/uncaught?{what}")
        assert (answer.interim, answer.status) == ([], 500)
        assert client.request("GET", "/plain").text == "hello"


@pytest.mark.parametrize("what", ["body-first", "start-twice"])
def test_h28_start_twice_or_body_first_is_an_error(server: Server, what: str) -> None:
    answer = server.get(f"/wrong?{what}")
    assert (answer.status, answer.text.split(":")[0]) == (200, "RuntimeError")


@pytest.mark.parametrize(
    "what", ["crlf-value", "lf-value", "cr-value", "nul-value", "crlf-name", "space-name", "colon-name", "empty-name"]
)
def test_h32_header_fields_cannot_be_smuggled_in(server: Server, what: str) -> None:
    answer = server.get(f"/wrong?{what}")
    assert (answer.status, answer.text.split(":")[0]) == (200, "ValueError")
    assert answer.header("set-cookie") is None
    assert server.get(f"/uncaught?{what}").status == 500


@pytest.mark.parametrize("when", ["before", "started"])
@pytest.mark.parametrize("kind", ["error", "exit", "interrupt", "cancel"])
def test_a8_an_exception_before_anything_was_sent_is_a_500(server: Server, when: str, kind: str) -> None:
    """sys.exit() in one request must not end the requests beside it, so it is an error like others."""
    lines = len(server.lines)
    with server.connect() as client:
        assert client.request("GET", f"/raises?{when}={kind}").status == 500
        assert client.request("GET", "/plain").text == "hello"
    names = {"error": "ZeroDivisionError", "exit": "SystemExit", "interrupt": "KeyboardInterrupt"}
    server.wait_for(names.get(kind, "CancelledError"), after=lines)
    assert not [line for line in server.lines[lines:] if "worker ended" in line]


def test_a8_an_exception_within_the_answer_cuts_it(server: Server) -> None:
    lines = len(server.lines)
    answer = server.get("/raises?within=error")
    assert (answer.status, answer.body, answer.complete) == (200, b"partial", False)
    server.wait_for("ZeroDivisionError: within", after=lines)


def test_a8_an_exception_after_the_answer_is_only_logged(server: Server) -> None:
    lines = len(server.lines)
    with server.connect() as client:
        answer = client.request("GET", "/raises?after=error")
        assert (answer.body, answer.complete) == (b"partial", True)
        assert client.request("GET", "/plain").text == "hello"
    server.wait_for("ZeroDivisionError: after", after=lines)


@pytest.mark.parametrize("when", ["before", "started"])
def test_a9_returning_without_an_answer_is_a_500(server: Server, when: str) -> None:
    lines = len(server.lines)
    with server.connect() as client:
        assert client.request("GET", f"/returns?{when}").status == 500
        assert client.request("GET", "/plain").text == "hello"
    server.wait_for("the application returned without a response", after=lines)


def test_a9_returning_within_the_answer_cuts_it(server: Server) -> None:
    lines = len(server.lines)
    answer = server.get("/returns?within")
    assert (answer.body, answer.complete) == (b"partial", False)
    server.wait_for("the application returned before its response was complete", after=lines)


def test_a8_errors_beside_good_requests_do_not_disturb_them(server: Server) -> None:
    def one(n: int) -> None:
        with server.connect() as client:
            for _ in range(10):
                if n % 2:
                    assert client.request("GET", "/chunks").text == "onetwothree"
                else:
                    assert client.request("GET", "/raises?before=error").status == 500

    in_parallel(8, one)
