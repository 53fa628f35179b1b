"""h2spec against the real binary, beside net/http by itself: what it finds in both is listed in docs/http2.md."""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from authority import Authority
from harness import ROOT, Server, in_parallel

SUITE = ROOT / "ci" / "h2spec.sh"
pytestmark = pytest.mark.timeout(1200)  # it may have to be built
ENOUGH = 140  # tests that it has at least; fewer mean that it has not run


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    cert, key = Authority(tmp_path).issue("localhost")
    return str(cert), str(key)


@pytest.fixture
def plain(pair: tuple[str, str], tmp_path: Path) -> Iterator[int]:
    """The port of net/http by itself."""
    binary = tmp_path / "nethttp"
    environ = {**os.environ, "GOTOOLCHAIN": "auto"}  # the one that go.mod names
    subprocess.run(
        ["go", "build", "-o", str(binary), "./conformance/nethttp"], cwd=ROOT, check=True, timeout=600, env=environ
    )
    with subprocess.Popen([str(binary), *pair], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.kill()


def failures(port: int, report: Path) -> set[str]:
    """What the suite finds wrong with the server on this port: "section: test"."""
    found = subprocess.run(
        # An application that reads the body first: one that answers before may be faster than the client.
        [str(SUITE), "-t", "-k", "-h", "127.0.0.1", "-p", str(port), "-P", "/digest", "-o", "5", "-j", str(report)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert report.exists(), found.stdout + found.stderr
    cases = list(ET.parse(report).iter("testcase"))
    assert len(cases) >= ENOUGH, f"{len(cases)} tests:\n{found.stdout}"
    return {
        f"{case.get('package')}: {case.get('classname')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }


def test_nothing_fails_that_net_http_does_not_fail(
    serve: Callable[..., Server], pair: tuple[str, str], plain: int, tmp_path: Path
) -> None:
    subprocess.run([str(SUITE), "--version"], check=True, timeout=600, capture_output=True)  # builds it, once
    server = serve("asgi_http2:app", "--certfile", pair[0], "--keyfile", pair[1])
    ports = [server.port, plain]
    ours, theirs = in_parallel(2, lambda n: failures(ports[n], tmp_path / f"report{n}.xml"))
    assert isinstance(ours, set)
    assert isinstance(theirs, set)
    assert not ours - theirs
    known = (ROOT / "docs" / "http2.md").read_text()
    assert not [failure for failure in ours if failure not in known], "docs/http2.md does not list them"
