"""The history of a group, for a command: an open connection to its topic."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from bridge.history.attempt import AttemptId, Kept
from bridge.history.reader import AttemptReader, Found
from bridge.history.selection import AttemptFilter
from bridge.kafka.client import KafkaOptions
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topics import count_partitions

_LONG_POLL_MS = 20


class HistoryStore:
    """The topic of the history, as an asynchronous context manager. Methods raise ``KafkaUnavailable``."""

    def __init__(self, options: KafkaOptions, topic: str) -> None:
        self._options = options
        self._topic = topic
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect; raises ``KafkaUnavailable``, also if the topic does not exist."""
        counts = await count_partitions(self._options, [self._topic])
        reader = await self._stack.enter_async_context(SideReader(self._options, long_poll_ms=_LONG_POLL_MS))
        self._attempts = AttemptReader(reader, self._topic, counts[self._topic])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def newest(self, wanted: AttemptFilter, limit: int, *, bodies: bool) -> Found:
        """Return the newest attempts that match; see ``AttemptReader``."""
        return await self._attempts.newest(wanted, limit, bodies=bodies)

    async def fetch(self, wanted: AttemptId) -> Kept | None:
        """Return one attempt; None if the topic does not have it."""
        return await self._attempts.fetch(wanted)
