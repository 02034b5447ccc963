"""Read the bounds of source topics before any of their partitions is assigned to this process."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Self

from bridge.kafka.side_reader import SideReader
from bridge.kafka.topic_ids import TopicIds
from bridge.kafka.topics import TopicAdmin
from bridge.model import Partition


class SourceLogs:
    """The logs of topics that may not exist yet. An asynchronous context manager, which opens ``reader``.

    Every method raises ``BrokerError``.
    """

    def __init__(self, admin: TopicAdmin, topic_ids: TopicIds, reader: SideReader) -> None:
        self._admin = admin
        self._topic_ids = topic_ids
        self._reader = reader

    async def __aenter__(self) -> Self:
        await self._reader.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._reader.__aexit__(kind, exc, trace)

    async def bounds(self, topics: Collection[str]) -> dict[Partition, tuple[int, int]]:
        """Return the first and the next offset of every partition that exists."""
        partitions = await self._admin.partitions(topics)
        if not partitions:
            return {}
        firsts, ends = await self._reader.begins(partitions), await self._reader.ends(partitions)
        return {partition: (firsts[partition], ends[partition]) for partition in partitions}

    async def offsets_at(self, partitions: Collection[Partition], timestamp_ms: int) -> dict[Partition, int]:
        """Return the first offset at or after an instant (Unix milliseconds), where there is one."""
        return await self._reader.offsets_at(partitions, timestamp_ms)

    async def topic_ids(self, topics: Collection[str]) -> Mapping[str, str | None]:
        """Return the ids of those topics that exist; nothing if the broker has no topic ids."""
        return await self._topic_ids.look(topics) or {}
