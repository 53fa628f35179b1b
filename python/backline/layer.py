"""A channel layer for Django Channels that needs no other server: groups and channels of one worker process.

    CHANNEL_LAYERS = {"default": {"BACKEND": "backline.layer.BacklineChannelLayer"}}

What is sent to a group reaches its members in the same process and nobody else. With one worker, or with the one that
--websocket has, that is everybody. Where there are more it refuses to work, because messages that reach some of the
members by chance are worse than none.
"""

from __future__ import annotations

import os
from typing import Any

from channels.layers import InMemoryChannelLayer
from django.core.exceptions import ImproperlyConfigured


class BacklineChannelLayer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no types
    """Takes the options of Channels' own layer in memory: ``capacity`` (100), ``expiry`` (60 s), ``group_expiry``
    (86,400 s), ``channel_capacity``. Raises ImproperlyConfigured outside a worker, and where there are several."""

    def __init__(self, **options: Any) -> None:
        workers = os.environ.get("BACKLINE_WORKERS")
        if workers != "1":
            who = "is no worker of `backline serve`" if workers is None else f"is one of {workers} workers"
            raise ImproperlyConfigured(
                f"backline.layer.BacklineChannelLayer joins the sockets of one worker process, and this process {who}; "
                "serve with --workers 1, or with --websocket and its one worker, or use channels_redis"
            )
        super().__init__(**options)
