"""Notice a topic that was deleted and created again while its partitions are assigned, by its id.

The new log may be longer than the old one, so that offsets alone show nothing. Invariant: a broker that
does not answer, or has no topic ids, changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from bridge.errors import KafkaUnavailable
from bridge.model import Partition
from bridge.pipeline.cursor_loader import TopicIdByName

LOOK_S = 10.0
"""Between two looks: one small request."""
_IN_TIME_S = 2.0
"""Limit for a look that a drain waits for."""

Look = Callable[[frozenset[str]], Awaitable[TopicIdByName | None]]


class TopicWatch:
    """Compares the ids of the assigned topics with those that the assignment began with."""

    def __init__(self, look: Look) -> None:
        """``look`` returns the ids of the topics that exist, None without topic ids.

        It raises ``KafkaUnavailable``.
        """
        self._look = look
        self._begun: dict[str, str | None] = {}
        self.recreated = False
        """True from the moment that a topic of the assignment has another id, until ``clear``."""

    def begin(self, topic_ids: TopicIdByName) -> None:
        """Watch these topics, too."""
        self._begun.update(topic_ids)

    def clear(self) -> None:
        """Watch no topic: the assignment has ended."""
        self._begun.clear()
        self.recreated = False

    async def look(self, partitions: Iterable[Partition]) -> TopicIdByName:
        """Return the ids of the topics of these partitions, where known. Raises ``KafkaUnavailable``."""
        return await self._look(frozenset(partition.topic for partition in partitions)) or {}

    async def look_in_time(self, partitions: Iterable[Partition]) -> TopicIdByName | None:
        """Return the ids of the topics that exist; None if the broker does not return them in time."""
        topics = frozenset(partition.topic for partition in partitions)
        try:
            async with asyncio.timeout(_IN_TIME_S):
                return await self._look(topics) if topics else None
        except (KafkaUnavailable, TimeoutError):
            return None

    async def run(self) -> None:
        """Look every ``LOOK_S``, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            begun = dict(self._begun)
            try:
                current = await self._look(frozenset(begun)) if begun else None
            except KafkaUnavailable:
                continue  # the readers report a broker that does not answer
            for topic, topic_id in (current or {}).items():
                known = self._begun.get(topic)
                if known is not None and topic_id is not None and known != topic_id:
                    self.recreated = True
