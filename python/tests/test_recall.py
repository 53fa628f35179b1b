"""What a process makes of histories, without a server."""

from __future__ import annotations

import pytest

from backline.recall import History


@pytest.mark.parametrize(
    ("position", "new"),
    [
        ("a1-7", False),
        ("a1-8", True),
        ("a1-7.zik0zj-5.b-1", False),
        ("a1-10.zik0zj-5", True),
        ("b2-1", True),
        ("", True),
    ],
)
def test_what_is_new_is_told_by_the_part_of_the_own_server(position: str, new: bool) -> None:
    message = {"text": "x", "__position__": position} if position else {"text": "x"}
    for end in ("a1-7", "a1-7.zik0zj-3"):
        assert History([], True, end).is_new(message) is new
    assert History([], True, "").is_new(message)
