"""What h1 accepts, llhttp and h11 accept as the same request: a difference is a way to smuggle one past somebody.

By the same method, target and body, and the next request begins at the same byte. What h1 refuses is not looked at: who
is stricter than others disagrees with nobody. DIFFERENTIAL_CASES says how many streams are tried, DIFFERENTIAL_SEED
which.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
import struct
import subprocess
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import h11
import httptools
import pytest
from harness import PATIENCE, ROOT
from mutations import corpus, mutations

CASES = int(os.environ.get("DIFFERENTIAL_CASES", "20000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
BATCH = 20_000  # streams that are kept in memory

# What h1 accepts and another one refuses: what that one says, what was sent, and why that smuggles nothing.
ARGUED = [
    ("llhttp", "^(Invalid method encountered|Expected space after method|Expected HTTP/2 Connection Preface)$",
     rb"^[\r\n]*[!#$%&'*+.^_`|~0-9A-Za-z-]+ ",
     "llhttp has a list of methods; to RFC 9110 9.1 and to applications every token is one"),
    ("llhttp", "^Invalid HTTP version$", rb" HTTP/1\.[2-9]\r\n",
     "a later 1.x is served as 1.1 (RFC 9110 2.5); llhttp knows 1.0 and 1.1"),
    ("llhttp", "^upgrades at ", rb"(?i)\nUpgrade:",
     "httptools lets llhttp skip the body of a request that asks for an upgrade, although nobody has granted it yet"),
    ("llhttp", "^Request has invalid `Transfer-Encoding`$", rb"(?i)chunked[ \t]*\t[ \t]*\r\n",
     "llhttp takes spaces behind chunked, but no tab, which is whitespace too (RFC 9110 5.6.3)"),
    ("llhttp", "^closes the connection$", rb"(?i)\nProxy-Connection:",
     "llhttp takes Proxy-Connection for Connection; it is for proxies, and a mistake of theirs (RFC 9112 C.2.2)"),
    ("llhttp", "^closes the connection$", rb"(?is)\n0+[ \t]*(;[^\n]*)?\r\n.*Connection:",
     "llhttp heeds a trailer that is called Connection; trailers are discarded (RFC 9110 6.5.1)"),
    ("h11", "^no request line received$", rb"^(\r\n)+[^\r\n]",
     "empty lines before a request are skipped, up to four (RFC 9112 2.2); h11 takes none"),
    ("h11", "^bad Content-Length$", rb"(?i)\nContent-Length:[ \t]*0[0-9]{20,}[ \t]*\r\n",
     "h11 takes 20 digits; the zeros before the others change nothing"),
]  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """One request as a parser has read it, or what it says against it."""

    method: str = ""
    target: bytes = b""
    body: bytes = b""
    refusal: str = ""
    close: bool = False  # whether it is the connection's last


class Collected:
    """What httptools calls."""

    def __init__(self) -> None:
        self.target, self.body, self.messages = b"", b"", 0
        self.parser = httptools.HttpRequestParser(self)
        self.close = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.messages += 1
        self.close = not self.parser.should_keep_alive()  # after this call it has forgotten


def by_llhttp(sent: bytes) -> Reading:
    seen = Collected()
    parser = seen.parser
    try:
        parser.feed_data(sent[:-1])
        if seen.messages:
            return Reading(refusal=f"ends before byte {len(sent)}")
        parser.feed_data(sent[-1:])
    except httptools.HttpParserUpgrade as upgrade:
        # The rest would be another protocol's: an upgrade that is granted. h1 leaves that to its caller.
        if seen.messages and upgrade.args[0] not in (0, len(sent), 1):
            return Reading(refusal=f"upgrades at {upgrade.args[0]}")
    except httptools.HttpParserError as error:
        return Reading(refusal=str(error))
    if seen.messages != 1:
        return Reading(refusal=f"{seen.messages} requests")
    return Reading(parser.get_method().decode(), seen.target, seen.body, close=seen.close)


def by_h11(sent: bytes) -> Reading:
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    method, target, body = "", b"", b""
    try:
        for piece, last in ((sent[:-1], False), (sent[-1:], True)):
            parser.receive_data(piece)
            while True:
                event = parser.next_event()
                if isinstance(event, h11.Request):
                    method, target = event.method.decode(), event.target
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    if not last:
                        return Reading(refusal=f"ends before byte {len(sent)}")
                    rest = parser.trailing_data[0]
                    return Reading(method, target, body) if not rest else Reading(refusal=f"leaves {rest!r}")
                else:
                    break
    except h11.RemoteProtocolError as error:
        return Reading(refusal=str(error))
    return Reading(refusal="incomplete")


ORACLES = {"llhttp": by_llhttp, "h11": by_h11}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go") or pytest.fail("no go found, which builds the program that reads with h1")
    path = tmp_path_factory.mktemp("h1reader") / "h1reader"
    env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "auto"}
    command = [go, "build", "-o", str(path), "./conformance/h1reader"]
    subprocess.run(command, check=True, cwd=ROOT, timeout=10 * PATIENCE, env=env)
    return path


def read(reader: Path, streams: list[bytes]) -> list[dict[str, Any]]:
    """What h1 makes of each."""
    told = subprocess.run(
        [reader], input=b"".join(struct.pack(">I", len(stream)) + stream for stream in streams),
        check=True, capture_output=True, timeout=10 * PATIENCE,
    ).stdout  # fmt: skip
    return [json.loads(line) for line in told.splitlines()]


def differences(stream: bytes, verdict: dict[str, Any]) -> list[tuple[str, str, bytes]]:
    """Which oracle says what against which of the requests that were accepted."""
    found, start = [], 0
    for request in verdict["requests"]:
        sent, start = stream[start : request["end"]], request["end"]
        ours = Reading(request["method"], request["target"].encode("latin-1"), base64.b64decode(request["body"] or ""))
        for name, oracle in ORACLES.items():
            theirs = oracle(sent)
            if theirs.close and not request["close"]:
                found.append((name, "closes the connection", sent))
            if replace(theirs, close=False) != ours:
                found.append((name, theirs.refusal or f"reads {theirs}", sent))
    return found


def argued(oracle: str, says: str, sent: bytes) -> str | None:
    for name, text, request, why in ARGUED:
        if name == oracle and re.search(text, says) and re.search(request, sent):
            return why
    return None


def test_what_is_accepted_others_accept_too(reader: Path) -> None:
    print(f"seed {SEED}, {CASES} cases")
    seeds = corpus(ROOT / "h1" / "testdata")
    source = mutations(seeds, random.Random(SEED))
    accepted, reasons, unknown = 0, Counter[str](), []
    for first in range(0, CASES, BATCH):
        streams = list(islice(source, min(BATCH, CASES - first)))
        if first == 0:
            streams = [*seeds.good, *seeds.bad, *streams]
        for stream, verdict in zip(streams, read(reader, streams), strict=True):
            accepted += len(verdict["requests"])
            for oracle, says, sent in differences(stream, verdict):
                why = argued(oracle, says, sent)
                reasons[why or "?"] += 1
                if not why:
                    unknown.append(f"{oracle}: {says}: {sent!r}")
    print(f"{accepted} requests accepted; {dict(reasons)}")
    assert not unknown, f"seed {SEED}, {len(unknown)} differences:\n" + "\n".join(sorted(unknown, key=len)[:40])
    assert accepted > CASES // 4, "too few requests are accepted for a comparison to say much"
