"""Who may use the channel layer."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from backline.layer import BacklineChannelLayer


def test_the_only_worker_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINE_WORKERS", "1")
    assert BacklineChannelLayer(capacity=7).capacity == 7


@pytest.mark.parametrize(("workers", "said"), [(None, "no worker of `backline serve`"), ("4", "one of 4 workers")])
def test_others_may_not(monkeypatch: pytest.MonkeyPatch, workers: str | None, said: str) -> None:
    monkeypatch.delenv("BACKLINE_WORKERS", raising=False)
    if workers:
        monkeypatch.setenv("BACKLINE_WORKERS", workers)
    with pytest.raises(ImproperlyConfigured, match=said):
        BacklineChannelLayer()
