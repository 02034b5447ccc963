"""The history of a group, for a command: an open connection to its topic."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from bridge.errors import KafkaUnavailable
from bridge.history.attempt import AttemptId, Kept
from bridge.history.reader import AttemptReader, Found
from bridge.history.selection import AttemptFilter
from bridge.kafka.client import KafkaOptions
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topics import TopicAdmin

_LONG_POLL_MS = 20


class HistoryStore:
    """The topic of the history, as an asynchronous context manager. Methods raise ``KafkaUnavailable``."""

    def __init__(self, options: KafkaOptions, topic: str) -> None:
        self._options = options
        self._topic = topic
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect; raises ``KafkaUnavailable``, also if the topic does not exist."""
        try:
            admin = TopicAdmin(self._options)
            self._stack.push_async_callback(admin.close)
            await admin.start()
            partitions = (await admin.partition_counts([self._topic])).get(self._topic, 0)
            if not partitions:
                raise KafkaUnavailable(
                    f"topic {self._topic!r} does not exist; `hookferry run` creates it, or this is not the"
                    " group of your bridges"
                )
            reader = await self._stack.enter_async_context(
                SideReader(self._options, long_poll_ms=_LONG_POLL_MS)
            )
            self._attempts = AttemptReader(reader, self._topic, partitions)
        except BaseException:
            await self._stack.aclose()
            raise
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
