"""The lifespan protocol: L1 to L9 and H14 of the checklist."""

from __future__ import annotations

import ast
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, Variant
from harness import Server, eventually

Serve = Callable[..., Server]
FLAGS = LOOPS[0].flags


@pytest.fixture(params=VARIANTS, ids=str)
def variant(request: pytest.FixtureRequest) -> Variant:
    found: Variant = request.param
    return found


@pytest.fixture(params=LOOPS, ids=str)
def loop(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The flags for uvloop and for asyncio's own loop, on one interpreter."""
    found: tuple[str, ...] = request.param.flags
    return found


def failed(serve: Serve, app: str, *flags: str, status: int = 3) -> Server:
    """A server that does not come up."""
    server = serve(f"asgi_lifespan:{app}", *flags, wait=False)
    assert server.wait() == status, server.log
    server.wait_for("<end of output>")
    assert "ready in" not in server.log
    return server


def test_l1_l2_l3_l8_one_lifespan_before_the_first_request_until_after_the_last(serve: Serve, variant: Variant) -> None:
    server = serve("asgi_lifespan:good", *variant.flags)
    for _ in range(3):
        assert server.get("/").status == 200
    assert server.stop() == 0
    lines = [line.split("lifespan: ")[1] for line in server.lines if "lifespan: " in line]
    assert lines == ["scope ['asgi', 'state', 'type'] lifespan 2.0 {}", "started", "stopped"]


def test_l2_each_worker_has_its_own(serve: Serve) -> None:
    server = serve("asgi_lifespan:good", *FLAGS, "--workers", "2")
    eventually(lambda: server.count("lifespan: started") == 2, "two starts")
    server.stop()
    assert server.count("lifespan: stopped") == 2


def test_l3_requests_wait_for_the_start(serve: Serve) -> None:
    server = serve("asgi_lifespan:waits_to_start", *FLAGS)
    assert ast.literal_eval(server.get("/").text) == {"waited": True}
    started = next(n for n, line in enumerate(server.lines) if "lifespan: started" in line)
    ready = next(n for n, line in enumerate(server.lines) if "ready in" in line)
    assert started <= ready + 1  # the two come through different pipes


def test_h14_state_is_a_shallow_copy_for_each_request(shared: SharedServers, variant: Variant) -> None:
    server = shared("asgi_lifespan:good", *variant.flags)
    found = [ast.literal_eval(server.get("/").text) for _ in range(3)]
    assert all(one["own"] == "value" and "counter" not in one for one in found)
    shared_lists = [one["shared"]["list"] for one in found]
    assert len(shared_lists[2]) == len(shared_lists[0]) + 2  # what is in it is not copied


@pytest.mark.parametrize("app", ["fails", "fails_and_raises"])
@pytest.mark.parametrize("mode", ["auto", "on"])
def test_l4_startup_failed_ends_with_status_3_and_the_message(
    serve: Serve, loop: tuple[str, ...], app: str, mode: str
) -> None:
    server = failed(serve, app, *loop, "--lifespan", mode)
    assert "the database is not there" in server.log


def test_l4_sys_exit_while_starting_ends_the_server(serve: Serve) -> None:
    server = failed(serve, "exits", *FLAGS)
    assert "no licence" in server.log


def test_l5_an_exception_means_no_lifespan(shared: SharedServers, variant: Variant) -> None:
    server = shared("asgi_lifespan:raises", *variant.flags)
    assert server.get("/").text == "None"
    assert "Traceback" not in server.log


def test_l5_an_exception_after_startup_was_received_is_logged_too(shared: SharedServers) -> None:
    server = shared("asgi_lifespan:raises_later", *FLAGS)
    assert server.get("/").text == "None"
    server.wait_for("ValueError: the start went wrong")


@pytest.mark.parametrize(
    ("app", "text"),
    [
        ("raises", "ValueError: I know no lifespan"),
        ("raises_later", "ValueError: the start went wrong"),
        ("returns", "returned before lifespan.startup.complete"),
    ],
)
def test_l5_l6_with_on_it_is_an_error(serve: Serve, app: str, text: str) -> None:
    server = failed(serve, app, *FLAGS, "--lifespan", "on")
    assert text in server.log


def test_l5_an_application_that_asserts_http(shared: SharedServers) -> None:
    assert shared("asgi_lifespan:unaware", *FLAGS).get("/").text == "None"


def test_l6_returning_early_means_no_lifespan(shared: SharedServers, loop: tuple[str, ...]) -> None:
    server = shared("asgi_lifespan:returns", *loop)
    assert server.get("/").text == "None"
    assert "Traceback" not in server.log


def test_l6_returning_after_the_start_is_allowed(serve: Serve) -> None:
    server = serve("asgi_lifespan:returns_after_start", *FLAGS)
    assert server.get("/").text == "{}"
    assert server.stop() == 0


def test_a_lifespan_that_breaks_later_is_logged_and_serving_goes_on(serve: Serve) -> None:
    server = serve("asgi_lifespan:dies_later", *FLAGS)
    server.wait_for("RuntimeError: the lifespan broke")
    assert server.get("/").text == "{}"
    assert server.stop() == 0


def test_off_calls_no_lifespan(serve: Serve) -> None:
    server = serve("asgi_lifespan:good", *FLAGS, "--lifespan", "off")
    assert server.get("/").text == "None"
    server.stop()
    assert "lifespan: " not in server.log


def test_a11_receive_can_be_cancelled(serve: Serve, variant: Variant) -> None:
    server = serve("asgi_lifespan:polls", *variant.flags)
    assert server.get("/slow").text == "{}"
    assert server.stop() == 0
    assert server.count("lifespan: lifespan.shutdown") == 1


def test_a5_an_invalid_event_is_an_error_of_send(serve: Serve) -> None:
    server = serve("asgi_lifespan:wrong", *FLAGS)
    server.wait_for("'lifespan.nonsense' is not a message that a lifespan can send now")
    assert server.stop() == 0


def test_l7_shutdown_comes_after_the_last_request(serve: Serve) -> None:
    server = serve("asgi_lifespan:good", *FLAGS)
    with server.connect() as client:
        client.send_request("GET", "/slow")
        server.wait_for("lifespan: request")
        server.signal(signal.SIGTERM)
        assert client.answer().status == 200
    assert server.wait() == 0
    assert server.count("lifespan: stopped") == 1


def test_l7_requests_that_do_not_end_are_cancelled_before_the_shutdown(serve: Serve, variant: Variant) -> None:
    server = serve("asgi_lifespan:good", *variant.flags, "--graceful-timeout", "0.3")
    with server.connect() as client:
        client.send_request("GET", "/forever")
        server.wait_for("lifespan: request")
        server.signal(signal.SIGTERM)
        server.wait()
    server.wait_for("<end of output>|lifespan: stopped")
    lines = [line.split("lifespan: ")[1] for line in server.lines if "lifespan: " in line]
    assert lines[2:] == ["request", "request cancelled", "stopped"]


def test_l8_shutdown_is_awaited(serve: Serve) -> None:
    server = serve("asgi_lifespan:stops_slowly", *FLAGS)
    assert server.stop() == 0
    server.wait_for("lifespan: stopped")


def test_l8_shutdown_failed_is_logged(serve: Serve, loop: tuple[str, ...]) -> None:
    server = serve("asgi_lifespan:stop_fails", *loop)
    assert server.stop() == 0
    server.wait_for("the cache could not be written")


def test_l8_an_application_that_does_not_stop_is_not_waited_for_for_ever(serve: Serve) -> None:
    server = serve("asgi_lifespan:never_stops", *FLAGS)
    server.signal(signal.SIGTERM)
    server.wait_for("lifespan: not stopping")
    server.wait()
    server.wait_for("the application's lifespan did not shut down within 8 s")


def test_l8_a_reload_awaits_the_old_workers_shutdown(serve: Serve) -> None:
    server = serve("asgi_lifespan:stops_slowly", *FLAGS)
    server.signal(signal.SIGHUP)
    server.wait_for("lifespan: stopped")
    assert server.get("/").status == 200
    assert server.stop() == 0
    assert server.count("lifespan: stopped") == 2


def test_l9_a_reload_whose_start_fails_leaves_the_old_workers_serving(
    serve: Serve, loop: tuple[str, ...], tmp_path: Path
) -> None:
    mark = tmp_path / "fails"
    server = serve("asgi_lifespan:by_file", *loop, env={"START_FAILS": str(mark)})
    with server.connect() as client:
        assert client.request("GET", "/").status == 200
        mark.touch()
        server.signal(signal.SIGHUP)
        server.wait_for("the new code is wrong")
        for _ in range(5):
            assert client.request("GET", "/").status == 200
        mark.unlink()
        lines = len(server.lines)
        server.signal(signal.SIGHUP)
        server.wait_for("lifespan: started", after=lines)
        assert client.request("GET", "/").status == 200
    assert server.stop() == 0
