"""A client or producer of aiokafka that is replaced when one of its background tasks has died."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from bridge.kafka.aiokafka_patches.background_tasks import ended_task
from bridge.kafka.aiokafka_patches.closing import CLIENT_CLOSE_S, close_client
from bridge.telemetry import events

_log = structlog.get_logger()
_Client = TypeVar("_Client")


class ReplaceableClient(Generic[_Client]):
    """Returns a client that works; replaces one that can no longer answer, or that was retired.

    Only one replacement runs at a time. Methods raise aiokafka's errors: the callers map them.
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
        self._retired = ""
        self._replacing = asyncio.Lock()

    async def start(self) -> None:
        """Create and start the first client; may be called again after an error."""
        self._client = await self._start_new()

    @property
    def current(self) -> _Client:
        """The client in use, even if it is broken."""
        assert self._client is not None, "start() was not called"
        return self._client

    def retire(self, cause: str) -> None:
        """Replace the client in use before it is used again."""
        self._retired = cause

    async def working(self) -> _Client:
        """Return the client in use, or its replacement if one of its tasks has ended or it was retired."""
        if self._retired or ended_task(self.current):
            async with self._replacing:
                if cause := self._retired or ended_task(self.current):
                    broken, self._client = self.current, await self._start_new()
                    self._retired = ""
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

    async def _start_new(self) -> _Client:
        client = self._create()
        try:
            await self._start(client)
        except BaseException:
            await close_client(client, f"close the client for {self._purpose}")
            raise
        return client

    async def _close(self, client: _Client) -> None:
        await close_client(client, f"close the client for {self._purpose}", self._close_timeout_s)
