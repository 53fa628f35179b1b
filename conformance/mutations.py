"""Requests that are nearly right: the corpus of h1 and the attacks, changed as HTTP Garden changes its own."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from attacks import ATTACKS

LONGEST = 2_000  # bytes of a seed: more says nothing new, and each byte is tried by three parsers

# Where parsers differ: line ends, whitespace of every kind, signs and digits that int() or strtol() take, commas.
BYTES = [bytes([n]) for n in b'\r\n\0 \t\x0b\x0c\x1c\x85\xa0\xff_+-.,;:"\\=/@#?%0123459aAfFxX\x7f'] + [
    b"\r\n", b"\n\r", b"\r\r\n", b"\r\n ", b"\r\n\r\n", b"0x", b"0X", b"00", b"\xc2\xa0", b"chunked", b"HTTP/1.1",
]  # fmt: skip

LINES = [line.encode("latin-1") + b"\r\n" for line in (
    "Host: a", "Host: b", "Host:", "Content-Length: 0", "Content-Length: 3", "Content-Length: 10",
    "Content-Length: 3, 3", "content-length:3", "Content-Length:\t3 ", "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked", "Transfer-Encoding: identity", "Transfer-Encoding: gzip, chunked",
    "Connection: close", "Connection: keep-alive", "Connection: keep-alive, close", "Connection: Upgrade",
    "Upgrade: websocket", "Upgrade: h2c", "Expect: 100-continue", "Trailer: X", "X:", "X: y", "X: \xe9",
    "Proxy-Connection: close", "TE: trailers", "Content_Length: 9",
)]  # fmt: skip

# What comes behind the head of a chunked body's seed.
CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class Seeds:
    """What the streams are made from."""

    good: list[bytes]
    bad: list[bytes]

    def any(self, rng: random.Random) -> bytes:
        """Good ones more often: of a bad one, few changes are accepted."""
        return rng.choice(self.good if rng.random() < 0.75 else self.bad)


def corpus(testdata: Path) -> Seeds:
    """What h1's own tests have, and every attack."""
    seeds = Seeds([], [])

    def add(seed: bytes, good: bool) -> None:
        if 0 < len(seed) <= LONGEST:
            (seeds.good if good else seeds.bad).append(seed)

    for attack in ATTACKS:
        add(attack.sent.encode("latin-1"), not any(isinstance(answer, int) for answer in attack.answers))
    for folder, before in (("head", b""), ("chunked", CHUNKED)):
        for file in sorted((testdata / folder).iterdir()):
            written = file.read_text().partition("\n---\n")[2].replace("\n", "")
            add(before + re.sub(r"\\(x..|.)", _unescape, written).encode("latin-1"), file.suffix == ".good")
    return seeds


def _unescape(found: re.Match[str]) -> str:
    code = found.group(1)
    return chr(int(code[1:], 16)) if len(code) > 1 else {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}[code]


def mutations(seeds: Seeds, rng: random.Random) -> Iterator[bytes]:
    """Without end. Few changes at a time: what has many is refused by everybody for the first one."""
    while True:
        stream = seeds.any(rng)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3))):
            stream = rng.choice(CHANGES)(stream, seeds, rng)
        yield stream[: 2 * LONGEST]


Change = Callable[[bytes, Seeds, random.Random], bytes]


def _place(stream: bytes, rng: random.Random) -> int:
    """Mostly where the grammar has a border."""
    if rng.random() < 0.7:
        borders = [found.start() + rng.randrange(2) for found in re.finditer(rb"[\r\n:;, \t0-9/]", stream)]
        if borders:
            return rng.choice(borders)
    return rng.randrange(len(stream) + 1)


def insert(stream: bytes, seeds: Seeds, rng: random.Random) -> bytes:
    at = _place(stream, rng)
    return stream[:at] + rng.choice(BYTES) + stream[at:]


def replace(stream: bytes, seeds: Seeds, rng: random.Random) -> bytes:
    at = _place(stream, rng)
    return stream[:at] + rng.choice(BYTES) + stream[at + 1 :]


def delete(stream: bytes, seeds: Seeds, rng: random.Random) -> bytes:
    at = _place(stream, rng)
    return stream[:at] + stream[at + rng.choice((1, 1, 1, 2, 4)) :]


def double(stream: bytes, seeds: Seeds, rng: random.Random) -> bytes:
    at = _place(stream, rng)
    return stream[:at] + stream[at : at + 1] + stream[at:]


def add_line(stream: bytes, seeds: Seeds, rng: random.Random) -> bytes:
    lines = stream.splitlines(keepends=True)
    lines.insert(rng.randrange(min(len(lines), 5) + 1), rng.choice(LINES))
    return b"".join(lines)


def double_line(stream: bytes, seeds: Seeds, rng: random.Random) -> bytes:
    lines = stream.splitlines(keepends=True)
    if lines:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return b"".join(lines)


def delete_line(stream: bytes, seeds: Seeds, rng: random.Random) -> bytes:
    lines = stream.splitlines(keepends=True)
    if lines:
        del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def swap_lines(stream: bytes, seeds: Seeds, rng: random.Random) -> bytes:
    lines = stream.splitlines(keepends=True)
    if len(lines) > 1:
        a, b = rng.sample(range(len(lines)), 2)
        lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


def splice(stream: bytes, seeds: Seeds, rng: random.Random) -> bytes:
    """The beginning of one, the end of another."""
    other = seeds.any(rng)
    return stream[: _place(stream, rng)] + other[_place(other, rng) :]


def pipeline(stream: bytes, seeds: Seeds, rng: random.Random) -> bytes:
    return stream + seeds.any(rng)


def case(stream: bytes, seeds: Seeds, rng: random.Random) -> bytes:
    at = _place(stream, rng)
    return stream[:at] + stream[at : at + 8].swapcase() + stream[at + 8 :]


CHANGES: list[Change] = [
    insert, insert, replace, replace, delete, double, add_line, double_line, delete_line, swap_lines, splice, pipeline,
    case,
]  # fmt: skip
