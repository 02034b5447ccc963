"""Close clients of aiokafka within a time limit.

Upstream: no issue found. aiokafka 0.14 closes without a timeout: ``stop`` of a consumer waits for the
answer to its JoinGroup request, which the broker sends once all other members have joined.
Remove this when ``stop`` and ``close`` accept a timeout.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from bridge.telemetry import events

_log = structlog.get_logger()
CLOSE_S = 2.0
"""Default limit for closing one client: a stop has a few seconds for all that are open."""
CLIENT_CLOSE_S = 1.0
_LEAVE_S = 0.5


async def close_in_time(
    close: Callable[[], Awaitable[object]], task: str, timeout_s: float = CLOSE_S
) -> bool:
    """Call ``close``; return True if it succeeded within ``timeout_s``.

    A call that takes longer is cancelled. If it ignores that, too, it is logged as ``task`` and
    abandoned. aiokafka's close may raise the ``CancelledError`` of one of its own tasks; that does
    not cancel the caller.
    """
    closing = asyncio.ensure_future(close())
    try:
        await asyncio.wait({closing}, timeout=timeout_s)
        if not closing.done():
            closing.cancel()
            await asyncio.wait({closing}, timeout=_LEAVE_S)
            if not closing.done():
                _log.error(
                    events.TASK_LEFT,
                    task=task,
                    cause=f"it did not end within {timeout_s:g} s, nor when it was cancelled",
                    remedy="none needed: it ends with the process",
                )
            return False
    finally:
        closing.cancel()
    if not closing.cancelled() and (error := closing.exception()):
        if not isinstance(error, KafkaError | OSError):
            _log.error(
                events.TASK_LEFT,
                task=task,
                cause=f"{type(error).__name__}: {error}",
                remedy="none needed: what is left of it ends with the process; report this line",
            )
        return False
    return True


async def close_client(client: Any, task: str, timeout_s: float = CLIENT_CLOSE_S) -> None:
    """Close a producer (``stop``) or a plain client (``close``)."""
    await close_in_time(client.stop if hasattr(client, "stop") else client.close, task, timeout_s)


async def stop_consumer(consumer: AIOKafkaConsumer, timeout_s: float = CLOSE_S) -> None:
    """Close a consumer within ``timeout_s`` and at most 1.5 s more; leave its group if possible.

    A consumer that still waits for its JoinGroup answer cannot be closed in order. It leaves the
    group directly, and its parts are closed one by one.
    """
    if await close_in_time(consumer.stop, "close a consumer", timeout_s):
        return
    if leave := getattr(consumer._coordinator, "_maybe_leave_group", None):
        await close_in_time(leave, "leave the group", _LEAVE_S)
    if consumer._fetcher is not None:
        await close_in_time(consumer._fetcher.close, "close a fetcher", _LEAVE_S)
    await close_in_time(consumer._client.close, "close a client", _LEAVE_S)
