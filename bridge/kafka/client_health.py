"""Whether a client of aiokafka still works, and how it is closed when it does not. Edge floor.

aiokafka (0.14) does its work in background tasks and waits for them without a limit; a task that
ended is not noticed by those who wait for what it would have brought.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Generic, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from bridge.errors import KafkaUnavailable
from bridge.telemetry import events

_log = structlog.get_logger()
CLOSE_S = 2.0
"""How long something may take to close in order: a stop has a few seconds for all that is open."""
_LEAVE_S = 0.5
_CLIENT_CLOSE_S = 1.0
ANSWER_TIMEOUT_S = 15.0
"""For what is asked of the broker: aiokafka's own limits are 40 s and none."""
_Answer = TypeVar("_Answer")
_Client = TypeVar("_Client", AIOKafkaClient, AIOKafkaProducer)


async def answered(question: Awaitable[_Answer], what: str) -> _Answer:
    """What the broker answers; raises ``KafkaUnavailable``, which says ``what`` is not to be had."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await question
    except (KafkaError, TimeoutError) as exc:
        raise KafkaUnavailable(f"{what}: {exc!r}") from exc


def ended_task(client: Any) -> str | None:
    """Which background task of a consumer, producer or client is over, and why; None while all live."""
    for name, task in _background(client):
        if task is not None and task.done():
            why = "it was cancelled" if task.cancelled() else repr(task.exception())
            return f"aiokafka's {name} task has ended: {why}"
    return None


def _background(client: Any) -> Iterator[tuple[str, asyncio.Task[Any] | None]]:
    inner = getattr(client, "_client", None) or getattr(client, "client", None) or client
    yield "metadata", inner._sync_task
    if fetcher := getattr(client, "_fetcher", None):
        yield "fetch", fetcher._fetch_task
    if coordinator := getattr(client, "_coordinator", None):
        yield "group", getattr(coordinator, "_coordination_task", None)
    if sender := getattr(client, "_sender", None):
        yield "send", sender.sender_task


async def close_in_time(
    close: Callable[[], Awaitable[object]], what: str, timeout_s: float = CLOSE_S
) -> bool:
    """Close something of aiokafka; whether that worked within the time.

    What does not end is cancelled, and what does not end then either is named in the log and left.
    aiokafka lets the cancellation of tasks of its own out of a close; that is no cancellation of ours.
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
                    task=what,
                    cause=f"it did not end within {timeout_s:g} s, nor when it was cancelled",
                    remedy="none needed: it ends with the process",
                )
            return False
    finally:
        closing.cancel()
    if not closing.cancelled() and (problem := closing.exception()):
        if not isinstance(problem, KafkaError | OSError):
            raise problem
        return False
    return True


async def started(client: _Client) -> _Client:
    """Start a client or a producer; raises aiokafka's errors, and closes it then."""
    try:
        await (client.start() if isinstance(client, AIOKafkaProducer) else client.bootstrap())
    except BaseException:
        await _close(client, "what did not start")
        raise
    return client


class Lasting(Generic[_Client]):
    """A client or producer that is replaced by another when a part of it has died."""

    def __init__(self, client: _Client, renew: Callable[[], Awaitable[_Client]] | None, what: str) -> None:
        """``renew`` gives another one, started; without it the first is kept. ``what``: for the log."""
        self._client = client
        self._renew = renew
        self._what = what
        self._renewing = asyncio.Lock()

    @property
    def current(self) -> _Client:
        """The one in use, be it broken."""
        return self._client

    async def working(self) -> _Client:
        """One that works. Raises what ``renew`` raises."""
        if self._renew is not None and ended_task(self._client):
            async with self._renewing:
                if ended := ended_task(self._client):
                    broken, self._client = self._client, await self._renew()
                    _log.error(
                        events.CLIENT_REPLACED,
                        client=self._what,
                        cause=ended,
                        remedy="none needed: another one is in its place",
                    )
                    await _close(broken, self._what)
        return self._client

    async def close(self) -> None:
        """Close the one in use, within a second."""
        await _close(self._client, self._what)


async def _close(client: Any, what: str) -> None:
    close = client.stop if hasattr(client, "stop") else client.close
    await close_in_time(close, f"close the client for {what}", _CLIENT_CLOSE_S)


async def stop_consumer(consumer: AIOKafkaConsumer, timeout_s: float = CLOSE_S) -> None:
    """Close a consumer within the time and a second; it leaves its group if it can.

    aiokafka waits for the answer to its request to join, which comes when every other member has
    asked as well. A consumer in that place leaves the group instead.
    """
    if await close_in_time(consumer.stop, "close a consumer", timeout_s):
        return
    if leave := getattr(consumer._coordinator, "_maybe_leave_group", None):
        await close_in_time(leave, "leave the group", _LEAVE_S)
    if consumer._fetcher is not None:
        await close_in_time(consumer._fetcher.close, "close a fetcher", _LEAVE_S)
    await close_in_time(consumer._client.close, "close a client", _LEAVE_S)
