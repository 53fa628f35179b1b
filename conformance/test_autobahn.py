"""The Autobahn test suite: 517 cases of RFC 6455 and RFC 7692 against an echo application.

Most of the time goes to groups 12 and 13, compression: each of their cases is a thousand messages of up to 128 KiB,
which the suite, written in Python, compresses and hashes. So there is one run of it for each processor at a time.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import ROOT, Server

pytestmark = [pytest.mark.load, pytest.mark.timeout(1200)]

WSTEST = ROOT / "ci" / "autobahn.sh"
REPORTS = ROOT / "build" / "autobahn"
SKIPPED = 77  # ci/autobahn.sh: there is no Python 2.7

# What one run asks for, and how many cases that has to be. The longest come first, so that no processor is idle long.
COMPRESSION = {f"{group}.{part}": 18 for group, parts in ((13, 7), (12, 5)) for part in range(1, parts + 1)}
RUNS = {**COMPRESSION, "1-10": 301}
UNCOMPRESSED = [f"{group}.*" for group in range(1, 11)]

# NON-STRICT: a violation came in one packet with a message before it, which is closed upon at once. The suite would
# have the echo sent first, and lets this pass.
GOOD = {"OK", "INFORMATIONAL", "NON-STRICT"}

Cases = dict[str, dict[str, str]]


def fuzz(server: Server, run: str) -> Cases:
    """One run of the suite: its cases by number."""
    folder = REPORTS / run
    folder.mkdir(parents=True, exist_ok=True)
    spec = {
        "outdir": str(folder),
        "servers": [{"agent": "backline", "url": f"ws://127.0.0.1:{server.port}/echo"}],
        "cases": UNCOMPRESSED if run == "1-10" else [f"{run}.*"],
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    index = folder / "index.json"
    index.unlink(missing_ok=True)
    (folder / "spec.json").write_text(json.dumps(spec))
    command = [str(WSTEST), "--mode", "fuzzingclient", "--spec", str(folder / "spec.json")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0 and index.exists(), f"wstest ended with {done.returncode}:\n{done.stdout[-2000:]}"
    cases: Cases = json.loads(index.read_text())["backline"]
    return cases


@pytest.fixture(scope="module")
def results(shared: Callable[..., Server], request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Cases]]]:
    """The runs that tests were selected for, all begun by the first of them and done as there are processors."""
    installed = subprocess.run([str(WSTEST), "--autobahnversion"], capture_output=True, text=True, check=False)
    if installed.returncode == SKIPPED:
        pytest.skip(installed.stdout.strip())
    assert installed.returncode == 0, installed.stdout + installed.stderr
    server = shared("asgi_websocket:app")
    pool = ThreadPoolExecutor(os.cpu_count())
    selected = {str(test.name) for test in request.session.items}
    yield {run: pool.submit(fuzz, server, run) for run in RUNS if f"test_autobahn[{run}]" in selected}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("run", RUNS)
def test_autobahn(results: dict[str, Future[Cases]], run: str) -> None:
    cases = results[run].result()
    wrong = {
        case: f"{found['behavior']}, close {found['behaviorClose']}"
        for case, found in cases.items()
        if found["behavior"] not in GOOD or found["behaviorClose"] not in GOOD
    }
    report = Path(REPORTS / run / "index.html")
    assert not wrong, f"{wrong}; see {report}"
    assert len(cases) == RUNS[run], f"{len(cases)} cases ran; see {report}"
