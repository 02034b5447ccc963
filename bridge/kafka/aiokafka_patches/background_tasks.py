"""Detect a background task of aiokafka that has ended.

Upstream: https://github.com/aio-libs/aiokafka/issues/1154 (no public health signal; closed without one).
aiokafka 0.14 works in background tasks and waits for their results without a limit, so a call
hangs once such a task has died. Remove this when a client reports it publicly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any


def ended_task(client: Any) -> str | None:
    """Return which task of a consumer, producer or client has ended and why; None if all are alive."""
    for name, task in _background_tasks(client):
        if task is not None and task.done():
            cause = "it was cancelled" if task.cancelled() else repr(task.exception())
            return f"aiokafka's {name} task has ended: {cause}"
    return None


def _background_tasks(client: Any) -> Iterator[tuple[str, asyncio.Task[Any] | None]]:
    inner = getattr(client, "_client", None) or getattr(client, "client", None) or client
    yield "metadata", inner._sync_task
    if fetcher := getattr(client, "_fetcher", None):
        yield "fetch", fetcher._fetch_task
    if coordinator := getattr(client, "_coordinator", None):
        yield "group", getattr(coordinator, "_coordination_task", None)
    if sender := getattr(client, "_sender", None):
        yield "send", sender.sender_task
