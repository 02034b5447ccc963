"""A client or producer of aiokafka that is replaced when it fails or one of its background tasks has died."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import structlog

from bridge.errors import ClientFailed
from bridge.kafka.aiokafka_patches.background_tasks import ended_task
from bridge.kafka.aiokafka_patches.closing import CLIENT_CLOSE_S, close_client
from bridge.kafka.broker_call import CHECK_BROKER, broker_call
from bridge.telemetry import events

_log = structlog.get_logger()
_LEAST_LIFE_S = 1.0
"""A client that fails at once is not replaced more often than this."""
_Client = TypeVar("_Client")


class ReplaceableClient(Generic[_Client]):
    """Returns a client that works; replaces one that can no longer answer.

    Only one replacement runs at a time. ``start`` and ``working`` raise aiokafka's errors.
    """

    def __init__(
        self,
        create: Callable[[], _Client],
        start: Callable[[_Client], Awaitable[None]],
        purpose: str,
        close_timeout_s: float = CLIENT_CLOSE_S,
    ) -> None:
        """``create`` returns a client, which ``start`` starts. ``purpose`` is what the log calls it."""
        self._create = create
        self._start = start
        self._purpose = purpose
        self._close_timeout_s = close_timeout_s
        self._client: _Client | None = None
        self._replacing = asyncio.Lock()
        self._failure: str | None = None
        self._created_at = 0.0

    async def start(self) -> None:
        """Create and start the first client; may be called again after an error."""
        self._client = await self._start_new()

    @property
    def current(self) -> _Client:
        """The client in use, even if it is broken."""
        assert self._client is not None, "start() was not called"
        return self._client

    @asynccontextmanager
    async def guarded(
        self, action: str, *, timeout_s: float | None = None, remedy: str = CHECK_BROKER
    ) -> AsyncIterator[None]:
        """Call the client; raise what ``broker_call`` raises. After ``ClientFailed`` it is replaced."""
        try:
            async with broker_call(action, timeout_s=timeout_s, remedy=remedy):
                yield
        except ClientFailed as exc:
            self.discard(exc.cause)
            raise

    def discard(self, cause: str) -> None:
        """Replace the client at its next use: it failed for this cause."""
        self._failure = cause

    @asynccontextmanager
    async def call(self, action: str, *, timeout_s: float | None = None) -> AsyncIterator[_Client]:
        """Call a working client, which is replaced before if the last one failed; as ``guarded``."""
        async with self.guarded(action, timeout_s=timeout_s):
            yield await self.working()

    async def working(self) -> _Client:
        """Return the client in use, or its replacement if it failed or one of its tasks has ended."""
        if self._broken():
            async with self._replacing:
                if cause := self._broken():
                    await asyncio.sleep(self._created_at + _LEAST_LIFE_S - time.monotonic())
                    broken, self._client = self.current, await self._start_new()
                    self._failure = None
                    _log.error(
                        events.CLIENT_REPLACED,
                        client=self._purpose,
                        cause=cause,
                        remedy="none needed: another client has replaced it",
                    )
                    await self._close(broken)
        return self.current

    async def close(self) -> None:
        """Close the client in use, if there is one."""
        if self._client is not None:
            await self._close(self._client)

    def _broken(self) -> str | None:
        return self._failure or ended_task(self.current)

    async def _start_new(self) -> _Client:
        self._created_at = time.monotonic()
        client = self._create()
        try:
            await self._start(client)
        except BaseException:
            await close_client(client, f"close the client for {self._purpose}")
            raise
        return client

    async def _close(self, client: _Client) -> None:
        await close_client(client, f"close the client for {self._purpose}", self._close_timeout_s)
